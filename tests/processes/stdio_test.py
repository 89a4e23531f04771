"""`sluice serve --stdio`: JSON-RPC and MCP on stdin and stdout, for one client, until stdin ends."""

import json
import os
import signal
import subprocess

from harness import is_equal, is_running, is_true, run_tests, wait_until
from link import PATIENCE, request
from rig import TABLE, count, make_table, await_no_process

SLOW = ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000000) SELECT count(*) FROM n")


class Pipe:
    """A bridge with pipes for its stdin and stdout."""

    def __init__(self, fixture, *words, **more):
        self.process = fixture.start("serve", "--stdio", *words, stdin=subprocess.PIPE, **more)
        self.pid = self.process.pid
        self.input, self.output = self.process.popen.stdin, self.process.popen.stdout
        self.last_id = 0

    def send(self, text):
        self.input.write(text)
        self.input.flush()

    def receive(self):
        line = self.output.readline()
        is_true(line.endswith("\n"), f"no answer, but {line!r}")
        return json.loads(line)

    def ask(self, method, /, **params):
        self.last_id += 1
        self.send(request(self.last_id, method, **params).decode())
        answer = self.receive()
        is_equal(answer["id"], self.last_id)
        return answer

    def call(self, method, /, **params):
        answer = self.ask(method, **params)
        is_true("result" in answer, str(answer))
        return answer["result"]

    def write(self, sql, **more):
        return self.call("write", db="app.db", statements=[{"sql": sql}], **more)

    def close(self):
        """Closes stdin; returns the remaining output."""
        out, err = self.process.popen.communicate(timeout=PATIENCE)
        # A busy machine may be slower than a client expects.
        err = [x for x in err.splitlines() if "does not answer" not in x]
        is_equal((self.process.popen.returncode, err), (0, []))
        return [json.loads(x) for x in out.splitlines()]


def test_requests_are_answered_line_by_line_until_stdin_ends(fixture):
    fixture.env["SLUICE_LINGER_MS"] = "200"
    pipe = Pipe(fixture)
    is_equal(pipe.write(TABLE)["outcome"], "committed")
    is_equal(pipe.write("INSERT INTO t VALUES (1)")["commit_seq"], 2)
    is_equal(pipe.call("read", db="app.db", sql="SELECT a FROM t")["rows"], [[1]])
    is_equal(pipe.close(), [])
    await_no_process(fixture)
    is_equal(count(fixture), 1)


def test_requests_under_way_are_answered_after_the_end_of_stdin(fixture):
    make_table(fixture)
    pipe = Pipe(fixture)
    lines = [request("slow", "read", db="app.db", sql=SLOW, timeout_ms=60_000)]
    lines += [request(i, "write", db="app.db", statements=[{"sql": f"INSERT INTO t VALUES ({i})"}]) for i in range(100)]
    # The last request has no newline.
    out, err = pipe.process.popen.communicate(b"".join(lines).decode().rstrip("\n"), timeout=PATIENCE)
    is_equal((pipe.process.popen.returncode, err), (0, ""))
    answers = {x["id"]: x["result"] for x in map(json.loads, out.splitlines())}
    is_equal(len(answers), 101)
    is_equal(answers["slow"]["rows"], [[2_000_000]])
    is_equal(count(fixture), 100)


def test_writes_of_one_client_are_executed_in_the_order_sent(fixture):
    make_table(fixture)
    pipe = Pipe(fixture)
    lines = [request(i, "write", db="app.db", statements=[{"sql": f"INSERT INTO t VALUES ({i})"}]) for i in range(200)]
    pipe.process.popen.communicate(b"".join(lines).decode(), timeout=PATIENCE)
    is_equal(fixture.sql("app.db", "SELECT a FROM t ORDER BY rowid"), [(i,) for i in range(200)])


def test_requests_of_any_size_and_those_after_them_are_answered(fixture):
    make_table(fixture)
    pipe = Pipe(fixture)
    for size in (600_000, 1_500_000, 3_000_000, 550_000):
        pipe.call("write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (?)", "params": ["x" * size]}])
        is_equal(pipe.call("read", db="app.db", sql="SELECT count(*) FROM t WHERE length(a) = ?", params=[size])["rows"],
                 [[1]])
        done = pipe.call("tools/call", name="sluice_read", arguments={"db": "app.db", "sql": f"SELECT a, '\\\n' FROM t "
                                                                      f"WHERE length(a) = {size}"})
        is_equal(done["structuredContent"]["rows"], [["x" * size, "\\\n"]])
        is_equal(json.loads(done["content"][0]["text"]), done["structuredContent"])
    # Many small requests at once have as many bytes.
    lines = [request(f"n{n}", "write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (?)", "params": ["y" * 900]}])
             for n in range(1_000)]
    pipe.send(b"".join(lines).decode())
    is_equal({pipe.receive()["id"] for _ in lines}, {f"n{n}" for n in range(1_000)})
    pipe.write("INSERT INTO t VALUES (1)")
    is_equal(pipe.close(), [])


