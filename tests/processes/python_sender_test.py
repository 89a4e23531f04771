"""The Python package: in whose name requests are sent, and with which capsule."""

import asyncio
import contextlib
import os
import re

from capsule_test import capsule
from harness import is_equal, is_true, read_file, run_tests
from operations_test import NOTES, write_operations
from python_rig import HERE, PACKAGE, adopt_environment, async_store, fails, store

import sluice
import sluice.aio
from sluice._sender import METHODS_WITH_AGENT, METHODS_WITH_CALLER

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
KEY = {"id": 1}


@contextlib.contextmanager
def fails_saying(kind, text):
    try:
        yield
    except kind as error:
        is_true(text in str(error), f"{error!r}")
        return
    raise AssertionError(f"no {kind.__name__}")


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
        "buffer_rejected": lambda **x: client.buffer_rejected(**x),
        "subscribe": lambda **x: client.subscribe("app.db", **x),
        "audit": lambda agent=None: client.audit(agent="admin-1", caller=agent),
        "logs": lambda agent=None: client.logs(agent="admin-1", caller=agent),
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
    fields = {row.split("`")[1]: row.split("|")[2] for row in table.splitlines() if row.startswith("| `")}
    asked_by_caller = {method for method, names in fields.items() if "`caller`" in names}
    takes = {method for method, names in fields.items() if "`agent`" in names} - asked_by_caller
    source = read_file(os.path.join(PACKAGE, "sluice", "_requests.py"))
    sent = set(re.findall(r'Request\("([a-z._]+)"', source)) | {"cursor.next", "cursor.close"}
    is_equal(sorted(METHODS_WITH_AGENT), sorted(sent & takes))
    is_equal(sorted(METHODS_WITH_CALLER), sorted(sent & asked_by_caller))


def test_records_and_entries_of_one_agent_are_listed_for_another(fixture):
    prepare(fixture)
    with store(fixture, agent="planner-1") as client:
        client.operations.add_note(text="hello")
        client.log("info", "an entry")
        # The broker takes the requests of a connection in turn.
        client.ping()
    with store(fixture, agent="admin-1") as admin:
        is_equal({x["agent"] for x in admin.audit(agent="planner-1")}, {"planner-1"})
        is_true({x["agent"] for x in admin.audit()} > {"planner-1"}, "all of them")
        is_equal(admin.audit(agent="admin-1"), [])
        is_equal([x["message"] for x in admin.logs(agent="planner-1")], ["an entry"])

    async def other():
        async with await async_store(fixture, agent="planner-1") as client:
            for refused in (client.audit(), client.logs(), client.buffer_rejected(), client.audit(caller="planner-2")):
                with fails(sluice.NotAuthorizedError):
                    await refused
            return len(await client.audit(agent="planner-1", caller="admin-1")) > 0
    is_true(asyncio.run(other()), "a call may have another name")


def test_what_is_no_text_is_refused_by_name_before_anything_is_sent(fixture):
    adopt_environment(fixture)
    for name in ("agent", "capsule", "endpoint", "program"):
        for wrong in (5, b"alice", 0, ["alice"]):
            with fails_saying(sluice.InvalidRequestError, f"{name} is text"):
                sluice.connect(fixture.store, **{name: wrong})
            with fails_saying(sluice.InvalidRequestError, f"{name} is text"):
                asyncio.run(sluice.aio.connect(fixture.store, **{name: wrong}))
    is_equal(fixture.leader(), None)
    with store(fixture) as client:
        for request in requests_of(client).values():
            with fails_saying(sluice.InvalidRequestError, "is text (str), and not int: 5"):
                request(agent=5)
        for request in (lambda: client.read(5, "SELECT 1"), lambda: client.read("app.db", 5),
                        lambda: client.write("app.db", "SELECT 1", key=5), lambda: client.call(5)):
            with fails_saying(TypeError, "text (str), and not int: 5"):
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
