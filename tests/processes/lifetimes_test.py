"""The end of a host of a broker: with static objects, from a thread or an actor, by quick_exit; and its forked
children. The hosts are tests/system/lifetimes_host.cpp and forking_host.cpp."""

import os
import random
import re
import sqlite3

from harness import SLUICE, SOAK, is_equal, is_true, run_tests

IS_SANITIZED = bool(os.environ.get("SLUICE_SANITIZED"))
# The programs of an optimized build end within 10 s; builds with sanitizers take longer.
PATIENCE = 600 if IS_SANITIZED else 60
# AddressSanitizer's allocator may be locked by another thread at the fork, and the child then waits in it for ever
# (LLVM 14: operator new, SizeClassAllocator64::GetFromAllocator, Semaphore::Wait). Such a child prints no line, and the
# case is run again.
TRIES = 5 if IS_SANITIZED else 1


def run_host(fixture, case, number=0):
    """Runs the host; returns its lines and its exit status."""
    program = "forking_host" if case.startswith("fork_") else "lifetimes_host"
    fixture.program = os.path.join(os.path.dirname(SLUICE), program)
    root = fixture.store
    for i in range(TRIES):
        end = fixture.start(case, fixture.store, number).end(PATIENCE)
        lines = end.out.splitlines()
        if "the child hangs" not in lines or i + 1 == TRIES:
            return end, lines
        fixture.store = os.path.join(root, f"again-{i}")
        os.mkdir(fixture.store)


def require_acknowledged(fixture, lines):
    """Checks that the acknowledged writes are in the file, and that the file is sound."""
    wanted = {int(x.split()[1]) for x in lines if x.startswith("acknowledged ")}
    db = sqlite3.connect(fixture.path("app.db"))
    try:
        is_equal(wanted - {x for x, in db.execute("SELECT id FROM t")}, set())
        is_equal(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
    finally:
        db.close()


def ends_with(fixture, case, status=0):
    end, lines = run_host(fixture, case)
    is_equal((end.status, end.err), (status, ""), str(end))
    return lines


def test_a_static_broker_ends_with_the_program(fixture):
    ends_with(fixture, "exit_opened")
    for case in ("exit_used", "exit_shut_down", "exit_reopened"):
        require_acknowledged(fixture, ends_with(fixture, case))
        is_equal(fixture.leader_files(), [], case)
        os.remove(fixture.path("app.db"))


def test_a_static_client_ends_with_the_program_that_it_leads_in(fixture):
    ends_with(fixture, "exit_client")


def test_a_static_front_door_ends_with_the_program(fixture):
    ends_with(fixture, "exit_door")


def test_threads_may_write_while_the_program_exits(fixture):
    ends_with(fixture, "exit_under_threads")


def test_a_static_broker_whose_agents_live_on_may_follow_one_that_its_agent_ended(fixture):
    require_acknowledged(fixture, ends_with(fixture, "exit_after_lingering"))


def test_an_agent_may_exit_the_program(fixture):
    require_acknowledged(fixture, ends_with(fixture, "exit_in_actor", 3))


def test_an_agent_may_exit_the_program_after_brokers_whose_agents_live_on(fixture):
    require_acknowledged(fixture, ends_with(fixture, "exit_in_actor_after_lingering", 3))


def test_another_thread_than_main_may_exit_the_program(fixture):
    require_acknowledged(fixture, ends_with(fixture, "exit_in_thread", 3))


def test_another_thread_than_main_may_exit_the_program_while_calls_of_every_kind_are_under_way(fixture):
    require_acknowledged(fixture, ends_with(fixture, "exit_in_thread_under_way", 3))


def test_quick_exit_loses_nothing_that_was_acknowledged(fixture):
    require_acknowledged(fixture, ends_with(fixture, "exit_quickly"))


def test_static_objects_of_a_host_are_destroyed_in_any_order(fixture):
    first = int(os.environ.get("SLUICE_LIFETIMES_SEED", random.randrange(1 << 32)))
    root = fixture.store
    for i in range(4 * SOAK):
        for home in ("own_system", "one_thread", "eight_threads"):
            fixture.store = os.path.join(root, f"{home}-{i}")
            os.mkdir(fixture.store)
            end, lines = run_host(fixture, f"exit_{home}", first + i)
            is_equal((end.status, lines[1:], end.err), (0, ["finished"], ""), f"SLUICE_LIFETIMES_SEED={first + i} {end}")


def test_a_forked_child_cannot_use_the_objects_of_its_parent(fixture):
    lines = ends_with(fixture, "fork_uses")
    for what in ("write", "write_async", "read", "cached", "cursor", "put", "open_database", "audit"):
        line = next((x for x in lines if x.startswith(what + " ")), f"no line of {what}: {lines}")
        is_true(re.match(r"\w+ unavailable: this process was forked from the one that opened the broker", line), line)
    is_equal(lines[-2:], ["the child exits 0", "parent ok"])


def test_a_forked_child_may_destroy_the_objects_of_its_parent(fixture):
    is_equal(ends_with(fixture, "fork_returns"), ["the child exits 0", "parent ok"])


def test_a_forked_child_may_exit_with_the_static_broker_of_its_parent(fixture):
    is_equal(ends_with(fixture, "fork_exits"), ["the child exits 0", "parent ok"])


def test_a_forked_child_keeps_no_store_of_a_host_that_was_killed(fixture):
    is_equal(ends_with(fixture, "fork_orphan"), ["next ok", "write ok"])


def test_forked_children_of_a_host_that_writes_open_brokers_and_clients_of_their_own(fixture):
    # With so many children, one of them would find the allocator locked.
    if IS_SANITIZED:
        return
    count = 50 * SOAK
    for name in ("host", *(f"child{i}" for i in range(count))):
        os.mkdir(fixture.path(name))
    end, lines = run_host(fixture, "fork_while_writing", count)
    is_equal((end.status, lines), (0, ["the child exits 0"] * count), str(end))


def test_a_forked_child_does_not_lead_the_store_of_its_parent_whose_locks_sqlite_counts_as_its_own(fixture):
    lines = ends_with(fixture, "fork_heir")
    is_true(lines[0].startswith("while the parent lives busy: another process leads this store"), lines[0])
    is_true(lines[1].startswith("heir unavailable: the process that this one was forked from had this store open"), lines[1])
    # Another program may lead the store.
    fixture.program = SLUICE
    fixture.run("exec", "app.db", "INSERT INTO t DEFAULT VALUES").good()


if __name__ == "__main__":
    run_tests()
