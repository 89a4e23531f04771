"""Runs the scripts of tests/conformance with both clients of the Python package."""

import asyncio
import base64
import glob
import json
import math
import os

from harness import is_equal, is_true, read_file, run_tests, wait_until
from operations_test import write_operations
from python_rig import HERE, async_store, store

import sluice

FOLDER = os.path.join(HERE, "..", "conformance")
NATIVE = {"$blob": base64.b64decode, "$real": float, "$integer": int,
          "$text": lambda x: base64.b64decode(x).decode("utf-8", "surrogateescape")}


def to_native(x):
    if isinstance(x, dict):
        if len(x) == 1 and next(iter(x)) in NATIVE:
            return NATIVE[next(iter(x))](next(iter(x.values())))
        return {name: to_native(each) for name, each in x.items()}
    return [to_native(each) for each in x] if isinstance(x, list) else x


def to_neutral(x):
    if isinstance(x, bytes):
        return {"$blob": base64.b64encode(x).decode()}
    if isinstance(x, float) and math.isinf(x):
        return {"$real": "inf" if x > 0 else "-inf"}
    if isinstance(x, str) and any("\udc80" <= c <= "\udcff" for c in x):
        return {"$text": base64.b64encode(x.encode("utf-8", "surrogateescape")).decode()}
    if isinstance(x, dict):
        return {name: to_neutral(each) for name, each in x.items()}
    return [to_neutral(each) for each in x] if isinstance(x, (list, tuple)) else x


def neutral_read(result):
    return {"columns": result.columns, "rows": result.rows, "truncated": result.truncated, "as_of_seq": result.as_of_seq,
            "source": result.source}


def neutral_write(result):
    return {"commit_seq": result.commit_seq, "replayed": result.replayed, "request_id": result.request_id,
            "results": [{"changes": x.changes, "last_insert_rowid": x.last_insert_rowid, "columns": x.columns,
                         "rows": x.rows} for x in result.results]}


async def ask(client, do, given):
    """Calls the method of either client; coroutines are awaited. Returns the answer as the protocol has it."""
    async def result(x):
        return await x if asyncio.iscoroutine(x) else x

    more = dict(given)
    for name, own in (("idempotency_key", "key"), ("freshness", "fresh")):
        if name in more:
            more[own] = more.pop(name)
    if "fresh" in more:
        more["fresh"] = more["fresh"] == "fresh"
    statements = [sluice.Statement(x["sql"], x.get("params", ()), x.get("expect", {}).get("changes"))
                  for x in more.pop("statements", ())]
    if do == "write":
        return neutral_write(await result(client.write(more.pop("db"), *statements, **more)))
    if do == "read" and statements:
        results = await result(client.read_snapshot(more.pop("db"), *statements, **more))
        return {"results": [neutral_read(x) for x in results]}
    if do == "read":
        return neutral_read(await result(client.read(more.pop("db"), more.pop("sql"), more.pop("params", ()), **more)))
    if do == "stream":
        if "max_rows" in more:
            more["page_rows"] = more.pop("max_rows")
        rows = await result(client.stream(more.pop("db"), more.pop("sql"), more.pop("params", ()), **more))
        return {"columns": rows.columns, "rows": [x async for x in rows] if hasattr(rows, "__aiter__") else list(rows)}
    # The methods whose answer is one member, under the name of the protocol.
    name, member = {"logs.recent": ("logs", "entries"), "audit.list": ("audit", "records"), "cancel": ("cancel", "cancelled"),
                    "log": ("log", "logged"), "buffer.rejected": ("buffer_rejected", "rows"),
                    }.get(do, (do.replace(".", "_"), None))
    answer = await result(getattr(client, name)(**more))
    return answer if member is None else {member: answer}


def has(got, wanted, at):
    """Objects may have more members than wanted; everything else is equal, and of the same type."""
    if isinstance(wanted, dict) and not (len(wanted) == 1 and next(iter(wanted)) in NATIVE):
        is_true(isinstance(got, dict), f"{at}: {got!r} is no object")
        for name, each in wanted.items():
            is_true(name in got, f"{at}: {got!r} has no {name}")
            has(got[name], each, f"{at}.{name}")
    elif isinstance(wanted, list):
        is_true(isinstance(got, list) and len(got) == len(wanted), f"{at}: {got!r}, not {wanted!r}")
        for number, (one, other) in enumerate(zip(got, wanted)):
            has(one, other, f"{at}[{number}]")
    else:
        is_equal((got, type(got)), (wanted, type(wanted)), at)


async def run_step(client, step, at):
    while True:
        try:
            got = to_neutral(await ask(client, step["do"], to_native(step["with"])))
        except sluice.SluiceError as error:
            is_true("fails" in step, f"{at}: {error!r}")
            has({"code": error.code, "outcome": error.outcome}, step["fails"], at)
            return
        is_true("fails" not in step, f"{at} was not refused: {got}")
        try:
            has(got, step.get("gives", {}), at)
            return
        except AssertionError:
            if not step.get("until"):
                raise
            await asyncio.sleep(0.01)


def run_scripts(fixture, is_async):
    async def main():
        outside, count = fixture.store, 0
        for path in sorted(glob.glob(os.path.join(FOLDER, "*.json"))):
            for script in json.loads(read_file(path)):
                count += 1
                fixture.store = os.path.join(outside, str(count))
                os.mkdir(fixture.store)
                if "operations" in script:
                    write_operations(fixture, script["operations"], "conformance.sql")
                client = await async_store(fixture) if is_async else store(fixture)
                if "operations" in script:
                    with store(fixture) as other:
                        wait_until(lambda other=other: other.list_operations()["operations"], "operations are listed")
                for number, step in enumerate(script["steps"]):
                    await run_step(client, step, f"{script['name']}, step {number}")
                ended = client.close()
                if is_async:
                    await ended
        is_true(count > 5, "there are scripts")

    asyncio.run(main())


def test_the_synchronous_client_conforms(fixture):
    run_scripts(fixture, False)


def test_the_client_for_asyncio_conforms(fixture):
    run_scripts(fixture, True)


if __name__ == "__main__":
    run_tests()
