"""The Python package: the client for asyncio."""

import asyncio

from harness import is_equal, is_true, run_tests
from link import PATIENCE
from operations_test import NOTES, write_operations
from python_rig import ENDLESS, NUMBERS, async_store, fails, store
from rig import TABLE

import sluice


def runs(test):
    """Makes a test of a coroutine function, whose second parameter is a client."""

    def run(fixture):
        async def main():
            async with await async_store(fixture, agent="alice") as client:
                await client.write("app.db", TABLE)
                await test(fixture, client)

        asyncio.run(main())

    return run


async def until(condition, what):
    give_up = asyncio.get_running_loop().time() + PATIENCE
    while not await condition():
        is_true(asyncio.get_running_loop().time() < give_up, f"not in time: {what}")
        await asyncio.sleep(0.002)


async def is_running(client):
    return any(x["state"] == "running" for x in (await client.status())["running"])


async def is_idle(client):
    return not (await client.status())["running"]


@runs
async def test_it_has_the_methods_of_the_synchronous_client(fixture, client):
    result = await client.write("app.db", "INSERT INTO t VALUES (?) RETURNING a", [7])
    is_equal((result.rows, result.changes), ([(7,)], 1))
    is_equal((await client.read("app.db", "SELECT a FROM t", min_seq=result.commit_seq)).one(), (7,))
    is_equal([x.rows for x in await client.read_snapshot("app.db", "SELECT 1", "SELECT 2")], [[(1,)], [(2,)]])
    is_true((await client.log("info", "text")) and (await client.audit_verify())["intact"], "done")
    await client.log_later("info", "text")
    await until(lambda: has_entries(client, 2), "the entries arrive")
    with fails(sluice.ConflictError):
        await client.write("app.db", "DELETE FROM t", expect=5)
    public = {x for x in dir(sluice.Client) if not x.startswith("_")}
    is_equal(public - set(dir(client)), set())


async def has_entries(client, count):
    return len(await client.logs(agent="alice")) == count


@runs
async def test_a_thousand_requests_wait_at_once(fixture, client):
    answers = await asyncio.gather(*[client.read("app.db", "SELECT ?", [n]) for n in range(1000)],
                                   *[client.write("app.db", "INSERT INTO t VALUES (?)", [n]) for n in range(200)])
    is_equal([x.one() for x in answers[:1000]], [(n,) for n in range(1000)])
    is_equal((await client.read("app.db", "SELECT count(*) FROM t", fresh=True)).one(), (200,))
    is_equal((await client.status())["front_door"]["connections"], 1)


@runs
async def test_large_requests_and_answers_pass_each_other(fixture, client):
    await client.write("app.db", "CREATE TABLE b (id INTEGER PRIMARY KEY, x BLOB)")

    async def work(me):
        blob = bytes([me]) * 1_500_000
        await client.write("app.db", "INSERT INTO b VALUES (?, ?)", [me, blob])
        is_equal((await client.read("app.db", "SELECT x FROM b WHERE id = ?", [me])).one() == (blob,), True)

    await asyncio.gather(*[work(me) for me in range(6)])
    with fails(sluice.TooLargeError):
        await client.write("app.db", "INSERT INTO b (x) VALUES (?)", [bytes(13_000_000)])
    is_equal((await client.read("app.db", "SELECT 1")).one(), (1,))


@runs
async def test_a_cancelled_task_cancels_its_read_at_the_broker(fixture, client):
    task = asyncio.create_task(client.read("app.db", ENDLESS))
    await until(lambda: is_running(client), "it runs")
    task.cancel()
    with fails(asyncio.CancelledError):
        await task
    await until(lambda: is_idle(client), "the broker has ended it")
    with fails(asyncio.TimeoutError):
        await asyncio.wait_for(client.read("app.db", ENDLESS), 0.2)
    await until(lambda: is_idle(client), "the broker has ended it")
    is_equal((await client.read("app.db", "SELECT 1")).one(), (1,))


@runs
async def test_a_cancelled_task_cancels_a_write_that_has_not_begun(fixture, client):
    first = asyncio.create_task(client.write("app.db", f"INSERT INTO t {ENDLESS}", request_id="endless"))
    await until(lambda: is_running(client), "it runs")
    second = asyncio.create_task(client.write("app.db", "INSERT INTO t VALUES (-1)"))
    await client.ping()
    second.cancel()
    with fails(asyncio.CancelledError):
        await second
    is_true(await client.cancel("endless"), "cancelled")
    with fails(sluice.RequestCancelledError):
        await first
    is_equal((await client.read("app.db", "SELECT count(*) FROM t WHERE a < 0", fresh=True)).one(), (0,))


@runs
async def test_large_answers_come_page_by_page(fixture, client):
    count = 0
    async for row in await client.stream("app.db", NUMBERS.format(30_000)):
        count += 1
        is_equal(row, (count,))
    is_equal(count, 30_000)
    async with await client.stream("app.db", NUMBERS.format(30_000), page_rows=100) as rows:
        is_equal(await rows.__anext__(), (1,))
        is_equal((await client.status())["cursors"]["open"], 1)
    is_equal((await client.status())["cursors"]["open"], 0)
    pages = (await client.stream("app.db", NUMBERS.format(25), page_rows=10)).pages()
    is_equal([len(x) async for x in pages], [10, 10, 5])


@runs
async def test_subscriptions_are_iterators(fixture, client):
    changes = await client.subscribe("app.db", "t")
    seq = (await client.write("app.db", "INSERT INTO t VALUES (1)")).commit_seq
    is_equal(await changes.get(PATIENCE), sluice.Change("app.db", seq, ("t",), False))
    is_equal((await changes.get(0), changes.last_seq), (None, seq))
    waiting = asyncio.create_task(changes.__anext__())
    await client.ping()
    await changes.close()
    with fails(StopAsyncIteration):
        await waiting


@runs
async def test_a_subscription_whose_task_is_cancelled_leaves_none_behind(fixture, client):
    for _ in range(5):
        task = asyncio.create_task(client.subscribe("app.db", "t"))
        # The request is sent by the first step of the task; its answer has not come.
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    # The first notification of such a subscription ends it.
    await client.write("app.db", "INSERT INTO t VALUES (1)")

    async def none_left():
        return (await client.status())["front_door"]["subscriptions"] == 0

    await until(none_left, "they have ended")


@runs
async def test_operations_are_awaited(fixture, client):
    write_operations(fixture, NOTES)

    async def is_loaded():
        return (await client.list_operations())["operations"]

    await until(is_loaded, "the operations are loaded")
    await client.operations.make_notes()
    is_equal(await client.operations.add_note(text="x"), {"id": 1})
    is_equal(await client.operations.find_notes(part=""), [{"id": 1, "text": "x"}])
    is_equal((await client.call("note", {"id": 1}))["rows"], [{"id": 1, "text": "x"}])


@runs
async def test_closing_ends_the_calls_under_way(fixture, client):
    other = await async_store(fixture)
    task = asyncio.create_task(other.read("app.db", ENDLESS))
    await until(lambda: is_running(client), "it runs")
    await other.close()
    with fails(sluice.RequestCancelledError):
        await task
    await until(lambda: is_idle(client), "the broker has ended it")


def test_a_client_starts_a_broker_without_blocking_the_loop(fixture):
    async def main():
        client, _ = await asyncio.gather(async_store(fixture), asyncio.sleep(0))
        async with client:
            is_equal((await client.ping())["pid"], fixture.leader())

    asyncio.run(main())
    with store(fixture) as client:
        is_equal(client.ping()["pid"], fixture.leader())


if __name__ == "__main__":
    run_tests()
