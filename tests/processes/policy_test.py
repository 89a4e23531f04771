"""The policy of a store: who may call which operation, over the socket, HTTP, MCP and from the shell."""

import json
import os
import subprocess
import urllib.error
import urllib.request

from harness import is_equal, is_true, run_tests, wait_until
from link import Refused
from stdio_test import Pipe

OPERATIONS = """-- db: app.db

-- name: make_notes :exec
-- tier core
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);

-- name: add_note :one
-- param text text
INSERT INTO notes (text) VALUES (:text) RETURNING id;

-- name: find_notes :many
-- param text text?
SELECT id, text FROM notes WHERE :text IS NULL OR text = :text ORDER BY id;

-- name: move_note :exec
-- param id integer
-- tier verified
DELETE FROM notes WHERE id = :id;
"""

POLICY = """[policy]
raw_sql = ["owner", "admin-*"]

[[agent]]
name = "planner-*"
tier = "basic"
scopes = ["app.db:add_note", "app.db:find_*", "app.db:move_note"]
max_rows = 2

[[agent]]
name = "boss"
tier = "core"
scopes = ["*:*"]

[[agent]]
name = "remote"
token = "laptop"
tier = "basic"
scopes = ["app.db:find_notes"]
"""

BY_TIER = ("agent 'planner-1' (rule agent[0] 'planner-*', tier basic) may not call 'move_note', which needs tier "
           "verified")
NO_SQL = "may not send SQL or rows of its own"


def replace(fixture, name, text):
    with open(fixture.path(name + ".new"), "w") as x:
        x.write(text)
    os.rename(fixture.path(name + ".new"), fixture.path(name))


def prepare(fixture, policy=POLICY):
    os.makedirs(fixture.path("operations"))
    replace(fixture, "operations/notes.sql", OPERATIONS)
    replace(fixture, "sluice.toml", policy)
    server = fixture.serve("--http", "127.0.0.1:0")
    fixture.run("call", "make_notes").good()
    return server


def token(fixture, *names):
    with open(fixture.path(".sluice", *names)) as x:
        return x.read().strip()


def post(fixture, path, secret, method, /, **params):
    """The answer to a request over HTTP, or its status."""
    document = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    request = urllib.request.Request(f"http://{fixture.info()['http']}{path}", json.dumps(document).encode(), {
        "Content-Type": "application/json", "Authorization": "Bearer " + secret})
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as x:
        return x.code


def code_of(answer):
    return answer["error"]["data"]["code"]


def tool_names(answer):
    return {x["name"] for x in answer["result"]["tools"]}


def refusals(fixture):
    return [x for x in fixture.audit() if x["status"] == "not_authorized"]


def test_an_agent_may_call_what_its_rule_allows_and_nothing_else(fixture):
    prepare(fixture)
    with fixture.connect() as link:
        for name in ("planner-1", "planner-2"):
            is_equal(link.call("call", operation="add_note", params={"text": "a"}, agent=name)["outcome"], "committed")
        is_equal(len(link.call("call", operation="find_notes", params={}, agent="planner-1")["rows"]), 2)
        refused = link.refusal("call", operation="move_note", params={"id": 1}, agent="planner-1")
        is_equal((refused.code, refused.error["message"]), ("not_authorized", BY_TIER))
        refused = link.refusal("call", operation="make_notes", agent="planner-1")
        is_true("none of its scopes covers it" in refused.error["message"], refused.error)
        refused = link.refusal("call", operation="find_notes", params={}, agent="stranger")
        is_true("no rule names it" in refused.error["message"], refused.error)
        is_equal(link.call("call", operation="move_note", params={"id": 1}, agent="boss")["changes"], 1)
    is_equal(fixture.sql("app.db", "SELECT id FROM notes"), [(2,)])
    fixture.audit_is_whole()


