"""Requests are answered by their own deadlines, whatever others do, and when the broker ends."""

import signal

from harness import is_equal, is_true, run_tests, wait_until
from link import Refused
from rig import count, serve

DAY_MS = 86_400_000
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
MANY = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {}) "


def statement(sql):
    return [{"sql": sql}]


def begin_endless_write(client, link, agent="slow"):
    """Sends an endless write; returns its id when the broker executes it."""
    which = link.post("write", db="app.db", agent=agent, deadline_ms=DAY_MS, request_id="endless",
                      statements=statement(ENDLESS + "INSERT INTO t SELECT x FROM n"))
    wait_until(lambda: state_of(client, "endless") == "running", "the write is executed")
    return which


def state_of(client, request_id):
    states = [x["state"] for x in client.call("status")["running"] if x["request_id"] == request_id]
    return states[0] if states else None


def refusal_of(link, which):
    try:
        return f"done: {link.answer(which)}"
    except Refused as refusal:
        return refusal.code, refusal.outcome


def test_a_write_that_waits_for_a_slow_one_is_refused_at_its_deadline_and_never_applied(fixture):
    _, client = serve(fixture)
    slow = fixture.connect()
    which = begin_endless_write(client, slow)
    waits = client.post("write", db="app.db", agent="quick", deadline_ms=300, statements=statement("INSERT INTO t VALUES (7)"))
    is_equal(refusal_of(client, waits), ("deadline_exceeded", "not_committed"))
    is_equal(state_of(client, "endless"), "running")
    is_equal(client.call("cancel", request_id="endless", as_operator=True), {"cancelled": True})
    is_equal(refusal_of(slow, which), ("cancelled", "not_committed"))
    is_equal(count(fixture), 0)


def test_a_waiting_read_is_answered_at_its_time_out(fixture):
    _, client = serve(fixture, env={"SLUICE_READERS": "1"})
    slow = fixture.connect()
    slow.post("read", db="app.db", sql=ENDLESS + "SELECT count(*) FROM n", timeout_ms=DAY_MS, request_id="endless")
    wait_until(lambda: state_of(client, "endless") == "running", "the read runs")
    # With one reader, two long reads cannot run at the same time.
    is_equal(client.refusal("read", db="app.db", sql=ENDLESS + "SELECT sum(x) FROM n", freshness="fresh",
                            timeout_ms=1_000).code, "deadline_exceeded")
    wait_until(lambda: state_of(client, "endless") == "running", "it still does")


def test_with_one_reader_short_reads_do_not_wait_for_a_long_one(fixture):
    _, client = serve(fixture, env={"SLUICE_READERS": "1"})
    slow = fixture.connect()
    slow.post("read", db="app.db", sql=ENDLESS + "SELECT count(*) FROM n", timeout_ms=DAY_MS, request_id="endless")
    for number in range(20):
        is_equal(client.read("app.db", f"SELECT {number}", freshness="fresh", timeout_ms=DAY_MS), [[number]])
    wait_until(lambda: state_of(client, "endless") == "running", "the long one runs")
    is_equal(client.read("app.db", "SELECT 7", freshness="fresh", timeout_ms=DAY_MS), [[7]])
    is_equal(state_of(client, "endless"), "running")


def test_long_reads_leave_a_reader_for_short_ones(fixture):
    _, client = serve(fixture)
    slow = [fixture.connect() for _ in range(4)]
    for number, link in enumerate(slow):
        link.post("read", db="app.db", sql=f"{ENDLESS}SELECT count(*) FROM n WHERE x <> -{number}", freshness="fresh",
                  timeout_ms=DAY_MS, agent=f"slow-{number}", request_id=f"endless-{number}")
    # One of the three readers for long reads is left to other processes.
    wait_until(lambda: sum(state_of(client, f"endless-{x}") == "running" for x in range(4)) == 2, "two of four run")
    is_equal(client.read("app.db", "SELECT 7", freshness="fresh", timeout_ms=DAY_MS), [[7]])


