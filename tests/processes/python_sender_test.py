"""The Python package: in whose name requests are sent, and with which capsule."""

import asyncio
import os
import re

from capsule_test import capsule
from harness import is_equal, is_true, read_file, run_tests
from operations_test import NOTES, write_operations
from python_rig import HERE, PACKAGE, adopt_environment, async_store, fails, store

import sluice
from sluice._sender import METHODS_WITH_AGENT

POLICY = """
[policy]
raw_sql = ["owner", "admin-*"]

[[agent]]
name = "planner-*"
tier = "basic"
scopes = ["app.db:add_note"]

[[agent]]
name = "admin-*"
tier = "core"
scopes = ["app.db:*"]
"""
# In these the agent is whose records are looked for.
LOOKED_FOR = {"audit.list", "logs.recent"}
KEY = {"id": 1}


def prepare(fixture):
    write_operations(fixture, NOTES)
    with open(fixture.path("sluice.toml"), "w") as x:
        x.write(POLICY)
    fixture.serve()
    with store(fixture) as owner:
        owner.operations.make_notes()


def requests_of(client):
    """Every request of the package whose method takes a name, by a word for it."""
    return {
        "write": lambda **x: client.write("app.db", "DELETE FROM notes", **x),
        "read": lambda **x: client.read("app.db", "SELECT 1", **x),
        "snapshot": lambda **x: client.read_snapshot("app.db", "SELECT 1", **x),
        "stream": lambda **x: client.stream("app.db", "SELECT 1", **x),
        "call": lambda **x: client.call("make_notes", **x),
        "status": lambda **x: client.status(**x),
        "audit_verify": lambda **x: client.audit_verify(**x),
        "cancel": lambda **x: client.cancel("x", as_operator=True, **x),
        "buffer_put": lambda **x: client.buffer_put("app.db", "notes", KEY, {"text": "x"}, **x),
        "buffer_get": lambda **x: client.buffer_get("app.db", "notes", KEY, **x),
        "flush": lambda **x: client.flush(**x),
        "buffer_requeue": lambda **x: client.buffer_requeue([1], **x),
        "buffer_discard": lambda **x: client.buffer_discard([1], **x),
    }


def test_a_client_with_a_name_is_nobody_else_in_any_method(fixture):
    prepare(fixture)
    with store(fixture, agent="planner-1") as client, store(fixture) as owner:
        client.operations.add_note(text="hello")
        client.log("info", "a log entry needs nothing")
        is_equal([x["name"] for x in client.list_operations()["operations"]], ["add_note"])
        is_true(len(owner.list_operations()["operations"]) > 1, "the owner has all")
        is_equal([x["name"] for x in owner.list_operations(agent="planner-1")["operations"]], ["add_note"])
        for name, request in requests_of(client).items():
            try:
                request()
                raise AssertionError(f"{name} was sent without the agent")
            except sluice.NotAuthorizedError as refused:
                is_true("'planner-1'" in refused.message, f"{name}: {refused}")
        for name, request in requests_of(owner).items():
            try:
                request(agent="planner-2")
                raise AssertionError(f"{name} was sent without the agent of the call")
            except sluice.NotAuthorizedError as refused:
                is_true("'planner-2'" in refused.message, f"{name}: {refused}")
        is_equal(owner.status()["store_root"], fixture.store)
    with store(fixture, agent="admin-1") as admin:
        is_equal(admin.status()["store_root"], fixture.store)
        is_true(admin.audit_verify()["intact"], "the audit")

    async def other():
        async with await async_store(fixture, agent="planner-1") as client:
            with fails(sluice.NotAuthorizedError):
                await client.status()
            return [x["name"] for x in (await client.list_operations())["operations"]]
    is_equal(asyncio.run(other()), ["add_note"])