def test_everything_that_needs_sql_is_refused_and_audited_with_the_rule(fixture):
    prepare(fixture)
    statements = [{"sql": "DELETE FROM notes"}]
    asked = {
        "write": {"db": "app.db", "statements": statements},
        "read": {"db": "app.db", "sql": "SELECT 1"},
        "cursor.open": {"db": "app.db", "sql": "SELECT 1"},
        "buffer.put": {"db": "app.db", "table": "notes", "operation": "delete", "key": {"id": 1}},
        "buffer.get": {"db": "app.db", "table": "notes", "key": {"id": 1}},
        "buffer.requeue": {"ids": [1]},
        "buffer.discard": {"ids": [1]},
        "flush": {},
        "status": {},
        "audit.verify": {},
        "audit.prune": {"before_us": 1},
        "shutdown": {},
        "retry.reset": {},
    }
    with fixture.connect() as link:
        for method, params in asked.items():
            for agent in ("planner-1", "stranger"):
                refused = link.refusal(method, **params, agent=agent)
                is_equal((method, refused.code), (method, "not_authorized"))
                is_true(f"agent '{agent}'" in refused.error["message"], refused.error)
        is_equal(link.refusal("cancel", request_id="x", as_operator=True, agent="planner-1").code, "not_authorized")
        # The broker is there, and nothing was changed.
        is_equal(link.call("ping")["pid"], fixture.leader())
        for agent in (None, "admin-1"):
            more = {"agent": agent} if agent else {}
            is_equal(link.call("read", **asked["read"], **more)["rows"], [[1]])
        is_equal(link.call("cancel", request_id="x", agent="planner-1"), {"cancelled": False})
    found = {(x["request_type"], x["agent"]): x for x in refusals(fixture)}
    for method in asked:
        for agent in ("planner-1", "stranger"):
            is_true(f"agent '{agent}'" in found[method, agent]["reason"], found[method, agent])
    is_true(NO_SQL in found["write", "planner-1"]["reason"], found["write", "planner-1"])
    fixture.audit_is_whole()


def test_a_typed_request_and_a_document_are_decided_alike(fixture):
    prepare(fixture)
    with fixture.connect() as link:
        # A request with an unusual member is read as a document.
        for more in ({}, {"integers": "number"}, {"correlation_id": "c"}):
            for method, params in (("write", {"statements": [{"sql": "DELETE FROM notes"}]}), ("read", {"sql": "SELECT 1"})):
                is_equal(link.refusal(method, db="app.db", agent="planner-1", **params, **more).code, "not_authorized")


def test_a_read_is_cut_at_the_rows_of_the_rule(fixture):
    prepare(fixture)
    with fixture.connect() as link:
        for text in "abc":
            link.call("call", operation="add_note", params={"text": text}, agent="planner-1")
        cut = link.call("call", operation="find_notes", params={}, agent="planner-1")
        is_equal((len(cut["rows"]), cut["truncated"]), (2, True))
        whole = link.call("call", operation="find_notes", params={}, agent="boss")
        is_equal((len(whole["rows"]), whole["truncated"]), (3, False))


def test_the_shell_shows_a_refusal_and_why(fixture):
    prepare(fixture)
    fixture.run("exec", "app.db", "INSERT INTO notes (text) VALUES ('x')").good()
    for words in (("exec", "app.db", "DELETE FROM notes"), ("query", "app.db", "SELECT 1"), ("exec", "app.db", "VACUUM")):
        refused = fixture.run(*words, "--agent", "planner-1").failed_with("not_authorized")
        is_true(NO_SQL in refused.err, refused.err)
        shown = fixture.run(*words, "--json", env={"SLUICE_AGENT": "planner-1"})
        is_equal((shown.status, shown.json()["error"]["code"]), (1, "not_authorized"))
    fixture.run("call", "move_note", "-p", "id=1", "--agent", "planner-1").failed_with("not_authorized")
    fixture.run("call", "find_notes", "--agent", "planner-1").good()


def test_without_a_broker_the_policy_holds_too(fixture):
    os.makedirs(fixture.path("operations"))
    replace(fixture, "sluice.toml", POLICY)
    fixture.run("exec", "app.db", "CREATE TABLE t (a)").good()
    fixture.run("exec", "app.db", "DROP TABLE t", "--agent", "planner-1").failed_with("not_authorized")
    is_equal(fixture.sql("app.db", "SELECT count(*) FROM t"), [(0,)])


