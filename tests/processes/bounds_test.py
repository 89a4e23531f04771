"""Bounds of a line, of a connection and of all connections; clients that read no answers; descriptors."""

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time

from harness import is_equal, is_true, run_tests, wait_until
from link import request
from rig import TABLE, is_sanitized, resident_bytes, serve, still_serves

MANY = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {}) "

# The answer has a few megabytes.
LARGE = MANY.format(7_000) + "SELECT hex(randomblob(500)) FROM n"


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_a_line_of_a_hundred_megabytes_is_refused_as_too_large_and_not_kept_in_memory(fixture):
    server, client = serve(fixture)
    before = resident_bytes(server.pid)
    with fixture.connect() as link:
        chunk = b"x" * (1 << 20)
        try:
            for _ in range(100):
                link.send_bytes(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        refused = link.at_end()
        is_equal([x["error"]["data"]["code"] for x in refused], ["too_large"])
    still_serves(fixture, server, client)
    if not is_sanitized(fixture):
        grown = resident_bytes(server.pid) - before
        is_true(grown < 64 << 20, f"it grew by {grown >> 20} MiB")


def test_unfinished_lines_of_all_connections_together_are_bounded(fixture):
    server, client = serve(fixture, env={"SLUICE_MAX_INFLIGHT_BYTES": str(32 << 20)})
    before = resident_bytes(server.pid)
    links = [fixture.connect() for _ in range(40)]
    chunk = b"x" * (1 << 20)
    refused = 0
    # Each line has ten megabytes, which is within the bound of a line; together they have four hundred.
    for link in links:
        try:
            for _ in range(10):
                link.send_bytes(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        refused += bool(select.select([link.socket], [], [], 0)[0])
        is_equal(client.call("ping")["pong"], True)
    still_serves(fixture, server, client)
    grown = resident_bytes(server.pid) - before
    what = f"{refused} of 40 were refused, and it grew by {grown >> 20} MiB"
    is_true(refused > 30, what)
    is_true(is_sanitized(fixture) or grown < 128 << 20, what)


def test_a_request_of_the_allowed_size_is_served(fixture):
    server, client = serve(fixture)
    with fixture.connect() as link:
        text = "x" * (3 << 20)
        is_equal(link.write("app.db", "INSERT INTO t VALUES (?)", text)["outcome"], "committed")
    is_equal(client.read("app.db", "SELECT length(a) FROM t"), [[3 << 20]])
    still_serves(fixture, server, client)


def test_a_thousand_connections_at_once_are_served(fixture):
    server, client = serve(fixture)
    links = [fixture.connect() for _ in range(1000)]
    for i, x in enumerate(links):
        x.post("write", db="app.db", agent=f"agent-{i % 50}", statements=[{"sql": f"INSERT INTO t VALUES ({i})"}])
    is_equal([x.answer(1)["outcome"] for x in links], ["committed"] * 1000)
    is_equal(client.call("status")["front_door"]["connections"], 1001)
    is_equal(client.read("app.db", "SELECT count(*), count(DISTINCT a) FROM t"), [[1000, 1000]])
    for x in links:
        x.close()
    wait_until(lambda: client.call("status")["front_door"]["connections"] == 1, "their connections are closed")
    still_serves(fixture, server, client)


def test_connections_beyond_the_limit_are_refused_as_overloaded_and_the_others_stay(fixture):
    server, client = serve(fixture, env={"SLUICE_MAX_CONNECTIONS": "10"})
    links = [fixture.connect() for _ in range(9)]
    for x in links:
        x.call("ping")
    with fixture.connect() as extra:
        refused = extra.at_end()
        is_equal([x["error"]["data"]["code"] for x in refused], ["overloaded"])
        is_true(refused[0]["error"]["data"]["retry_after_ms"] > 0, str(refused))
    links.pop().close()
    wait_until(lambda: client.call("status")["front_door"]["connections"] == 9, "there is room again")
    still_serves(fixture, server, client)


def test_requests_beyond_max_pipelined_wait(fixture):
    server, client = serve(fixture, env={"SLUICE_MAX_PIPELINED": "4"})
    with fixture.connect() as link:
        link.send_bytes(b"".join(request(i, "read", db="app.db", sql=f"SELECT {i}") for i in range(200)))
        is_equal([link.answer(i)["rows"] for i in range(200)], [[[i]] for i in range(200)])
    still_serves(fixture, server, client)


def test_a_client_that_never_reads_its_answers_affects_no_other(fixture):
    server, client = serve(fixture, env={"SLUICE_SEND_TIMEOUT_MS": "2000"})
    before = resident_bytes(server.pid)
    greedy = [fixture.connect() for _ in range(4)]
    # Each client asks for half a gigabyte of answers, which takes minutes with sanitizers.
    answers = 15 if is_sanitized(fixture) else 70
    for link in greedy:
        link.send_bytes(b"".join(request(i, "read", db="app.db", sql=LARGE, freshness="fresh", timeout_ms=600_000)
                                 for i in range(answers)))
    waits, sizes = [], []

    def has_let_go():
        start = time.monotonic()
        is_equal(client.write("app.db", "INSERT INTO t VALUES (1)")["outcome"], "committed")
        connections = client.call("status")["front_door"]["connections"]
        waits.append(time.monotonic() - start)
        sizes.append(resident_bytes(server.pid) - before)
        return connections == 1

    wait_until(has_let_go, "those that take nothing are let go", patience=400)
    still_serves(fixture, server, client)
    what = f"another client waited {max(waits):.2f} s, and it grew by {max(sizes) >> 20} MiB"
    print(what)
    is_true(max(waits) < (50 if is_sanitized(fixture) else 10), what)
    is_true(is_sanitized(fixture) or max(sizes) < 1 << 30, what)


def test_a_client_that_is_stopped_in_the_middle_of_an_answer_delays_no_other_and_gets_the_rest(fixture):
    server, client = serve(fixture)
    command = fixture.start("query", "app.db", LARGE, "--csv")
    os.set_blocking(command.popen.stdout.fileno(), False)
    # Nothing reads its output, so it stops in the middle of the answer, when the pipe is full at the latest.
    wait_until(lambda: select.select([command.popen.stdout], [], [], 0)[0], "it has begun to print")
    command.signal(signal.SIGSTOP)
    still_serves(fixture, server, client)
    command.signal(signal.SIGCONT)
    os.set_blocking(command.popen.stdout.fileno(), True)
    is_equal(len(command.end().good().out.splitlines()), 7_001)

    # The client is stopped while most of the answer is still in the broker.
    with fixture.connect() as link:
        reader = subprocess.Popen([sys.executable, "-c", READER], stdin=link.socket, stdout=subprocess.PIPE, text=True)
        which = link.post("read", db="app.db", sql=LARGE, max_bytes=100_000_000)
        is_equal(reader.stdout.readline(), "begun\n")
        reader.send_signal(signal.SIGSTOP)
        for _ in range(20):
            still_serves(fixture, server, client)
        reader.send_signal(signal.SIGCONT)
        is_equal(json.loads(reader.stdout.readline()), {"id": which, "rows": 7_000})
        reader.wait()


READER = """
import json, socket, sys
x = socket.socket(fileno=0)
x.setblocking(True)
bytes = x.recv(100)
print("begun", flush=True)
while not bytes.endswith(b"\\n"):
    bytes += x.recv(100_000)
answer = json.loads(bytes)
print(json.dumps({"id": answer["id"], "rows": len(answer["result"]["rows"])}), flush=True)
"""


def test_without_free_descriptors_connected_clients_are_served_and_new_ones_once_there_is_room(fixture):
    server, client = serve(fixture, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    links = []
    turned_away = 0
    for _ in range(100):
        link = fixture.connect(5)
        try:
            link.call("ping")
            links.append(link)
        except (ConnectionError, TimeoutError):
            link.close()
            turned_away += 1
            if turned_away == 3:
                break
    is_equal(turned_away, 3)
    is_true(len(links) > 10, f"only {len(links)} connections")
    is_equal(client.write("app.db", "INSERT INTO t VALUES (1)")["outcome"], "committed")
    is_equal(links[0].call("ping")["pid"], server.pid)
    for x in links:
        x.close()

    def welcome():
        with fixture.connect(5) as link:
            try:
                return link.call("ping")["pong"]
            except (ConnectionError, TimeoutError):
                return False

    wait_until(welcome, "there is room again")
    still_serves(fixture, server, client)
    client.write("other.db", TABLE)


def test_a_request_that_needs_descriptors_closes_idle_databases_and_is_busy_when_there_are_none(fixture):
    server, client = serve(fixture, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    links = []

    def take_all():
        # Opens one after the other, so that no later one takes the descriptors that are closed.
        while descriptors(server.pid) < 63:
            links.append(fixture.connect())
            links[-1].call("ping")

    take_all()
    is_equal(client.write("other.db", TABLE)["outcome"], "committed")
    # A database that a cursor reads is not idle. The cursor takes two descriptors, which the closed database has freed.
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000) SELECT x FROM n, sqlite_schema"
    links.pop().close()
    links.pop().close()
    wait_until(lambda: descriptors(server.pid) <= 61, "there is room for a cursor")
    client.call("cursor.open", db="other.db", sql=numbers)
    take_all()
    refused = client.refusal("write", db="third.db", deadline_ms=1_500, statements=[{"sql": TABLE}])
    is_true(refused.code in ("busy", "unavailable"), str(refused))
    is_equal(refused.outcome, "not_committed")
    is_true("cannot open 'third.db', too many open files" in str(refused) and "the limit of the process is 64" in str(refused),
            str(refused))
    for x in links:
        x.close()
    wait_until(lambda: descriptors(server.pid) < 40, "there is room again")
    is_equal(client.write("third.db", TABLE)["outcome"], "committed")
    still_serves(fixture, server, client)


if __name__ == "__main__":
    run_tests()
