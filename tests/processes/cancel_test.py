"""Requests end when their client leaves or cancels them; those of other clients do not."""

import http.client
import json
import os
import signal
import socket
import subprocess

from harness import is_equal, is_running, is_true, run_tests, wait_until
from link import Refused, request
from rig import count, serve, still_serves, under_way

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
DAY_MS = 86_400_000


def endless(number):
    """The SQL of an endless read that cannot join another one."""
    return f"{ENDLESS} WHERE x <> -{number}"


def audited(client, status, request_type="read"):
    return [x for x in client.call("audit.list", status=status, limit=10_000)["records"] if x["request_type"] == request_type]


def await_cancelled(client, number, request_type="read"):
    wait_until(lambda: len(audited(client, "cancelled", request_type)) >= number, f"{number} requests have been cancelled")


def await_connections(client, number):
    wait_until(lambda: client.call("status")["front_door"]["connections"] == number, f"{number} connections")


def await_running(client):
    """Waits for a running read. Cancelled ones are no longer listed."""
    running = lambda: [x for x in client.call("status")["running"] if x["state"] == "running" and x["sql"].startswith(ENDLESS)]
    wait_until(running, "the read runs")


def test_a_read_ends_with_its_client_over_the_socket_and_the_command_line(fixture):
    server, client = serve(fixture, env={"SLUICE_READERS": "16"}, stdin=subprocess.DEVNULL)
    ended = 0

    def ends(leave):
        nonlocal ended
        ended += 1
        leave()
        await_cancelled(client, ended)

    for more in ({}, {"request_id": "mine"}, {"freshness": "fresh"}):
        link = fixture.connect()
        link.post("read", db="app.db", sql=endless(ended), timeout_ms=DAY_MS, **more)
        link.call("ping")
        ends(link.close)
    # One program gets Ctrl-C, the other is killed.
    for word in (signal.SIGINT, signal.SIGKILL):
        before = client.call("status")["front_door"]["connections"]
        command = fixture.start("query", "app.db", endless(ended), env={"SLUICE_READ_TIMEOUT_MS": str(DAY_MS)})
        await_connections(client, before + 1)
        await_running(client)
        ends(lambda: command.signal(word))
        command.end()
    still_serves(fixture, server, client)


def over_http(fixture, path, method, params):
    """Sends a request, and returns the connection."""
    web = http.client.HTTPConnection(fixture.info()["http"])
    with open(fixture.path(".sluice", "token")) as token:
        web.request("POST", path, json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
                    {"Authorization": "Bearer " + token.read().strip(), "Content-Type": "application/json"})
    return web


def test_a_read_over_http_ends_with_its_client(fixture):
    server = fixture.serve("--http", "127.0.0.1:0")
    with fixture.connect() as client:
        client.write("app.db", "CREATE TABLE t (a INTEGER)")
        params = {"db": "app.db", "sql": endless(1), "timeout_ms": DAY_MS}
        ended = 0
        for path, method, params in [("/rpc", "read", {**params, "request_id": "mine"}), ("/rpc", "read", params),
                                     ("/mcp", "tools/call", {"name": "sluice_read", "arguments": params})]:
            web = over_http(fixture, path, method, params)
            wait_until(lambda: client.call("status")["front_door"]["connections"] == 2, "it is connected")
            await_running(client)
            web.sock.shutdown(socket.SHUT_RDWR)
            web.close()
            ended += 1
            await_cancelled(client, ended)
        still_serves(fixture, server, client)


def test_a_read_over_stdio_ends_with_its_host(fixture):
    server, client = serve(fixture)
    env = {"SLUICE_LINGER_MS": "200"}
    ended = 0

    def start_read(pipe):
        pipe.popen.stdin.write(request(1, "read", db="app.db", sql=endless(ended), timeout_ms=DAY_MS).decode())
        pipe.popen.stdin.write(request(2, "ping").decode())
        pipe.popen.stdin.flush()
        is_equal(json.loads(pipe.popen.stdout.readline())["id"], 2)
        await_running(client)

    killed = fixture.start("serve", "--stdio", stdin=subprocess.PIPE, env=env)
    start_read(killed)
    killed.signal(signal.SIGKILL)
    ended += 1
    await_cancelled(client, ended)
    # The host has died, so the answer has no receiver.
    orphan = fixture.start("serve", "--stdio", stdin=subprocess.PIPE, env=env)
    start_read(orphan)
    orphan.popen.stdin.close()
    orphan.popen.stdout.close()
    ended += 1
    await_cancelled(client, ended)
    wait_until(lambda: not is_running(orphan.pid), "the bridge has ended as well")
    still_serves(fixture, server, client)


def test_a_queued_write_ends_with_its_client_and_one_that_runs_goes_on(fixture):
    server, client = serve(fixture)
    with fixture.connect() as busy:
        running = under_way(fixture, busy)
        with fixture.connect() as gone:
            for n in range(10):
                gone.post("write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (-1)"}])
            gone.call("ping")
        is_equal(busy.answer(running)["outcome"], "committed")
    await_cancelled(client, 10, "write")
    is_equal(client.read("app.db", "SELECT count(*) FROM t WHERE a = -1"), [[0]])
    with fixture.connect() as gone:
        under_way(fixture, gone)
    wait_until(lambda: client.read("app.db", "SELECT count(*) FROM t") == [[600_000]], "the running write is committed")
    still_serves(fixture, server, client)