def test_long_reads_of_many_databases_leave_threads_for_short_ones(fixture):
    _, client = serve(fixture, env={"SLUICE_BLOCKING_THREADS": "8"})
    databases = [f"db-{x}.db" for x in range(8)]
    for db in databases:
        client.write(db, "CREATE TABLE t (a INTEGER)")
    slow = fixture.connect()
    for number, db in enumerate(databases):
        slow.post("read", db=db, sql=f"{ENDLESS}SELECT count(*) FROM n WHERE x <> -{number}", freshness="fresh",
                  timeout_ms=DAY_MS, agent=f"slow-{number}", request_id=f"endless-{number}")
    states = lambda: [state_of(client, f"endless-{x}") for x in range(8)]
    # Of 8 threads, two are for writers, two for pages of cursors and two for short reads. One of the other two is left to
    # other processes.
    wait_until(lambda: sorted(map(str, states())) == ["queued"] * 7 + ["running"], "one of eight runs, the others wait")
    is_equal(client.read("app.db", "SELECT 7", freshness="fresh", timeout_ms=DAY_MS), [[7]])
    is_equal(client.read(databases[0], "SELECT 7", freshness="fresh", timeout_ms=DAY_MS), [[7]])
    is_equal(client.call("cancel", request_id=f"endless-{states().index('running')}", as_operator=True),
             {"cancelled": True})
    wait_until(lambda: states().count("running") == 1, "another database's read has its turn")


def test_long_writes_to_many_databases_leave_a_thread_for_other_databases(fixture):
    _, client = serve(fixture, env={"SLUICE_BLOCKING_THREADS": "4"})
    databases = [f"db-{x}.db" for x in range(6)]
    for db in databases:
        client.write(db, "CREATE TABLE t (a INTEGER)")
    slow = fixture.connect()
    calls = [slow.post("write", db=db, agent="slow", deadline_ms=DAY_MS, request_id=f"slow-{db}",
                       statements=statement(ENDLESS + "INSERT INTO t SELECT x FROM n WHERE x < 0"))
             for db in databases]
    wait_until(lambda: all(state_of(client, f"slow-{db}") == "running" for db in databases), "all of them run")
    is_equal(client.write("app.db", "INSERT INTO t VALUES (7)", deadline_ms=DAY_MS)["outcome"], "committed")
    for db, which in zip(databases, calls):
        client.call("cancel", request_id=f"slow-{db}", as_operator=True)
        is_equal(refusal_of(slow, which), ("cancelled", "not_committed"))


def test_an_agent_with_one_small_write_is_served_before_all_slow_ones_of_another(fixture):
    _, client = serve(fixture)
    chatty = fixture.connect()
    numbers = 1_000_000
    calls = [chatty.post("write", db="app.db", agent="chatty", deadline_ms=DAY_MS, request_id=f"slow-{x}",
                         statements=statement(MANY.format(numbers + x) + "INSERT INTO t SELECT -x FROM n"))
             for x in range(6)]
    wait_until(lambda: state_of(client, "slow-0") == "running", "the first one is executed")
    wait_until(lambda: state_of(client, "slow-5") == "queued", "the last one waits")
    quiet = client.write("app.db", "INSERT INTO t VALUES (7)", agent="quiet", deadline_ms=DAY_MS)
    last = chatty.answer(calls[-1])
    is_true(quiet["commit_seq"] < last["commit_seq"], f"{quiet['commit_seq']} is not before {last['commit_seq']}")


def test_every_request_is_answered_when_the_broker_ends_during_a_long_write(fixture):
    server, client = serve(fixture)
    slow = fixture.connect()
    which = begin_endless_write(client, slow)
    behind = fixture.connect()
    waits = behind.post("write", db="app.db", deadline_ms=DAY_MS, statements=statement("INSERT INTO t VALUES (7)"))
    wait_until(lambda: len(client.call("status")["running"]) == 2, "another one waits")
    server.signal(signal.SIGTERM)
    is_equal(refusal_of(slow, which), ("unavailable", "not_committed"))
    is_equal(refusal_of(behind, waits), ("unavailable", "not_committed"))
    server.end().good()
    is_equal(count(fixture), 0)


def test_status_and_cancel_show_and_end_running_requests(fixture):
    _, client = serve(fixture)
    slow = fixture.connect()
    which = begin_endless_write(client, slow)
    shown = fixture.run("status").good().out
    is_true("endless" in shown and "slow" in shown and "running" in shown, shown)
    looked_at = fixture.run("top", "--count", "1").good().out
    is_true("endless" in looked_at and "running" in looked_at, looked_at)
    is_equal(fixture.run("cancel", "endless").good().out, "cancelled\n")
    is_equal(refusal_of(slow, which), ("cancelled", "not_committed"))
    nothing = fixture.run("cancel", "endless")
    is_equal((nothing.status, nothing.out), (1, ""))
    is_true("no request 'endless'" in nothing.err, str(nothing))


if __name__ == "__main__":
    run_tests()