def test_a_token_makes_an_agent_and_no_other_caller_has_its_name(fixture):
    prepare(fixture)
    laptop, store = token(fixture, "tokens", "laptop"), token(fixture, "token")
    is_equal(os.stat(fixture.path(".sluice", "tokens", "laptop")).st_mode & 0o777, 0o600)
    wanted = {"operation": "find_notes", "params": {}}
    is_true("result" in post(fixture, "/rpc", laptop, "call", **wanted, agent="remote"), "the token's agent may")
    # Nobody else, not even the owner.
    is_equal(code_of(post(fixture, "/rpc", store, "call", **wanted, agent="remote")), "not_authorized")
    with fixture.connect() as link:
        refused = link.refusal("call", **wanted, agent="remote")
        is_true("belongs to rule agent[2] 'remote'" in refused.error["message"], refused.error)
        is_equal(link.refusal("log", level="info", message="x", agent="remote").code, "not_authorized")
    # The token is for nothing else: no other agent, not the owner, no metrics.
    for agent in ("boss", "laptop", "stranger"):
        is_equal(code_of(post(fixture, "/rpc", laptop, "call", **wanted, agent=agent)), "not_authorized")
    for method in ("status", "shutdown", "audit.list", "logs.recent"):
        is_equal(code_of(post(fixture, "/rpc", laptop, method)), "not_authorized")
    for more in ({}, {"agent": "admin-1"}):
        is_equal(code_of(post(fixture, "/rpc", laptop, "write", db="app.db", sql="DELETE FROM notes", **more)), "not_authorized")
    for secret in ("", "0" * 64, laptop[:-1], laptop + "0"):
        is_equal(post(fixture, "/rpc", secret, "call", **wanted, agent="remote"), 401)
    request = urllib.request.Request(f"http://{fixture.info()['http']}/metrics", None, {"Authorization": "Bearer " + laptop})
    try:
        urllib.request.urlopen(request)
        raise AssertionError("an agent sees the metrics")
    except urllib.error.HTTPError as x:
        is_equal(x.code, 401)
    # The store's own token is the owner's.
    is_true("result" in post(fixture, "/rpc", store, "status"), "the owner sees the status")
    reasons = [x.get("reason", "") for x in refusals(fixture)]
    is_true(any("belongs to rule agent[2]" in x for x in reasons), str(reasons))


def test_mcp_lists_and_calls_only_what_the_agent_may(fixture):
    prepare(fixture)
    laptop, store = token(fixture, "tokens", "laptop"), token(fixture, "token")
    boss = Pipe(fixture, "--agent", "boss")
    planner = Pipe(fixture, "--agent", "planner-1")
    stranger = Pipe(fixture)
    every = {"add_note", "find_notes", "make_notes", "move_note"}
    is_equal(tool_names(boss.ask("tools/list")) & every, every)
    names = tool_names(planner.ask("tools/list"))
    is_equal(names, {"add_note", "find_notes"})
    is_equal(tool_names(stranger.ask("tools/list")), set())
    is_equal(tool_names(post(fixture, "/mcp", laptop, "tools/list")), set())
    called = planner.call("tools/call", name="add_note", arguments={"text": "a"})
    is_equal(called["isError"], False)
    for name, arguments in (("move_note", {"id": 1}), ("sluice_write", {"db": "app.db", "statements": [{"sql": "DELETE FROM notes"}]}),
                            ("sluice_read", {"db": "app.db", "sql": "SELECT 1"}), ("sluice_status", {})):
        called = planner.call("tools/call", name=name, arguments=arguments)
        is_true(called["isError"] and called["content"][0]["text"].startswith("not_authorized: "), str(called))
    # What a model writes cannot make it somebody else.
    sql = {"db": "app.db", "sql": "SELECT 1"}
    for agent in ("admin-1", f"root@{planner.pid}", ""):
        called = planner.call("tools/call", name="sluice_read", arguments={**sql, "agent": agent})
        is_true(called["isError"], str(called))
    is_equal(code_of(planner.ask("read", **sql, agent="admin-1")), "not_authorized")
    is_equal(code_of(planner.ask("audit.list")), "not_authorized")
    for pipe in (boss, planner, stranger):
        pipe.close()
    is_equal(fixture.sql("app.db", "SELECT count(*) FROM notes"), [(1,)])