def test_the_package_names_the_agent_in_each_method_that_takes_one(fixture):
    page = read_file(os.path.join(HERE, "..", "..", "docs", "reference", "protocol.md"))
    table = page.split("\n### Methods\n")[1].split("\n### ")[0]
    takes = {row.split("`")[1] for row in table.splitlines() if row.startswith("| `") and "`agent`" in row.split("|")[2]}
    source = read_file(os.path.join(PACKAGE, "sluice", "_requests.py"))
    sent = set(re.findall(r'Request\("([a-z._]+)"', source)) | {"cursor.next", "cursor.close"}
    is_equal(sorted(METHODS_WITH_AGENT), sorted((sent & takes) - LOOKED_FOR))


def test_an_agent_that_the_broker_would_not_be_told_is_refused(fixture):
    with store(fixture) as client:
        client.write("app.db", "CREATE TABLE t (a)")
        for request, method in ((lambda: client.subscribe("app.db", agent="x"), "subscribe"),
                                (lambda: client.buffer_rejected(agent="x"), "buffer.rejected")):
            if method in METHODS_WITH_AGENT:
                continue
            with fails(sluice.InvalidRequestError):
                request()


def test_an_empty_name_or_capsule_is_refused_and_not_left_out(fixture):
    adopt_environment(fixture)
    for more in ({"agent": ""}, {"capsule": ""}):
        with fails(sluice.InvalidRequestError, code="invalid_request"):
            sluice.connect(fixture.store, **more)
    for variable in ("SLUICE_AGENT", "SLUICE_CAPSULE"):
        os.environ[variable] = ""
        try:
            sluice.connect(fixture.store)
            raise AssertionError(f"an empty {variable} was taken")
        except sluice.InvalidRequestError as refused:
            is_true(variable in refused.message, str(refused))
        del os.environ[variable]
    is_equal(fixture.leader(), None)
    with store(fixture, agent="alice") as client:
        client.write("app.db", "CREATE TABLE t (a)")
        for wrong in (lambda: client.read("app.db", "SELECT 1", agent=""), lambda: client.status(agent=""),
                      lambda: client.write("app.db", "DELETE FROM t", capsule=""),
                      lambda: client.call("x", capsule="")):
            with fails(sluice.InvalidRequestError):
                wrong()
        is_equal({x["agent"] for x in client.audit()}, {"alice"})


def test_capsules_of_the_client_of_a_call_and_of_the_environment_are_sent(fixture):
    write_operations(fixture, NOTES)
    fixture.serve()
    with store(fixture, agent="alice") as client:
        client.operations.make_notes()
    mine = capsule(fixture, scopes=["app.db:add_note", "app.db:sluice_write"])
    narrow = capsule(fixture, scopes=["app.db:find_notes"])
    with store(fixture, agent="alice", capsule=mine) as client:
        client.operations.add_note(text="one")
        client.call("add_note", {"text": "two"})
        client.write("app.db", "UPDATE notes SET text = 'x' WHERE id = 1")
        for refused in (lambda: client.call("add_note", {"text": "x"}, capsule=narrow),
                        lambda: client.write("app.db", "DELETE FROM notes", capsule=narrow),
                        lambda: client.operations.add_notes([{"text": "x"}]),
                        lambda: client.write("app.db", "DELETE FROM notes", agent="mallory")):
            with fails(sluice.CapsuleInvalidError, code="capsule_invalid"):
                refused()
        is_equal(client.read("app.db", "SELECT count(*) FROM notes").one(), (2,))
        is_equal([bool(x.get("capsule")) for x in client.audit(status="committed", newest=True, limit=3)], [True] * 3)
    with store(fixture, agent="alice") as client:
        client.operations.add_note(text="without one")
        client.call("add_note", {"text": "with one"}, capsule=mine)
        is_equal([bool(x.get("capsule")) for x in client.audit(status="committed", newest=True, limit=2)], [False, True])
    fixture.env["SLUICE_CAPSULE"] = narrow
    with store(fixture, agent="alice") as client:
        with fails(sluice.CapsuleInvalidError):
            client.operations.add_note(text="x")

    async def other():
        async with await async_store(fixture, agent="alice", capsule=mine) as client:
            await client.operations.add_note(text="y")
            with fails(sluice.CapsuleInvalidError):
                await client.write("app.db", "DELETE FROM notes", capsule=narrow)
    asyncio.run(other())


if __name__ == "__main__":
    run_tests()
