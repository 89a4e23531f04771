"""Clients harm neither the broker nor each other, whatever they send or omit."""

import json
import os
import signal
import socket
import subprocess
import sys

from harness import NOBODY, Skipped, is_equal, is_running, is_true, run_tests, wait_until
from link import Refused, request
from rig import TABLE, serve, still_serves

MANY = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {}) "

# A read that takes many times longer than an ordinary request, and returns one row.
SLOW = MANY.format(2_000_000) + "SELECT count(*) FROM n"

# A read that does not end by itself while a test runs.
ENDLESS = MANY.format(100_000_000_000) + "SELECT count(*) FROM n"

# The answer has a few megabytes.
LARGE = MANY.format(7_000) + "SELECT hex(randomblob(500)) FROM n"


def test_garbage_is_answered_with_an_error_and_the_connection_stays(fixture):
    server, client = serve(fixture)
    wanted = {
        b"garbage": -32700,
        b"\xff\xfe\x00\x01": -32700,
        b"{": -32700,
        b"[" * 100_000: -32700,
        b'{"jsonrpc":"2.0","id":1,"method":"ping"} x': -32700,
        b"[]": -32600,
        b"1": -32600,
        b"null": -32600,
        b'"ping"': -32600,
        b'{"id":1,"method":"ping"}': -32600,
        b'{"jsonrpc":"2.0","id":1}': -32600,
        b'{"jsonrpc":"2.0","id":{},"method":"ping"}': -32600,
        b'{"jsonrpc":"2.0","id":1,"method":"no_such"}': -32601,
        b'{"jsonrpc":"2.0","id":1,"method":"read","params":{"db":"app.db"}}': -32602,
        b'{"jsonrpc":"2.0","id":1,"method":"read","params":{"db":5,"sql":"SELECT 1"}}': -32602,
    }
    with fixture.connect() as link:
        for line, code in wanted.items():
            link.send_bytes(line + b"\n")
            is_equal(link.receive()["error"]["code"], code, repr(line[:60]))
        # The broker ignores blank lines.
        link.send_bytes(b"\n \t\r\n")
        is_equal(link.call("ping")["pong"], True)
    still_serves(fixture, server, client)


def test_random_bytes_affect_only_the_connection_that_sends_them(fixture):
    server, client = serve(fixture)
    for _ in range(20):
        with fixture.connect() as link:
            try:
                link.send_bytes(os.urandom(200_000))
                link.socket.shutdown(socket.SHUT_WR)
            except OSError:
                continue
            for answer in link.at_end():
                is_true("error" in answer, str(answer))
    still_serves(fixture, server, client)


