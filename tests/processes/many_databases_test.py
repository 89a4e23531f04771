"""Many databases, names that do not exist, and a system that refuses threads.

`SLUICE_SOAK=20` makes it a soak test: 1,000 databases and 10,000 names that do not exist.
"""

import os
import resource

from harness import SOAK, is_equal, is_true, run_tests, wait_until
from link import Refused
from rig import is_sanitized, resident_bytes, serve, still_serves

DATABASES = min(1_000, 50 * SOAK)
NAMES = min(10_000, 500 * SOAK)


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def make_all(link, count):
    """Creates the databases d0.db and so on, and reads each of them."""
    for i in range(count):
        link.write(f"d{i}.db", "CREATE TABLE t (a INTEGER)", idempotency_key=f"make-{i}")
        is_equal(link.read(f"d{i}.db", "SELECT count(*) FROM t"), [[0]])


def test_databases_that_do_not_exist_take_no_threads_descriptors_or_memory(fixture):
    server, client = serve(fixture, env={"SLUICE_BLOCKING_THREADS": "4"})
    asks = [
        lambda name: client.refusal("read", db=name, sql="SELECT 1"),
        lambda name: client.refusal("subscribe", db=name),
        lambda name: client.refusal("buffer.put", db=name, table="t", operation="upsert", key={"a": 1},
                                    values={"b": 1}),
        lambda name: client.refusal("buffer.get", db=name, table="t", key={"a": 1}),
        lambda name: client.refusal("write", db=f"nowhere/{name}", statements=[{"sql": "CREATE TABLE t (a)"}]),
        lambda name: client.refusal("write", db=f"../{name}", statements=[{"sql": "CREATE TABLE t (a)"}]),
    ]
    codes = [x("first.db").code for x in asks]
    is_equal(codes[:2] + codes[4:5], ["unknown_database"] * 3, str(codes))
    before = threads(server.pid), descriptors(server.pid), resident_bytes(server.pid)
    listed = len(client.call("status")["databases"])
    for i in range(NAMES):
        is_equal(asks[i % len(asks)](f"no{i}.db").code, codes[i % len(asks)])
    is_true(threads(server.pid) <= before[0] + 8, f"threads: {before[0]}, now {threads(server.pid)}")
    is_true(descriptors(server.pid) <= before[1] + 8, f"descriptors: {before[1]}, now {descriptors(server.pid)}")
    is_equal(len(client.call("status")["databases"]), listed)
    if not is_sanitized(fixture):
        grown = resident_bytes(server.pid) - before[2]
        is_true(grown < (16 << 20) + NAMES * 2_000, f"it grew by {grown >> 10} KiB")
    still_serves(fixture, server, client)


def test_a_name_that_was_refused_can_be_written_and_then_read(fixture):
    server, client = serve(fixture)
    is_equal(client.refusal("read", db="new.db", sql="SELECT 1").code, "unknown_database")
    client.write("new.db", "CREATE TABLE t (a INTEGER)")
    is_equal(client.read("new.db", "SELECT count(*) FROM t"), [[0]])
    still_serves(fixture, server, client)


