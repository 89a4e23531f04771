"""The end of a broker: by a signal, by a request, or for a client of a newer version."""

import os
import random
import signal
import subprocess
import time

from harness import is_equal, is_running, is_true, run_tests, wait_until
from link import Refused, request
from rig import TABLE, Writers, count, make_table, under_way


def test_a_transient_broker_ends_for_a_newer_client(fixture):
    make_table(fixture)
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)").good()
    first = fixture.leader()
    with fixture.connect() as newer, fixture.connect() as other:
        under = under_way(fixture, other)
        # The client has sent a write right after its hello. The write belongs to another protocol version.
        newer.send_bytes(request(1, "hello", protocol=2, client="newer")
                         + request(2, "write", db="app.db", statements=[{"sql": "DELETE FROM t"}]))
        newer.last_id = 2
        refused = refusal_of(newer, 1)
        is_equal((refused.code, refused.outcome), ("protocol_mismatch", "not_committed"))
        is_equal((refused.data["protocol"], refused.data["hands_over"]), (1, True))
        is_equal(refusal_of(newer, 2).code, "protocol_mismatch")
        is_equal(newer.at_end(), [])
        is_equal(other.answer(under)["outcome"], "committed")
        is_equal(other.at_end(), [])
    wait_until(lambda: not is_running(first), "the older leader has gone")
    is_equal(count(fixture), 300_001)
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (2)").good()
    is_true(fixture.leader() not in (None, first), "another broker leads")


def refusal_of(link, which):
    try:
        result = link.answer(which)
    except Refused as x:
        return x
    raise AssertionError(f"not refused: {result}")


def test_a_permanent_broker_refuses_a_newer_client_with_both_versions(fixture):
    server = fixture.serve()
    with fixture.connect() as newer, fixture.connect() as same:
        same.write("app.db", TABLE)
        same.write("app.db", "INSERT INTO t VALUES (1)")
        refused = newer.refusal("hello", protocol=2)
        is_equal((refused.code, refused.data["hands_over"]), ("protocol_mismatch", False))
        is_true("protocol 1" in str(refused), str(refused))
        for i in range(2):
            refused = newer.refusal("write", db="app.db", statements=[{"sql": "DELETE FROM t"}])
            is_equal((refused.code, refused.outcome), ("protocol_mismatch", "not_committed"))
        is_equal(newer.refusal("shutdown").code, "protocol_mismatch")
        is_equal(same.read("app.db", "SELECT count(*) FROM t"), [[1]])
    is_equal(fixture.leader(), server.pid)
    is_equal([x["status"] for x in fixture.audit() if x["request_type"] == "write"],
             ["committed"] * 2 + ["protocol_mismatch"] * 2)


def test_an_older_client_does_not_end_a_transient_broker(fixture):
    fixture.run("exec", "app.db", TABLE).good()
    with fixture.connect() as older, fixture.connect() as same:
        is_equal(older.refusal("hello", protocol=0).error["code"], -32602)
        is_equal(same.call("ping")["pong"], True)


def test_sigterm_lets_requests_under_way_finish(fixture):
    server = fixture.serve()
    with fixture.connect() as link, fixture.connect() as idle:
        link.write("app.db", TABLE)
        idle.call("ping")
        which = under_way(fixture, link)
        server.signal(signal.SIGTERM)
        is_equal(link.answer(which)["outcome"], "committed")
        is_equal(link.at_end(), [])
        is_equal(idle.at_end(), [])
    server.end().good()
    is_equal(fixture.leader_files(), [])
    is_equal(count(fixture), 300_000)


def test_a_second_sigterm_ends_the_broker_at_once(fixture):
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        which = under_way(fixture, link, rows=1_000_000_000)
        server.signal(signal.SIGTERM)
        wait_until(lambda: not os.path.exists(fixture.path(".sluice", "broker.sock")), "it drains")
        is_true(not server.ended(), "it waits for the request")
        server.signal(signal.SIGTERM)
        is_equal(server.end(20).status, -signal.SIGTERM)
        try:
            link.answer(which)
            raise AssertionError("answered")
        except ConnectionError:
            pass
    is_equal(fixture.run("query", "app.db", "SELECT count(*) FROM t", "--csv").good().out.split(), ["count(*)", "0"])


def test_sigint_and_sighup_stop_the_broker_like_sigterm(fixture):
    for x in (signal.SIGINT, signal.SIGHUP):
        server = fixture.serve()
        server.signal(x)
        server.end().good()
        is_equal(fixture.leader_files(), [])


def test_a_broker_that_is_stopped_as_soon_as_it_serves_leaves_nothing(fixture):
    for _ in range(5):
        servers = []
        for i in range(8):
            root = fixture.path(str(i))
            os.makedirs(root, exist_ok=True)
            servers.append((fixture.start("serve", root), root))
        # The broker checks its folder a tenth of a second after its start.
        for server, root in servers:
            info = os.path.join(root, ".sluice", "broker.json")
            wait_until(lambda: server.ended() or os.path.exists(info), "it serves")
        # If the broker is late, the check and the signal are due at the same time.
        for server, root in servers:
            server.signal(signal.SIGSTOP)
        until = time.monotonic() + random.uniform(0.05, 0.12)
        wait_until(lambda: time.monotonic() >= until, "the random time has passed")
        for server, root in servers:
            server.signal(signal.SIGTERM)
            server.signal(signal.SIGCONT)
        for server, root in servers:
            server.end().good()
            is_equal(sorted(set(os.listdir(os.path.join(root, ".sluice"))) - {"audit.db", "files.json", "logs.db"}), [])


def test_stop_waits_until_the_broker_has_gone(fixture):
    is_equal(fixture.run("stop").good().out, "no broker is running\n")
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        which = under_way(fixture, link)
        is_equal(fixture.run("stop").good().out, "stopped\n")
        is_equal(fixture.leader_files(), [])
        is_equal(link.answer(which)["outcome"], "committed")
    server.end().good()
    is_equal(fixture.run("stop").good().out, "no broker is running\n")


def test_requests_sent_to_an_ending_broker_are_repeated_at_the_next(fixture):
    make_table(fixture)
    writers = Writers(fixture)
    for _ in range(5):
        seen = count(fixture)
        wait_until(lambda: count(fixture) > seen + 3, "the writers are at work")
        is_equal(fixture.run("stop").good().out, "stopped\n")
    written = writers.stop()
    is_equal(count(fixture), written)
    fixture.audit_is_whole()


def test_a_broker_can_be_stopped_whatever_signals_its_first_client_ignores(fixture):
    text = 'trap "" TERM HUP INT; exec "$0" exec app.db "$1"'
    subprocess.run(["sh", "-c", text, fixture.program, TABLE], cwd=fixture.store, env=fixture.env, check=True,
                   stdout=subprocess.DEVNULL)
    pid = fixture.leader()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(pid), "it ends")
    is_equal(fixture.leader_files(), [])


if __name__ == "__main__":
    run_tests()