def test_a_partial_message_before_the_end_of_a_connection_is_not_executed(fixture):
    server, client = serve(fixture)
    whole = request(1, "write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (666)"}])
    for size in (1, 10, len(whole) // 2, len(whole) - 3):
        with fixture.connect() as link:
            link.send_bytes(whole[:size])
        with fixture.connect() as link:
            link.send_bytes(whole[:size])
            link.socket.shutdown(socket.SHUT_WR)
            is_equal([x["error"]["code"] for x in link.at_end()], [-32700])
    still_serves(fixture, server, client)
    is_equal(client.read("app.db", "SELECT count(*) FROM t WHERE a = 666"), [[0]])


def test_a_partial_message_followed_by_silence_delays_no_other_client(fixture):
    server, client = serve(fixture)
    links = [fixture.connect() for _ in range(20)]
    for x in links:
        x.send_bytes(b'{"jsonrpc":"2.0","id":1,"method":"wri')
    still_serves(fixture, server, client)
    server.signal(signal.SIGTERM)
    # The silent connection does not keep the broker from ending either.
    server.end(20).good()


def test_a_silent_connection_is_closed_after_a_while_and_delays_no_other_client(fixture):
    server, client = serve(fixture, env={"SLUICE_CONNECTION_IDLE_MS": "300"})
    silent = [fixture.connect() for _ in range(20)]
    spoke = fixture.connect()
    spoke.call("ping")
    # A client that waits for an answer is not silent.
    busy = fixture.connect()
    slow = busy.post("read", db="app.db", sql=SLOW, timeout_ms=60_000)
    for x in silent:
        is_equal(x.at_end(), [])
    is_equal(spoke.at_end(), [])
    is_equal(busy.answer(slow)["rows"], [[2_000_000]])
    client.close()
    still_serves(fixture, server, fixture.connect())


def test_five_hundred_requests_in_one_write_are_all_answered(fixture):
    server, client = serve(fixture)
    with fixture.connect() as link:
        link.send_bytes(b"".join(
            request(i, "write", db="app.db", statements=[{"sql": f"INSERT INTO t VALUES ({i})"}]) for i in range(500)))
        seqs = [link.answer(i)["commit_seq"] for i in range(500)]
    # The writes of one connection are executed in the order sent.
    is_equal(sorted(seqs), seqs)
    is_equal(client.read("app.db", "SELECT a FROM t ORDER BY rowid"), [[i] for i in range(500)])
    still_serves(fixture, server, client)


def test_writes_to_a_database_that_is_being_opened_are_executed_in_the_order_sent(fixture):
    server, client = serve(fixture)
    for round in range(5):
        name = f"new-{round}.db"
        lines = [request(0, "write", db=name, statements=[{"sql": TABLE}])]
        lines += [request(i, "write", db=name, statements=[{"sql": f"INSERT INTO t VALUES ({i})"}])
                  for i in range(1, 300)]
        with fixture.connect() as link:
            # Sends in pieces, so that some requests arrive while the file is being opened, and some later.
            for i in range(0, 300, 20):
                link.send_bytes(b"".join(lines[i:i + 20]))
            is_equal([link.answer(i)["outcome"] for i in range(300)], ["committed"] * 300)
        is_equal(client.read(name, "SELECT a FROM t ORDER BY rowid"), [[i] for i in range(1, 300)])
    still_serves(fixture, server, client)


def test_a_batch_has_one_answer(fixture):
    server, client = serve(fixture)
    with fixture.connect() as link:
        batch = [json.loads(request(i, "write", db="app.db", statements=[{"sql": f"INSERT INTO t VALUES ({i})"}]))
                 for i in range(3)]
        batch += [{"jsonrpc": "2.0", "method": "ping"}, 1, {"jsonrpc": "2.0", "id": "x", "method": "no_such"}]
        link.send_bytes(json.dumps(batch).encode() + b"\n")
        answers = link.receive()
        is_equal(sorted(str(x["id"]) for x in answers), ["0", "1", "2", "None", "x"])
        is_equal(sorted(x["error"]["code"] for x in answers if "error" in x), [-32601, -32600])
        # A batch of notifications has no answer.
        link.send_bytes(b'[{"jsonrpc":"2.0","method":"ping"}]\n')
        is_equal(link.call("ping")["pong"], True)
    is_equal(client.read("app.db", "SELECT count(*) FROM t"), [[3]])
    still_serves(fixture, server, client)


def test_a_slow_read_delays_no_later_answer(fixture):
    _, client = serve(fixture)
    with fixture.connect() as link:
        slow = link.post("read", db="app.db", sql=SLOW, timeout_ms=60_000)
        fast = [link.post("read", db="app.db", sql=f"SELECT {i}") for i in range(10)]
        write = link.post("write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (1)"}])
        is_equal([link.answer(x)["rows"] for x in fast], [[[i]] for i in range(10)])
        is_equal(link.answer(write)["outcome"], "committed")
        is_equal(link.answer(slow)["rows"], [[2_000_000]])
        is_equal(link.order[-1], slow)
    is_equal(client.call("ping")["pong"], True)


def test_a_client_that_closes_its_sending_side_still_gets_its_answers(fixture):
    server, client = serve(fixture)
    with fixture.connect() as link:
        slow = link.post("read", db="app.db", sql=SLOW, timeout_ms=60_000)
        large = link.post("read", db="app.db", sql=LARGE)
        # The last line has no newline.
        link.send_bytes(request(99, "write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (5)"}])[:-1])
        link.socket.shutdown(socket.SHUT_WR)
        is_equal(link.answer(slow)["rows"], [[2_000_000]])
        is_equal(len(link.answer(large)["rows"]), 7_000)
        is_equal(link.answer(99)["outcome"], "committed")
        is_equal(link.at_end(), [])
    still_serves(fixture, server, client)