def test_threads_do_not_grow_with_the_databases_and_idle_ones_are_closed(fixture):
    limit = 8
    # The idle time is long enough for all databases to be open together, and short enough to wait for.
    server, client = serve(fixture, env={"SLUICE_BLOCKING_THREADS": str(limit), "SLUICE_CLOSE_IDLE_AFTER_MS": "1500",
                                         "SLUICE_IDLE_AFTER_MS": "100"})
    before = threads(server.pid), descriptors(server.pid)
    make_all(client, DATABASES)
    is_true(threads(server.pid) <= before[0] + limit + 4, f"threads: {before[0]}, now {threads(server.pid)}")
    if not is_sanitized(fixture):
        per_database = (resident_bytes(server.pid)) // DATABASES
        is_true(per_database < 2 << 20, f"{per_database >> 10} KiB for each database")
    # The broker may have some more descriptors than before for the files of the store itself.
    wait_until(lambda: descriptors(server.pid) <= before[1] + 10, "all databases are closed")
    wait_until(lambda: not [x for x in fixture.leader_files() if x.startswith("d")], "closed databases leave no WAL")
    for i in (0, DATABASES // 2, DATABASES - 1):
        again = client.call("write", db=f"d{i}.db", idempotency_key=f"make-{i}",
                            statements=[{"sql": "CREATE TABLE t (a INTEGER)"}])
        is_true(again["replayed"], "a key is known after the rest")
        is_equal(client.write(f"d{i}.db", "INSERT INTO t VALUES (1)")["commit_seq"], again["commit_seq"] + 1)
        is_equal(client.read(f"d{i}.db", "SELECT count(*) FROM t"), [[1]])
    still_serves(fixture, server, client)


def test_more_databases_than_descriptors_allow_all_work(fixture):
    limit = 1_024
    names = 120 if is_sanitized(fixture) else 500
    server, client = serve(fixture, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
                           env={"SLUICE_MAX_OPEN_FILES": "200"} if is_sanitized(fixture) else {})
    for i in range(names):
        client.write(f"d{i}.db", "CREATE TABLE t (a INTEGER)")
        is_equal(client.read(f"d{i}.db", "SELECT count(*) FROM t"), [[0]])
    is_true(descriptors(server.pid) < limit * 5 // 8, f"{descriptors(server.pid)} descriptors")
    # Sends all requests at once.
    insert = [{"sql": "INSERT INTO t VALUES (1)"}]
    asked = [client.post("write", db=f"d{i}.db", statements=insert) for i in range(names)]
    is_equal([client.answer(x)["commit_seq"] for x in asked], [2] * names)
    asked = [client.post("read", db=f"d{i}.db", sql="SELECT count(*) FROM t") for i in range(names)]
    is_equal([client.answer(x)["rows"] for x in asked], [[[1]]] * names)
    is_true(descriptors(server.pid) < limit * 5 // 8, f"{descriptors(server.pid)} descriptors")
    states = [x for x in client.call("status")["databases"] if x["name"].startswith("d")]
    is_equal(len(states), names)
    is_equal({(x["foreign_commits"], x["file_events"], x["restarts"]) for x in states}, {(0, 0, 0)})
    still_serves(fixture, server, client)


def test_a_subscription_goes_on_while_its_database_is_closed_and_opened_again(fixture):
    server, client = serve(fixture, env={"SLUICE_CLOSE_IDLE_AFTER_MS": "200", "SLUICE_IDLE_AFTER_MS": "50"})
    client.write("a.db", "CREATE TABLE t (a INTEGER)")
    with fixture.connect() as listener:
        open_files = descriptors(server.pid)
        listener.call("subscribe", db="a.db")
        wait_until(lambda: descriptors(server.pid) < open_files, "the database is closed")
        seq = client.write("a.db", "INSERT INTO t VALUES (1)")["commit_seq"]
        news = listener.next_news()["params"]
        is_equal((news["db"], news["commit_seq"]), ("a.db", seq), str(news))


def answers(connect):
    try:
        with connect() as link:
            return bool(link.call("ping"))
    except OSError:
        return False


def begun(fixture, limit, connect):
    """Starts a broker under this limit of threads; None if it cannot start with so few."""
    server = fixture.start("serve", preexec_fn=limit)
    wait_until(lambda: server.ended() or answers(connect), "the broker serves or ends")
    if not server.ended():
        return server
    result = server.end()
    is_true("Resource temporarily unavailable" in result.err, str(result))
    return None


def test_every_request_is_answered_when_the_system_refuses_threads(fixture):
    # The limit counts all threads of a user, so the test needs a user without other processes.
    user = 61_000 + os.getpid() % 4_000
    fixture.as_nobody(user)
    limits = [0]

    def limit():
        resource.setrlimit(resource.RLIMIT_NPROC, (limits[0], limits[0]))

    def connect():
        # Connects as that user.
        os.seteuid(user)
        try:
            return fixture.connect()
        finally:
            os.seteuid(0)

    server = fixture.serve()
    with connect() as link:
        link.call("ping")
        first = threads(server.pid)
    server.signal(15)
    server.end()
    # The limit allows a broker to start, and no thread for any database. The system counts ended threads for a while,
    # so the least limit varies; below it, the broker reports the reason.
    limits[0] = first
    while not (server := begun(fixture, limit, connect)):
        limits[0] += 1
        is_true(limits[0] <= first + 20, f"{first} threads at first, and {limits[0]} are too few to begin")
    with connect() as client:
        for i in range(30):
            client.write(f"d{i}.db", "CREATE TABLE t (a INTEGER)")
            is_equal(client.read(f"d{i}.db", "SELECT count(*) FROM t"), [[0]])
        slow = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        reads = [client.post("read", db=f"d{i}.db", sql=slow, timeout_ms=2_000) for i in range(8)]
        for i in range(30):
            client.write(f"d{i}.db", "INSERT INTO t VALUES (1)")
        refused = 0
        for x in reads:
            try:
                client.answer(x)
            except Refused as refusal:
                refused += refusal.code == "deadline_exceeded"
        is_equal(refused, len(reads))
        is_true(threads(server.pid) <= limits[0], f"{threads(server.pid)} threads")
    server.signal(15)
    is_equal(server.end().status, 0)


if __name__ == "__main__":
    run_tests()
