"""Refused requests and clients that leave: the audit records them, and the broker keeps running."""

import http.client
import json

from harness import is_equal, is_true, run_tests, wait_until
from rig import TABLE, make_table
from stdio_test import Pipe

ONE = [{"sql": "INSERT INTO t VALUES (1)"}]

REFUSED = {
    "capsule": ("write", {"db": "app.db", "statements": ONE, "capsule": "x"}),
    "unknown-member": ("write", {"db": "app.db", "statements": ONE, "nonsense": 1}),
    "deadline": ("write", {"db": "app.db", "statements": ONE, "deadline_ms": 0}),
    "outside": ("write", {"db": "../outside.db", "statements": ONE}),
    "pragma": ("write", {"db": "app.db", "statements": [{"sql": "PRAGMA journal_mode = DELETE"}]}),
    "freshness": ("read", {"db": "app.db", "sql": "SELECT 1", "freshness": "stale"}),
    "read-outside": ("read", {"db": "../outside.db", "sql": "SELECT 1"}),
    "put-nowhere": ("buffer.put", {"db": "app.db", "table": "nope", "operation": "upsert", "key": {"id": 1}}),
    "put-outside": ("buffer.put", {"db": "../outside.db", "table": "t", "operation": "upsert", "key": {"id": 1}}),
    "flush": ("flush", {"db": "../outside.db"}),
    "cancel": ("cancel", {"request_id": 1}),
    "discard": ("buffer.discard", {"ids": "all"}),
    "no-method": ("no.such", {}),
}


def audit_of(fixture, agent):
    return [x for x in fixture.audit() if x["agent"] == agent]


def all_are_recorded(fixture, agents):
    wait_until(lambda: not (agents - {x["agent"] for x in fixture.audit()}), f"{agents} are in the audit")
    for agent in agents:
        records = audit_of(fixture, agent)
        is_equal(len(records), 1, f"{agent}: {records}")
        method, params = REFUSED[agent]
        is_equal(records[0]["request_type"], method if method != "no.such" else "other")
        is_true(records[0]["status"] not in ("ok", "committed"), str(records))
        # The audit does not record a path out of the store as a database.
        is_equal(records[0]["db"], "" if "outside" in params.get("db", "") else params.get("db", ""))


def test_refusals_over_the_socket_are_audited(fixture):
    make_table(fixture)
    fixture.serve("--http", "127.0.0.1:0")
    with fixture.connect() as link:
        for agent, (method, params) in REFUSED.items():
            link.refusal(method, agent=agent, **params)
    all_are_recorded(fixture, set(REFUSED))
    fixture.audit_is_whole()


def test_refusals_over_stdio_are_audited(fixture):
    make_table(fixture)
    fixture.serve()
    pipe = Pipe(fixture)
    for agent, (method, params) in REFUSED.items():
        is_true("error" in pipe.ask(method, agent=agent, **params), agent)
    before = len(fixture.audit())
    pipe.send("garbage\n")
    is_true("error" in pipe.receive(), "garbage was taken")
    answer = pipe.ask("tools/call", name="sluice_read", arguments={"agent": "a-tool", "db": "app.db", "nonsense": 1})
    is_equal(answer["result"]["isError"], True)
    is_equal(pipe.close(), [])
    all_are_recorded(fixture, set(REFUSED))
    wait_until(lambda: audit_of(fixture, "a-tool"), "the tool's call is in the audit")
    is_true(len(fixture.audit()) >= before + 2, "the garbage is not in the audit")


def test_refusals_over_http_are_audited(fixture):
    make_table(fixture)
    fixture.serve("--http", "127.0.0.1:0")
    with open(fixture.path(".sluice", "token")) as x:
        token = x.read().strip()
    web = http.client.HTTPConnection(fixture.info()["http"])
    head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for agent, (method, params) in REFUSED.items():
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"agent": agent, **params}}
        web.request("POST", "/rpc", json.dumps(body), head)
        is_true("error" in json.load(web.getresponse()), agent)
    all_are_recorded(fixture, set(REFUSED))


def test_a_client_may_not_use_an_agent_name_of_the_broker(fixture):
    make_table(fixture)
    for words, env in ((("--agent", "sluice:buffer"), {}), ((), {"SLUICE_AGENT": "SLUICE:x"}), (("--agent", "a\u202eb"), {})):
        end = fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", *words, env=env)
        end.failed_with("invalid_request")
        is_true("agent" in end.err, end.err)
    refused = [x for x in fixture.audit() if x["status"] == "invalid_request"]
    is_equal(len(refused), 3, str(refused))
    is_true(all("@" in x["agent"] for x in refused), str(refused))


def test_clients_that_leave_during_their_first_write_do_not_end_the_broker(fixture):
    broker = fixture.serve()
    for n in range(60):
        # The client sends nothing else, because an unread answer makes the system drop the bytes that were sent.
        link = fixture.connect()
        link.post("write", db=f"db{n}.db", statements=[{"sql": TABLE}], request_id=f"w{n}")
        link.close()
    written = {f"w{n}" for n in range(60)}
    # A write that had begun when its client left is committed; the others are cancelled.
    done = lambda: written <= {x["request_id"] for x in fixture.audit() if x["status"] in ("committed", "cancelled")}
    wait_until(done, "all writes have ended")
    is_true(not broker.ended(), "the broker has ended")
    with fixture.connect() as link:
        is_equal(link.write("other.db", TABLE)["outcome"], "committed")


def test_buffered_rows_are_written_before_renames(fixture):
    make_table(fixture)
    fixture.serve()
    with fixture.connect() as link:
        for table in ("a", "b"):
            link.write("app.db", f"CREATE TABLE {table}(id INTEGER PRIMARY KEY, v)")
        for n in range(5):
            for table in ("a", "b"):
                link.call("buffer.put", db="app.db", table=table, operation="upsert", key={"id": n}, values={"v": n * 10})
        # Sends them without waiting for answers.
        posted = [link.post("write", db="app.db", statements=[{"sql": sql}])
                  for sql in ("ALTER TABLE a RENAME COLUMN v TO w", "ALTER TABLE b RENAME TO c",
                              "INSERT INTO c VALUES (100, 1)", "INSERT INTO a(id, w) VALUES (100, 1)")]
        for x in posted:
            is_equal(link.answer(x)["outcome"], "committed")
        is_equal(link.call("flush")["set_aside"], 0)
        for sql in ("SELECT w FROM a ORDER BY id", "SELECT v FROM c ORDER BY id"):
            is_equal(link.read("app.db", sql, freshness="fresh"), [[0], [10], [20], [30], [40], [1]])


if __name__ == "__main__":
    run_tests()