# Sends a request to the socket of another user, past the folder's mode, and prints the answer.
STRANGER = """
import json, os, socket, sys
x = socket.socket(socket.AF_UNIX)
x.settimeout(60)
folder = os.open(os.path.dirname(sys.argv[1]), os.O_PATH)
os.setgroups([])
os.setresgid(int(sys.argv[2]), int(sys.argv[2]), int(sys.argv[2]))
os.setresuid(int(sys.argv[2]), int(sys.argv[2]), int(sys.argv[2]))
try:
    x.connect(sys.argv[1])
    try:
        x.sendall(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\\n')
    except OSError:
        pass
    print(x.makefile().readline(), end="")
except OSError as error:
    print(json.dumps({"refused": error.errno}))
"""


def ask_as(fixture, user):
    path = fixture.info()["socket"]
    end = subprocess.run([sys.executable, "-c", STRANGER, path, str(user)], capture_output=True, text=True)
    is_equal(end.returncode, 0, end.stderr)
    return json.loads(end.stdout)


def test_another_user_is_refused(fixture):
    if os.geteuid() != 0:
        raise Skipped("only root can become another user")
    server, client = serve(fixture)
    is_equal(ask_as(fixture, NOBODY), {"refused": 13})
    # The broker refuses other users even if the modes of folder and socket allow them.
    os.chmod(fixture.scratch, 0o711)
    os.chmod(fixture.path(".sluice"), 0o711)
    os.chmod(fixture.path(".sluice", "broker.sock"), 0o666)
    answer = ask_as(fixture, NOBODY)
    is_equal(answer["error"]["data"]["code"], "not_authorized")
    still_serves(fixture, server, client)


def test_the_broker_of_an_ordinary_user_refuses_root(fixture):
    fixture.as_nobody()
    server, = [fixture.serve()]
    is_equal(ask_as(fixture, 0)["error"]["data"]["code"], "not_authorized")
    is_true(ask_as(fixture, NOBODY)["result"]["pong"], "the user of the broker is accepted")
    # The program neither uses a socket of another user nor writes without its broker.
    end = fixture.run("exec", "app.db", TABLE, prefix=[], env={"SLUICE_LOCK_WAIT_MS": "200"})
    is_equal(end.status, 1, str(end))
    is_true("not_authorized" in end.err, str(end))
    is_true(not os.path.exists(fixture.path("app.db")), "the program wrote without the broker")
    is_true(is_running(server.pid), "the broker is still running")


def test_a_running_read_can_be_cancelled_by_its_request_id(fixture):
    _, client = serve(fixture)
    with fixture.connect() as link:
        which = link.post("read", db="app.db", sql=ENDLESS, timeout_ms=600_000, request_id="endless")
        wait_until(lambda: client.call("cancel", request_id="endless")["cancelled"], "it can be cancelled")
        try:
            link.answer(which)
            raise AssertionError("answered")
        except Refused as x:
            is_equal(x.code, "cancelled")
        is_equal(link.call("ping")["pong"], True)
    is_equal(client.call("cancel", request_id="endless")["cancelled"], False)
    is_equal(client.call("cancel", request_id="never was")["cancelled"], False)


def test_reads_end_when_their_client_has_left(fixture):
    server, client = serve(fixture, env={"SLUICE_READERS": "2"})
    for _ in range(4):
        with fixture.connect() as link:
            link.post("read", db="app.db", sql=ENDLESS, timeout_ms=600_000)
            link.post("ping")
            link.pump()
    # If both readers still ran their reads, this one would wait for ever.
    is_equal(client.read("app.db", "SELECT 1", freshness="fresh", timeout_ms=60_000), [[1]])
    still_serves(fixture, server, client)


def test_the_audit_names_the_peer_process_whatever_agent_it_claims(fixture):
    _, client = serve(fixture)
    end = fixture.start("exec", "app.db", "INSERT INTO t VALUES (1)", "--agent", "alice")
    end.end().good()
    client.write("app.db", "INSERT INTO t VALUES (2)", agent="alice", request_id="mine")
    client.write("app.db", "INSERT INTO t VALUES (3)", request_id="nameless")
    records = [x for x in client.call("audit.list")["records"] if x["request_type"] == "write"]
    by_alice = [(x["peer_pid"], x["peer_uid"]) for x in records if x["agent"] == "alice"]
    is_equal(by_alice, [(end.pid, os.getuid()), (os.getpid(), os.getuid())])
    nameless = [x for x in records if x["request_id"] == "nameless"][0]
    is_true(nameless["agent"].endswith(f"@{os.getpid()}"), nameless["agent"])


if __name__ == "__main__":
    run_tests()
