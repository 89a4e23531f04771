"""A policy and the names of others: what an agent with a token, or with a bound bridge, may do in them."""

import json
import os
import pwd
import threading

from harness import is_equal, is_true, run_tests, wait_until
from link import request
from policy_test import POLICY, code_of, post, prepare, refusals, replace, token, tool_names
from stdio_test import Pipe

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def test_an_agents_token_cancels_and_logs_in_no_other_name(fixture):
    prepare(fixture)
    laptop, store = token(fixture, "tokens", "laptop"), token(fixture, "token")
    own = pwd.getpwuid(os.geteuid()).pw_name + "@http"
    answers = []
    slow = threading.Thread(target=lambda: answers.append(
        post(fixture, "/rpc", store, "read", db="app.db", sql=ENDLESS, timeout_ms=300_000, request_id="own-1")))
    slow.start()

    def is_under_way():
        with fixture.connect() as link:
            return "own-1" in json.dumps(link.call("status"))
    wait_until(is_under_way, "the read is under way")
    for more in ({}, *({"agent": x} for x in (own, "stranger", "laptop", "boss"))):
        for method, params in (("cancel", {"request_id": "own-1"}), ("log", {"level": "info", "message": "x"}),
                               ("operations", {}), ("cursor.next", {"cursor": 1}), ("cursor.close", {"cursor": 1}),
                               ("capsule.verify", {"capsule": "x"})):
            is_equal((method, code_of(post(fixture, "/rpc", laptop, method, **params, **more))), (method, "not_authorized"))
    is_equal(post(fixture, "/rpc", laptop, "cancel", request_id="own-1", agent="remote")["result"], {"cancelled": False})
    is_equal(answers, [])
    is_equal(post(fixture, "/rpc", store, "cancel", request_id="own-1")["result"], {"cancelled": True})
    slow.join()
    is_equal(code_of(answers[0]), "cancelled")
    is_true(any("the token 'laptop' is for" in x.get("reason", "") for x in refusals(fixture)), "refusals are audited")


def test_only_the_owner_and_bridges_record_refusals(fixture):
    prepare(fixture)
    laptop = token(fixture, "tokens", "laptop")
    forged = {"status": "not_authorized", "agent": "boss", "method": "write"}
    for agent in ("boss", "remote", "stranger"):
        is_equal(code_of(post(fixture, "/rpc", laptop, "audit.refused", **{**forged, "agent": agent})), "not_authorized")
    bound = Pipe(fixture, "--agent", "planner-1")
    is_equal(code_of(bound.ask("audit.refused", **forged)), "not_authorized")
    bound.close()
    with fixture.connect() as link:
        # A token has this name.
        is_equal(link.refusal("audit.refused", **{**forged, "agent": "remote"}).code, "not_authorized")
        for more in ({"method": "foreign_commit"}, {"method": "nonsense"}, {"count": 0}, {"count": 1_000_001}, {"status": "committed"}):
            is_equal((more, link.refusal("audit.refused", **{**forged, **more}).error["code"]), (more, -32602))
        for source in ("sluice", "sluice:writer", "SLUICE:x"):
            is_equal(link.refusal("log", level="info", message="x", source=source).error["code"], -32602)
        is_equal(link.call("log", level="info", message="x", source="sluices"), {"logged": True})
        link.call("audit.refused", status="busy", method="read", count=1_000_000, reason="r" * 2_000)
    is_equal([x["agent"] for x in fixture.audit() if x["agent"] == "boss"], [])
    recorded = [x for x in fixture.audit() if x["status"] == "busy"]
    is_equal([(x["count"], x["reason"]) for x in recorded], [(1_000_000, "r" * 1_024)])
    fixture.audit_is_whole()


def test_a_bound_bridge_records_every_refusal_under_its_agent(fixture):
    prepare(fixture)
    bridge = Pipe(fixture, "--agent", "planner-1")
    for i in range(30):
        bridge.send(request(i, "read", db="app.db", sql="SELECT 1", agent="boss", request_id=f"r{i}").decode())
    for i in range(30):
        is_equal(code_of(bridge.receive()), "not_authorized")
    is_equal(code_of(bridge.ask("audit.list")), "not_authorized")
    # It ends when everything has been reported.
    bridge.close()
    found = {x["request_id"]: x for x in fixture.audit() if x["request_id"] in {f"r{i}" for i in range(30)}}
    is_equal(len(found), 30)
    is_equal({(x["agent"], x["request_type"], x["status"]) for x in found.values()},
             {("planner-1", "read", "not_authorized")})
    is_true(all("for the agent 'planner-1' alone" in x["reason"] for x in found.values()), str(found))
    is_equal(len([x for x in refusals(fixture) if x["request_type"] == "audit.list" and x["agent"] == "planner-1"]), 1)


def test_a_bridge_is_bound_by_the_option_and_by_the_environment(fixture):
    prepare(fixture)
    is_equal(fixture.run("serve", "--stdio", "--agent", "").status, 2)
    for words in ((), ("--agent", "planner-1"), ("--http", "127.0.0.1:0")):
        refused = fixture.run("serve", "--stdio", *words, env={"SLUICE_AGENT": ""})
        is_equal(refused.status, 2)
        is_true("SLUICE_AGENT is empty; unset it" in refused.err, refused.err)
    bridge = Pipe(fixture, env={"SLUICE_AGENT": "planner-1"})
    for more in ({}, {"agent": "boss"}):
        is_equal(code_of(bridge.ask("read", db="app.db", sql="SELECT 1", **more)), "not_authorized")
    is_equal(code_of(bridge.ask("shutdown")), "not_authorized")
    bridge.close()
    option = Pipe(fixture, "--agent", "boss", env={"SLUICE_AGENT": "planner-1"})
    is_equal(option.call("call", operation="find_notes", params={}, agent="boss")["rows"], [])
    option.close()