def test_a_flood_of_clients_that_leave_does_not_keep_the_broker_from_ending(fixture):
    server, client = serve(fixture)
    with fixture.connect() as busy:
        running = under_way(fixture, busy)
        for n in range(500):
            with fixture.connect() as gone:
                numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000)"
                gone.post("write", db="app.db", statements=[{"sql": f"{numbers} INSERT INTO t SELECT -1 FROM n"}])
                gone.post("read", db="app.db", sql=endless(n), timeout_ms=DAY_MS)
                for method in ("status", "audit.verify", "audit.list", "logs.recent"):
                    gone.post(method)
        server.signal(signal.SIGTERM)
        is_equal(busy.answer(running)["outcome"], "committed")
        is_equal(busy.at_end(), [])
    client.close()
    server.end().good()
    # All 500 writes would take minutes. One may have begun before its client had gone.
    is_true(count(fixture) <= 100 * 300_000, f"{count(fixture)} rows")


def test_notifications_of_a_client_that_has_left_are_executed(fixture):
    server, client = serve(fixture)
    with fixture.connect() as gone:
        for n in range(100):
            document = {"jsonrpc": "2.0", "method": "write",
                        "params": {"db": "app.db", "statements": [{"sql": f"INSERT INTO t VALUES ({n})"}]}}
            gone.send_bytes(json.dumps(document).encode() + b"\n")
    wait_until(lambda: client.read("app.db", "SELECT count(*) FROM t") == [[100]], "all notifications are executed")
    still_serves(fixture, server, client)


CANCEL = """
import json, socket, sys
x = socket.socket(socket.AF_UNIX)
x.connect(sys.argv[1])
x.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "cancel", "params": json.loads(sys.argv[2])}).encode() + b"\\n")
print(x.makefile().readline())
"""


def cancel_elsewhere(fixture, **params):
    """Sends cancel from another process; returns whether it cancelled a request."""
    end = subprocess.run(["python3", "-c", CANCEL, fixture.info()["socket"], json.dumps(params)], capture_output=True,
                         text=True)
    return json.loads(end.stdout)["result"]["cancelled"]


def test_cancel_works_for_the_same_agent_process_or_connection_and_for_an_operator(fixture):
    server, client = serve(fixture)
    with fixture.connect() as link:
        def begin(n):
            which = link.post("read", db="app.db", sql=endless(n), timeout_ms=DAY_MS, request_id="report",
                              agent="alice")
            link.call("ping")
            return which

        def is_cancelled(which):
            try:
                link.answer(which)
            except Refused as x:
                return x.code == "cancelled"
            return False

        which = begin(1)
        for more in ({}, {"agent": "bob"}):
            is_equal(cancel_elsewhere(fixture, request_id="report", **more), False)
        is_equal(audited(client, "cancelled"), [])
        is_equal(cancel_elsewhere(fixture, request_id="report", agent="alice"), True)
        is_true(is_cancelled(which), "its agent cancels it")
        which = begin(2)
        is_equal(link.call("cancel", request_id="report", agent="bob")["cancelled"], True)
        is_true(is_cancelled(which), "its connection cancels it")
        which = begin(3)
        is_equal(client.call("cancel", request_id="report", agent="bob")["cancelled"], True)
        is_true(is_cancelled(which), "its process cancels it")
        which = begin(4)
        is_equal(cancel_elsewhere(fixture, request_id="report", agent="bob", as_operator=True), True)
        is_true(is_cancelled(which), "an operator cancels it")
        is_equal(link.call("cancel", request_id="report")["cancelled"], False)
    still_serves(fixture, server, client)


def test_cancel_and_small_requests_do_not_wait_behind_the_reads_of_their_connection(fixture):
    server, client = serve(fixture, env={"SLUICE_READERS": "2"})
    with fixture.connect() as link:
        reads = {n: link.post("read", db="app.db", sql=endless(n), timeout_ms=DAY_MS, request_id=f"r{n}")
                 for n in range(20)}
        late = link.post("read", db="app.db", sql=endless(99), timeout_ms=50)
        is_equal(link.call("ping")["pid"], server.pid)
        is_equal(link.write("app.db", "INSERT INTO t VALUES (1)")["outcome"], "committed")
        try:
            link.answer(late)
            raise AssertionError("answered")
        except Refused as x:
            is_equal(x.code, "deadline_exceeded")
        for n in (19, 0, 10):
            is_equal(link.call("cancel", request_id=f"r{n}")["cancelled"], True)
            try:
                link.answer(reads[n])
                raise AssertionError("answered")
            except Refused as x:
                is_equal((x.code, x.data["request_id"]), ("cancelled", f"r{n}"))
    await_cancelled(client, 20)
    still_serves(fixture, server, client)


if __name__ == "__main__":
    run_tests()
