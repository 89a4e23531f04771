"""Leadership: elections, and the files after the end of the last leader."""

import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

from harness import LOCK_TEXTS, is_equal, is_running, is_true, read_file, run_tests, wait_until
from rig import TABLE, Writers, claims, count, make_table, await_no_process

# Takes the lock as a leader does, reports this, and waits to be killed.
LOCK_HOLDER = """
import fcntl, os, socket, sys, time
os.makedirs(sys.argv[1] + "/.sluice", 0o700, exist_ok=True)
os.umask(0o077)
held = open(sys.argv[1] + "/.sluice/broker.lock", "w")
fcntl.flock(held, fcntl.LOCK_EX)
folder = os.stat(sys.argv[1])
claim = socket.socket(socket.AF_UNIX)
claim.bind(f"\\0sluice/{os.geteuid()}/{folder.st_dev}/{folder.st_ino}/0")
claim.listen()
held.write(f"{os.getpid()}\\n")
held.flush()
print("held", flush=True)
time.sleep(3600)
"""


def hold_lock(fixture):
    holder = subprocess.Popen([sys.executable, "-c", LOCK_HOLDER, fixture.store], stdout=subprocess.PIPE, text=True)
    is_equal(holder.stdout.readline(), "held\n")
    return holder


def is_locked(fixture):
    """Whether a process leads."""
    if claims(fixture.store):
        return True
    try:
        fd = os.open(fixture.path(".sluice", "broker.lock"), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def test_twenty_processes_that_start_together_on_a_fresh_folder_all_succeed(fixture):
    create = "CREATE TABLE IF NOT EXISTS t (a INTEGER)"
    started = [fixture.start("exec", "app.db", f"{create}; INSERT INTO t VALUES ({i})", "--agent", f"agent-{i}",
                             "--key", f"key-{i}", "--json") for i in range(20)]
    for x in started:
        end = x.end().good()
        is_equal(end.err, "")
        is_equal(end.json()["outcome"], "committed")
        is_equal([text for text in LOCK_TEXTS if text in end.out.lower()], [])
    records = [x for x in fixture.audit() if x["idempotency_key"].startswith("key-")]
    fixture.audit_is_whole()
    by_agent = {x["agent"]: (x["idempotency_key"], x["peer_uid"], x["peer_pid"], x["status"]) for x in records}
    is_equal(len(records), 20)
    is_equal(by_agent, {f"agent-{i}": (f"key-{i}", os.getuid(), x.pid, "committed") for i, x in enumerate(started)})
    await_no_process(fixture)
    is_true(not is_locked(fixture), "the lock is still held")
    is_equal(fixture.sql("app.db", "SELECT a FROM t ORDER BY a"), [(i,) for i in range(20)])


def test_a_lone_command_does_not_wait_for_the_idle_time(fixture):
    idle = {"SLUICE_LINGER_MS": "86400000"}
    fixture.run("exec", "app.db", TABLE, env=idle).good()
    is_true(fixture.leader(), "the broker is still there")
    start = time.monotonic()
    # The broker has closed all descriptors of the command, so a reader of its output does not wait.
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", env=idle).good()
    is_true(time.monotonic() - start < 20, "the command waited for the broker")


def test_a_broker_that_a_command_started_is_in_a_session_of_its_own(fixture):
    fixture.run("exec", "app.db", TABLE).good()
    pid = fixture.leader()
    is_true(os.getsid(pid) != os.getsid(0) and os.getpgid(pid) != os.getpgrp(), "it is in the session of the test")
    is_true(all(os.readlink(f"/proc/{pid}/fd/{i}") == "/dev/null" for i in (0, 1)), "it has a terminal")
    is_equal(os.readlink(f"/proc/{pid}/fd/2"), fixture.path(".sluice", "broker.log"))
    is_equal(os.readlink(f"/proc/{pid}/cwd"), "/")


def test_a_silent_connection_keeps_the_broker_but_delays_no_other(fixture):
    idle = {"SLUICE_LINGER_MS": "2000"}
    fixture.run("exec", "app.db", TABLE, env=idle).good()
    with fixture.connect() as link:
        is_equal(link.call("ping")["pong"], True)
        first = fixture.leader()
        for i in range(5):
            fixture.run("exec", "app.db", f"INSERT INTO t VALUES ({i})").good()
        is_equal(fixture.leader(), first)
    await_no_process(fixture)
    is_equal(count(fixture), 5)


def test_a_stale_socket_is_replaced(fixture):
    make_table(fixture)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(fixture.path(".sluice", "broker.sock"))
    dead.close()
    is_equal(fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)").good().err, "")
    is_true(fixture.leader(), "a broker leads")
    is_equal(count(fixture), 1)


def test_a_file_in_the_place_of_the_socket_is_replaced(fixture):
    make_table(fixture)
    with open(fixture.path(".sluice", "broker.sock"), "w") as x:
        x.write("not a socket")
    is_equal(fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)").good().err, "")
    is_true(fixture.leader(), "a broker leads")


def test_a_recycled_pid_in_broker_json_is_not_taken_for_the_leader(fixture):
    make_table(fixture)
    for pid in (1, os.getpid()):
        with open(fixture.path(".sluice", "broker.json"), "w") as x:
            json.dump({"pid": pid, "protocol": 1, "version": "0.1.0", "socket": fixture.path(".sluice", "broker.sock"),
                       "http": "", "transient": True, "started_us": 1}, x)
        with open(fixture.path(".sluice", "broker.lock"), "w") as x:
            x.write(f"{pid}\n")
        idle = {"SLUICE_LINGER_MS": "2000"}
        is_equal(fixture.run("exec", "app.db", f"INSERT INTO t VALUES ({pid})", env=idle).good().err, "")
        is_true(fixture.info()["pid"] != pid, "broker.json has another pid")
        await_no_process(fixture)
    is_equal(count(fixture), 2)


def test_garbage_in_broker_json_is_overwritten(fixture):
    make_table(fixture)
    for text in ("", "{", "[]", '{"pid":-1}', "\0" * 100_000):
        with open(fixture.path(".sluice", "broker.json"), "w") as x:
            x.write(text)
        fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", env={"SLUICE_LINGER_MS": "200"}).good()
        await_no_process(fixture)
    is_equal(count(fixture), 5)


def test_clients_survive_a_leader_that_dies_between_lock_and_socket(fixture):
    make_table(fixture)
    holder = hold_lock(fixture)
    waiting = [fixture.start("exec", "app.db", f"INSERT INTO t VALUES ({i})") for i in range(4)]
    waiting.append(fixture.start("query", "app.db", "SELECT 1"))
    # Each client has tried the lock and sleeps before it tries again. None may give up or lead.
    wait_until(lambda: all(is_asleep(x.pid) for x in waiting), "every client waits")
    is_true(not any(x.ended() for x in waiting), "a client did not wait")
    is_equal(fixture.leader(), None)
    holder.kill()
    holder.wait()
    for x in waiting:
        is_equal(x.end().good().err, "")
    is_equal(count(fixture), 4)


def is_asleep(pid):
    """Whether the client sleeps between two attempts to take the lock."""
    try:
        with open(f"/proc/{pid}/wchan") as x:
            return "nanosleep" in x.read()
    except OSError:
        return False


def test_a_client_that_waits_for_a_leader_without_a_socket_gives_up_in_time(fixture):
    make_table(fixture)
    hold_lock(fixture)
    end = fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", env={"SLUICE_LOCK_WAIT_MS": "300"})
    end.failed_with("busy")


def test_of_two_brokers_that_start_at_once_one_serves_and_the_other_is_refused(fixture):
    for _ in range(5):
        both = [fixture.start("serve", env={"SLUICE_LOCK_WAIT_MS": "100"}) for _ in range(2)]
        loser = wait_until(lambda: [x for x in both if x.ended()], "one gives up")[0]
        loser.end().failed_with("busy")
        winner = [x for x in both if x is not loser][0]
        wait_until(lambda: (fixture.info() or {}).get("pid") == winner.pid, "the other one serves")
        with fixture.connect() as link:
            is_equal(link.call("ping")["pid"], winner.pid)
        winner.signal(signal.SIGTERM)
        winner.end().good()
    is_equal(fixture.leader_files(), [])


def test_a_second_broker_is_refused_and_the_first_one_is_not_disturbed(fixture):
    first = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        fixture.run("serve", env={"SLUICE_LOCK_WAIT_MS": "100"}).failed_with("busy")
        fixture.run("serve", "--idle", "1").failed_with("busy")
        is_equal(link.write("app.db", "INSERT INTO t VALUES (1)")["outcome"], "committed")
    is_equal(fixture.leader(), first.pid)


def test_a_permanent_broker_takes_over_from_a_transient_one_while_clients_write(fixture):
    make_table(fixture)
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (0)").good()
    transient = fixture.leader()
    writers = Writers(fixture)
    wait_until(lambda: count(fixture) > 5, "the writers are at work")
    server = fixture.serve()
    wait_until(lambda: not is_running(transient), "the transient broker has gone")
    seen = count(fixture)
    wait_until(lambda: count(fixture) > seen + 5, "the writers go on")
    is_equal(fixture.leader(), server.pid)
    written = writers.stop()
    is_equal(count(fixture), written + 1)
    fixture.audit_is_whole()


def test_a_broker_survives_clients_that_do_not_wait_for_their_answers(fixture):
    server = fixture.serve()
    for _ in range(50):
        with fixture.connect() as link:
            link.post("status")
    with fixture.connect() as link:
        is_equal(link.call("ping")["pid"], server.pid)


def test_a_command_that_requires_a_broker_fails_when_none_can_start(fixture):
    make_table(fixture)
    missing = {"SLUICE_PROGRAM": fixture.path("no-such-program")}
    end = fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", "--require-broker", env=missing)
    end.failed_with("route_required", status=3)
    end = fixture.run("query", "app.db", "SELECT 1", "--require-broker", env=missing)
    end.failed_with("route_required", status=3)
    is_equal(count(fixture), 0)
    is_equal(fixture.leader_files(), [])


def test_a_command_without_standard_descriptors_writes_its_output_to_no_other_file(fixture):
    make_table(fixture)
    for program in (fixture.program, fixture.path("no-such-program")):
        for closed in ("<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"):
            text = f'exec "$0" exec app.db "INSERT INTO t VALUES (1)" --key "{program}{closed}" {closed}'
            end = subprocess.run(["sh", "-c", text, fixture.program], cwd=fixture.store,
                                 env={**fixture.env, "SLUICE_PROGRAM": program}, capture_output=True, text=True)
            # Output that cannot be printed may be a failure of the command, with status 1.
            is_true(end.returncode in (0, 1), f"{text}: {end.returncode}: {end.stderr}")
            is_true(end.returncode == 0 or ">&-" in closed, f"{text}: {end.stderr}")
        fixture.run("stop").good()
    is_equal(count(fixture), 12)
    is_equal(fixture.leader_files(), [])


def test_a_client_that_is_killed_while_it_starts_a_broker_blocks_no_later_one(fixture):
    make_table(fixture)
    for i in range(40):
        client = fixture.start("exec", "app.db", f"INSERT INTO t VALUES ({i})", "--key", f"key-{i}",
                               env={"SLUICE_LINGER_MS": "20"})
        until = time.monotonic() + random.uniform(0, 0.03)
        wait_until(lambda: time.monotonic() >= until, "the random time has passed")
        client.signal(signal.SIGKILL)
        client.end()
    for i in range(40):
        fixture.run("exec", "app.db", f"INSERT INTO t VALUES ({i})", "--key", f"key-{i}",
                    env={"SLUICE_LINGER_MS": "20"}).good()
    await_no_process(fixture)
    is_equal(fixture.sql("app.db", "SELECT a FROM t ORDER BY a"), [(i,) for i in range(40)])
    fixture.audit_is_whole()


def starts(fixture):
    return read_file(fixture.path(".sluice", "broker.log")).count(" serves ")


def test_a_broker_awaits_the_client_that_started_it_however_short_it_may_be_idle(fixture):
    make_table(fixture)
    before = starts(fixture)
    for i in range(5):
        fixture.run("exec", "app.db", f"INSERT INTO t VALUES ({i})", env={"SLUICE_LINGER_MS": "0"}).good()
        await_no_process(fixture)
    is_equal(starts(fixture) - before, 5, "brokers were started")


def test_without_a_broker_a_command_leads_the_store_with_a_warning(fixture):
    make_table(fixture)
    missing = {"SLUICE_PROGRAM": fixture.path("no-such-program")}
    end = fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", env=missing).good()
    is_true("broker" in end.err, f"no warning: {end.err!r}")
    is_equal(count(fixture), 1)
    is_equal(fixture.leader_files(), [])


if __name__ == "__main__":
    run_tests()