def test_a_proof_is_compared_with_no_key_that_is_none(fixture):
    fixture.serve()
    fixture.run("exec", "app.db", "CREATE TABLE t (a)").good()
    made = fixture.path("p.proof")
    fixture.run("proof", "--db", fixture.path("app.db"), "--commit", "1", "-o", made).good()
    key = fixture.run("proof", "--verify", made, "--json").good().json()["key"]
    fixture.run("proof", "--verify", made, "--key", key).good()
    fixture.run("proof", "--verify", made, "--key", "0" * 64).failed_with("wrong_store")
    for given in ("", "zz", key[:-2], key + "00"):
        is_equal((given, fixture.run("proof", "--verify", made, "--key", given).status), (given, 2))


def test_a_write_returns_at_most_the_rows_of_the_rule(fixture):
    prepare(fixture, POLICY.replace('"admin-*"', '"admin-*", "planner-*"'))
    two, three = ("INSERT INTO notes (text) VALUES ('a'), ('b') RETURNING id", "UPDATE notes SET text = 'c' RETURNING id")
    with fixture.connect() as link:
        def write(agent, *statements):
            return {"db": "app.db", "agent": agent, "statements": [{"sql": x} for x in statements]}
        is_equal(len(link.call("write", **write("planner-1", two))["results"][0]["rows"]), 2)
        link.call("write", **write("planner-1", "INSERT INTO notes (text) VALUES ('a')"))
        # All statements of the request count.
        for refused in ((three,), (two, "SELECT 1"), ("SELECT * FROM notes",)):
            error = link.refusal("write", **write("planner-1", *refused))
            is_equal(error.code, "too_large")
            is_true("more than 2 rows" in error.error["message"], error.error)
        is_equal(len(link.call("write", **write("admin-1", three))["results"][0]["rows"]), 3)
    is_equal(fixture.sql("app.db", "SELECT text, count(*) FROM notes GROUP BY 1"), [("c", 3)])


def test_refused_requests_and_those_that_need_nothing_count_for_the_rate(fixture):
    prepare(fixture, POLICY.replace("max_rows = 2", "max_rows = 2\nrate = 0.01"))
    refused = {"call": {"operation": "move_note", "params": {"id": 1}}, "read": {"db": "app.db", "sql": "SELECT 1"}}
    with fixture.connect() as link:
        is_equal(link.refusal("call", **refused["call"], agent="planner-1").code, "not_authorized")
        for method, params in (*refused.items(), ("operations", {}), ("log", {"level": "info", "message": "x"}),
                               ("capsule.verify", {"capsule": "x"}), ("call", {"operation": "none"}), ("call", {})):
            is_equal((method, link.refusal(method, **params, agent="planner-1").code), (method, "overloaded"))
        for _ in range(3):
            is_equal(link.call("cancel", request_id="x", agent="planner-1"), {"cancelled": False})
            link.call("ping")


def test_a_token_that_a_changed_policy_names_is_made(fixture):
    prepare(fixture)
    replace(fixture, "sluice.toml", POLICY.replace('token = "laptop"', 'token = "tablet"'))
    with fixture.connect() as link:
        # The requests do not come over HTTP: a client must read the file of the token before it can use it.
        wait_until(lambda: link.call("operations") and os.path.exists(fixture.path(".sluice", "tokens", "tablet")),
                   "the token has been made")
    is_equal(tool_names(post(fixture, "/mcp", token(fixture, "tokens", "tablet"), "tools/list")), set())


def test_operations_of_others_and_unknown_ones_look_alike(fixture):
    prepare(fixture)
    with fixture.connect() as link:
        def refusal(name, agent, **more):
            error = link.refusal("call", operation=name, agent=agent, **more).error
            return json.loads(json.dumps(error).replace(name, "NAME"))
        for agent in ("planner-1", "stranger"):
            for more in ({}, {"read_only": True}, {"params": {"x": 1}}):
                is_equal(refusal("make_notes", agent, **more), refusal("make_notez", agent, **more))
        # It may call all that there are.
        is_equal(link.refusal("call", operation="make_notez", agent="boss").code, "unknown_operation")
        is_equal(link.refusal("call", operation="make_notez").code, "unknown_operation")


def test_mcp_speaks_only_of_tools_that_the_agent_has(fixture):
    prepare(fixture)
    ask = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    for words, named in (((), False), (("--agent", "planner-1"), False), (("--agent", "boss"), False),
                         (("--agent", "admin-1"), True), (("--agent", "admin-1", "--read-only"), True)):
        bridge = Pipe(fixture, *words)
        text = bridge.call("initialize", **ask)["instructions"]
        listed = tool_names(bridge.ask("tools/list"))
        for tool in ("sluice_schema", "sluice_read", "sluice_write", "sluice_status"):
            is_true(tool in listed or tool not in text, f"{words}: {tool} in {text}")
        is_equal((words, "sluice_read" in text), (words, named))
        bridge.close()


if __name__ == "__main__":
    run_tests()