def test_keys_of_agents_that_the_policy_names_are_their_own(fixture):
    prepare(fixture)
    with fixture.connect() as link:
        def add(agent, text, **more):
            return link.call("call", operation="add_note", params={"text": text}, agent=agent, idempotency_key="k", **more)
        is_equal([add("planner-1", "a")["replayed"], add("planner-2", "b")["replayed"], add("boss", "c")["replayed"]],
                 [False, False, False])
        is_equal([add("planner-1", "a")["replayed"], add("boss", "c")["replayed"]], [True, True])
        is_equal(link.refusal("call", operation="add_note", params={"text": "x"}, agent="planner-1",
                              idempotency_key="k").code, "payload_mismatch")
        # The owner's key is the database's, and it cannot name one of an agent's.
        owned = {"db": "app.db", "statements": [{"sql": "INSERT INTO notes (text) VALUES ('d')"}]}
        is_equal(link.call("write", **owned, idempotency_key="k")["replayed"], False)
        is_equal(link.refusal("write", **owned, idempotency_key="planner-1\x1fk").code, "invalid_request")
    is_equal(sorted(x for x, in fixture.sql("app.db", "SELECT text FROM notes")), ["a", "b", "c", "d"])
    keys = {(x["agent"], x.get("idempotency_key")) for x in fixture.audit() if x["status"] == "committed"}
    is_true({("planner-1", "k"), ("planner-2", "k"), ("boss", "k")} <= keys, str(keys))
    fixture.audit_is_whole()


def test_names_are_names_and_no_patterns(fixture):
    prepare(fixture)
    with fixture.connect() as link:
        for name in ("*", "planner-", "Planner-1", "boss ", "owner", "core", "' OR 1", "agent[1]", "b*ss", "admin"):
            if name == "planner-":
                continue
            refused = link.refusal("call", operation="move_note", params={"id": 1}, agent=name)
            is_equal((name, refused.code), (name, "not_authorized"))
        for name in ("boss\n", "boss\0", "sluice:writer", "x" * 300):
            for method in ("status", "operations"):
                is_equal((name, link.refusal(method, agent=name).error["code"]), (name, -32602))


def policy_status(fixture):
    with fixture.connect() as link:
        return link.call("status")["policy"]


def test_a_changed_policy_is_in_force_and_a_mistake_is_shown(fixture):
    prepare(fixture)
    before = policy_status(fixture)
    is_equal((before["in_force"], before["rules"], "mistake" in before), (True, 3, False))
    replace(fixture, "sluice.toml", POLICY.replace('"app.db:move_note"', '"app.db:make_notes"'))
    with fixture.connect() as link:
        def is_covered():
            refused = link.refusal("call", operation="move_note", params={"id": 1}, agent="planner-1")
            return "none of its scopes" not in refused.error["message"]
        wait_until(lambda: not is_covered(), "the new policy is in force")
        after = policy_status(fixture)
        is_true(after["hash"] != before["hash"], "another policy has another hash")
        for mistake, text in ((POLICY.replace("tier =", "teir ="), "an agent has no 'teir'"),
                              (POLICY.replace('"core"', '"gold"'), "gold"), (POLICY.replace("[policy]", "[polcy]"), "polcy"),
                              ("cache = true\n", "no [policy] any more")):
            replace(fixture, "sluice.toml", mistake)
            wait_until(lambda: text in policy_status(fixture).get("mistake", ""), f"the mistake is shown: {text}")
            is_equal(policy_status(fixture)["hash"], after["hash"])
            is_true(not is_covered(), "the earlier policy is in force")
    with fixture.connect():
        is_true("NOT IN FORCE" in fixture.run("status").good().out, "the status shows it")
        # It gives a broker two seconds for an answer, which are short on a slow machine.
        wait_until(lambda: "no [policy] any more" in fixture.run("doctor").out, "the doctor shows it")
    replace(fixture, "sluice.toml", POLICY)
    wait_until(lambda: policy_status(fixture)["hash"] == before["hash"], "the corrected policy is in force")