def test_cancel_does_not_wait_behind_reads(fixture):
    make_table(fixture)
    pipe = Pipe(fixture)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n WHERE x <> -"
    for n in range(40):
        pipe.send(request(f"r{n}", "tools/call", name="sluice_read", arguments={
            "db": "app.db", "sql": f"{endless}{n}", "timeout_ms": 86_400_000}).decode())
    for n in range(40):
        pipe.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": f"r{n}"}}) + "\n")
    answers = [pipe.receive() for _ in range(40)]
    is_equal({x["id"] for x in answers}, {f"r{n}" for n in range(40)})
    is_true(all("cancelled" in x["result"]["content"][0]["text"] for x in answers), str(answers[0]))
    is_equal(pipe.close(), [])


def test_garbage_lines_are_answered_with_an_error_and_the_bridge_continues(fixture):
    pipe = Pipe(fixture)
    for text, code in {"garbage": -32700, "{": -32700, "[]": -32600, "5": -32600,
                       '{"jsonrpc":"2.0","id":1,"method":"no_such"}': -32601, "\x01\x02": -32700}.items():
        pipe.send(text + "\n")
        is_equal(pipe.receive()["error"]["code"], code, text)
    pipe.send("\n  \n")
    pipe.call("ping")
    is_equal(pipe.close(), [])


def test_an_mcp_client_is_served(fixture):
    make_table(fixture)
    pipe = Pipe(fixture)
    hello = pipe.call("initialize", protocolVersion="2025-03-26", capabilities={},
                      clientInfo={"name": "the-agent", "version": "1"})
    is_equal(hello["protocolVersion"], "2025-03-26")
    is_true("tools" in hello["capabilities"] and hello["serverInfo"]["name"], str(hello))
    pipe.send('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    is_equal(pipe.call("ping"), {})
    tools = {x["name"]: x for x in pipe.call("tools/list")["tools"]}
    is_true({"sluice_read", "sluice_write"} <= tools.keys(), str(tools.keys()))
    is_true(all(x["inputSchema"]["type"] == "object" for x in tools.values()), str(tools))
    done = pipe.call("tools/call", name="sluice_write",
                     arguments={"db": "app.db", "statements": [{"sql": "INSERT INTO t VALUES (1)"}]})
    is_true(not done.get("isError"), str(done))
    read = pipe.call("tools/call", name="sluice_read", arguments={"db": "app.db", "sql": "SELECT count(*) FROM t"})
    is_true("1" in json.dumps(read), str(read))
    failed = pipe.call("tools/call", name="sluice_read", arguments={"db": "app.db", "sql": "SELECT nothing FROM t"})
    is_equal(failed["isError"], True)
    is_equal(pipe.ask("tools/call", name="no_such", arguments={})["error"]["code"], -32602)
    is_equal(pipe.close(), [])
    agents = {x["agent"] for x in fixture.audit() if x["request_type"] == "write"}
    is_true(any("the-agent" in x for x in agents), f"the audit does not name the client: {agents}")


def test_when_the_leader_is_killed_the_bridge_finds_the_next_one(fixture):
    make_table(fixture)
    pipe = Pipe(fixture)
    for i in range(10):
        is_equal(pipe.write(f"INSERT INTO t VALUES ({i})")["outcome"], "committed")
        os.kill(fixture.leader(), signal.SIGKILL)
    is_equal(pipe.call("read", db="app.db", sql="SELECT count(*) FROM t")["rows"], [[10]])
    is_equal(pipe.close(), [])
    fixture.audit_is_whole()


def test_several_bridges_serve_the_same_store(fixture):
    make_table(fixture)
    pipes = [Pipe(fixture) for _ in range(5)]
    for i in range(10):
        for x in pipes:
            x.write(f"INSERT INTO t VALUES ({i})")
    peers = {x["peer_pid"] for x in fixture.audit() if x["request_type"] == "write" and "t" in x["tables"]}
    is_equal(peers, {x.pid for x in pipes})
    for x in pipes:
        is_equal(x.close(), [])
    is_equal(count(fixture), 50)


def test_with_http_or_idle_it_leads_and_ends_with_stdin(fixture):
    pipe = Pipe(fixture, "--http", "127.0.0.1:0")
    wait_until(lambda: (fixture.info() or {}).get("pid") == pipe.pid, "it leads")
    is_equal(pipe.write(TABLE)["outcome"], "committed")
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)").good()
    out, _ = pipe.process.popen.communicate(timeout=PATIENCE)
    is_equal((pipe.process.popen.returncode, out), (0, ""))
    is_equal(fixture.leader_files(), [])


def test_sigterm_ends_the_bridge(fixture):
    make_table(fixture)
    pipe = Pipe(fixture)
    is_equal(pipe.write("INSERT INTO t VALUES (1)")["outcome"], "committed")
    pipe.process.signal(signal.SIGTERM)
    end = pipe.process.end()
    is_true(end.status in (0, -signal.SIGTERM), str(end))


def test_the_bridge_ends_with_its_host_and_the_store_keeps_working(fixture):
    make_table(fixture)
    pipe = Pipe(fixture)
    pipe.send(request(1, "write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (1)"}]).decode())
    wait_until(lambda: count(fixture) == 1, "it is done")
    # Nothing reads its answers, as after the death of its host.
    pipe.output.close()
    pipe.input.close()
    wait_until(lambda: not is_running(pipe.pid), "it ends")
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (2)").good()
    is_equal(count(fixture), 2)


if __name__ == "__main__":
    run_tests()
