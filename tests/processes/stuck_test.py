"""A broker that is stopped while SQLite is in a function that it cannot interrupt."""

import os
import signal

from harness import Skipped, is_equal, is_true, run_tests, wait_until
from link import Refused
from rig import TABLE, cpu_ticks

# Before it answers, matchinfo compares the positions of 300 terms in a row of a million matches, sixteen times.
TERMS = " OR ".join(["a"] * 300)
STUCK = f"SELECT length(matchinfo(f, 'ssssssssssssssss')) FROM f WHERE f MATCH '{TERMS}'"
# SQLite can be interrupted until it begins these comparisons. The time until then depends on the machine.
DEADLINES_MS = (5_000, 20_000, 80_000)


def make_text(link):
    link.write("app.db", TABLE)
    link.write("app.db", "CREATE VIRTUAL TABLE f USING fts4(x)")
    link.write("app.db", "INSERT INTO f SELECT replace(hex(zeroblob(1000000)), '0', 'a ')")


def post_stuck(fixture, link, method, deadline, **params):
    """Sends the request, and returns when its deadline has passed and the broker still executes it. `deadline` is the
    name of the parameter."""
    for deadline_ms in DEADLINES_MS:
        which = link.post(method, db="app.db", **params, **{deadline: deadline_ms})
        try:
            raise AssertionError(f"it was answered: {link.answer(which)}")
        except Refused as x:
            is_equal(x.code, "deadline_exceeded")
        before = cpu_ticks(fixture.leader())
        try:
            return wait_until(lambda: cpu_ticks(fixture.leader()) >= before + 20, "the statement goes on", 20)
        except AssertionError:
            if deadline_ms == DEADLINES_MS[-1]:
                raise
    return None


def stop_while_it_runs(fixture, method, way, **params):
    if os.environ.get("SLUICE_SANITIZED"):
        raise Skipped("the sanitizer's own functions take so long that SQLite is interrupted before the one in question")
    server = fixture.serve()
    with fixture.connect() as link:
        make_text(link)
        link.write("app.db", "INSERT INTO t VALUES (1)")
        post_stuck(fixture, link, method, **params)
        way(server)
        # The wait is far longer than the broker takes, and far shorter than the statement.
        end = server.end(40)
    is_equal(end.status, 1, str(end))
    is_true(f"a {method}" in end.err and "app.db does not end" in end.err, str(end))
    is_equal(fixture.run("query", "app.db", "SELECT count(*) FROM t", "--csv").good().out.split(), ["count(*)", "1"])


def test_a_stuck_write_does_not_keep_a_stopped_broker_from_ending(fixture):
    stop_while_it_runs(fixture, "write", lambda x: x.signal(signal.SIGTERM), sql=f"INSERT INTO t {STUCK}",
                       deadline="deadline_ms")


def test_a_stuck_read_does_not_keep_a_broker_that_a_client_stops_from_ending(fixture):
    stop_while_it_runs(fixture, "read", lambda _: fixture.run("stop").good(), sql=STUCK, deadline="timeout_ms")


if __name__ == "__main__":
    run_tests()