def test_no_broker_starts_with_a_mistake_in_its_policy(fixture):
    replace(fixture, "sluice.toml", "[policy]\nraw_sql = [\"owner\"]\nraw = 1\n")
    refused = fixture.run("exec", "app.db", "CREATE TABLE t (a)").failed_with("invalid_request")
    is_true("sluice.toml, line 3: policy has no 'raw'" in refused.err, refused.err)
    is_true(not os.path.exists(fixture.path("app.db")), "nothing was made")


def test_without_a_policy_the_owner_is_told_what_holds(fixture):
    fixture.serve()
    fixture.run("exec", "app.db", "CREATE TABLE t (a)", "--agent", "anybody").good()
    text = "the owner of the folder may do everything"
    is_true(text in fixture.run("status").good().out, "in the status")
    is_true(text in fixture.run("doctor").out, "by the doctor")


def test_a_read_only_broker_refuses_what_changes_something(fixture):
    os.makedirs(fixture.path("operations"))
    replace(fixture, "operations/notes.sql", OPERATIONS)
    fixture.env["SLUICE_LINGER_MS"] = "200"
    fixture.run("call", "make_notes").good()
    fixture.run("call", "add_note", "-p", "text=a").good()
    wait_until(lambda: not fixture.processes(), "every process has gone")
    fixture.serve("--read-only", "--http", "127.0.0.1:0")
    with fixture.connect() as link:
        asked = {"write": {"db": "app.db", "statements": [{"sql": "DELETE FROM notes"}]},
                 "buffer.put": {"db": "app.db", "table": "notes", "operation": "delete", "key": {"id": 1}},
                 "flush": {}, "log": {"level": "info", "message": "x"}, "retry.reset": {}, "audit.prune": {"before_us": 1},
                 "call": {"operation": "add_note", "params": {"text": "b"}}}
        for method, params in asked.items():
            is_equal((method, link.refusal(method, **params).code), (method, "read_only"))
        is_equal(link.call("call", operation="find_notes", params={})["rows"], [{"id": 1, "text": "a"}])
        is_equal(link.read("app.db", "SELECT text FROM notes"), [["a"]])
    secret = token(fixture, "token")
    names = {"find_notes", "sluice_read", "sluice_status"}
    listed = tool_names(post(fixture, "/mcp", secret, "tools/list"))
    is_true(names <= listed and not listed & {"add_note", "move_note", "make_notes", "sluice_write"}, str(listed))
    is_true({x["request_type"] for x in fixture.audit() if x["status"] == "read_only"} >= {"write", "call", "flush"},
            "refusals are in the audit")


def test_a_read_only_bridge_refuses_what_changes_something(fixture):
    os.makedirs(fixture.path("operations"))
    replace(fixture, "operations/notes.sql", OPERATIONS)
    fixture.serve()
    fixture.run("call", "make_notes").good()
    pipe = Pipe(fixture, "--read-only")
    listed = tool_names(pipe.ask("tools/list"))
    is_true({"find_notes", "sluice_read"} <= listed and not listed & {"add_note", "sluice_write"}, str(listed))
    for name, arguments in (("add_note", {"text": "a"}), ("sluice_write", {"db": "app.db", "statements": [{"sql": "DELETE FROM notes"}]})):
        called = pipe.call("tools/call", name=name, arguments=arguments)
        is_true(called["isError"] and called["content"][0]["text"].startswith("read_only: "), str(called))
    is_equal(code_of(pipe.ask("call", operation="add_note", params={"text": "a"}, read_only=False)), "read_only")
    is_equal(pipe.call("call", operation="find_notes", params={})["rows"], [])
    pipe.close()


if __name__ == "__main__":
    run_tests()
