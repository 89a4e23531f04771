"""The Python package beside brokers that are killed, stopped and frozen."""

import asyncio
import os
import signal
import threading
import time
import warnings

from harness import freeze, is_equal, is_running, is_true, kill_if_there, run_tests, wait_until
from link import PATIENCE
from python_rig import NUMBERS, async_store, fails, store
from rig import TABLE, brokers

import sluice
from sluice._retry import AGAIN, Attempts, Request
from sluice._wire import Call, Wire

# Writes of each worker, and kills of the broker.
ROUNDS = 40
KILLS = 4


def kill_leader(fixture):
    """Kills the leader when one of its own writes was answered, and waits until it has gone."""
    pid = fixture.leader()
    if pid:
        kill_if_there(pid)
        wait_until(lambda: not is_running(pid), "it has gone")
    return pid


def each_row_is_there_once(fixture, workers):
    rows = fixture.sql("app.db", "SELECT a, count(*) FROM t GROUP BY a ORDER BY a")
    is_equal(rows, [(x, 1) for x in range(workers * ROUNDS)])
    fixture.audit_is_whole()


def test_threads_lose_no_write_and_repeat_none_when_the_broker_is_killed(fixture):
    failed = []
    done = [0] * 4
    with store(fixture) as client:
        client.write("app.db", TABLE)

        def work(me):
            try:
                for n in range(ROUNDS):
                    client.write("app.db", "INSERT INTO t VALUES (?)", [me * ROUNDS + n])
                    done[me] += 1
                    client.read("app.db", "SELECT count(*) FROM t", fresh=n % 2 == 0).one()
            except Exception as error:
                failed.append(repr(error))

        threads = [threading.Thread(target=work, args=(me,)) for me in range(len(done))]
        [x.start() for x in threads]
        for kill in range(KILLS):
            goal = (kill + 1) * ROUNDS // 2
            wait_until(lambda goal=goal: sum(done) >= goal or failed, "writes are answered")
            kill_leader(fixture)
        [x.join() for x in threads]
    is_equal(failed, [])
    each_row_is_there_once(fixture, len(done))


def test_tasks_lose_no_write_and_repeat_none_when_the_broker_is_killed(fixture):
    async def run():
        done = []
        async with await async_store(fixture) as client:
            await client.write("app.db", TABLE)

            async def work(me):
                for n in range(ROUNDS):
                    await client.write("app.db", "INSERT INTO t VALUES (?)", [me * ROUNDS + n])
                    done.append(me)

            tasks = [asyncio.create_task(work(me)) for me in range(4)]
            for kill in range(KILLS):
                while len(done) < (kill + 1) * ROUNDS // 2 and not all(x.done() for x in tasks):
                    await asyncio.sleep(0.001)
                kill_leader(fixture)
            await asyncio.gather(*tasks)

    asyncio.run(run())
    each_row_is_there_once(fixture, 4)


def test_a_broker_that_is_stopped_is_followed_by_the_next(fixture):
    with store(fixture) as client:
        client.write("app.db", TABLE)
        for n in range(3):
            fixture.run("stop").good()
            client.write("app.db", "INSERT INTO t VALUES (?)", [n])
        is_equal(client.read("app.db", "SELECT count(*) FROM t", fresh=True).one(), (3,))


def test_a_request_that_a_stopping_broker_refuses_is_repeated_elsewhere(fixture):
    # Without a broker: a real one refuses only what comes in the moment between its decision and its end.
    wire, call = Wire(None, 0.0), Call()
    attempts = Attempts(Request("write", '"db":"app.db"', lambda answer: answer, changes=True), 30.0)
    wire.begin(call, "write", attempts.params(), 0.0)
    wire.receive(b'{"error":{"code":-32000,"message":"stops","data":{"code":"unavailable","outcome":"not_committed",'
                 b'"draining":true}},"id":%d,"jsonrpc":"2.0"}\n' % call.id, 0.0)
    is_equal((attempts.judge(call, wire) is AGAIN, wire.draining), (True, True))
    # Without the mark it is an answer.
    wire.begin(call, "write", attempts.params(), 0.0)
    wire.receive(b'{"error":{"code":-32000,"message":"x","data":{"code":"unavailable"}},"id":%d}\n' % call.id, 0.0)
    with fails(sluice.UnavailableError, outcome="not_committed"):
        attempts.judge(call, wire)


def test_what_cannot_be_repeated_fails_with_an_unknown_outcome(fixture):
    with store(fixture) as client:
        client.write("app.db", "CREATE TABLE u (id INTEGER PRIMARY KEY, x)")
        leader = fixture.leader()
        freeze(leader)
        ends = []

        def put():
            try:
                client.buffer_put("app.db", "u", {"id": 1}, {"x": 1})
            except sluice.UnavailableError as error:
                ends.append(error.outcome)

        thread = threading.Thread(target=put)
        thread.start()
        wait_until(lambda: client._channel.wire.pending, "it was sent")
        # Sent, and not answered: the broker is stopped.
        wait_until(lambda: any(x.sent for x in list(client._channel.wire.pending.values())), "it was sent")
        os.kill(leader, signal.SIGKILL)
        thread.join(PATIENCE)
        is_equal(ends, ["unknown"])
        client.buffer_put("app.db", "u", {"id": 1}, {"x": 2})
        client.flush()
        is_equal(client.read("app.db", "SELECT x FROM u", fresh=True).rows, [(2,)])


def test_a_stream_ends_with_its_broker(fixture):
    with store(fixture) as client:
        client.write("app.db", TABLE)
        rows = client.stream("app.db", NUMBERS.format(1000), page_rows=10)
        is_equal(next(rows), (1,))
        kill_leader(fixture)
        with fails(sluice.UnavailableError):
            list(rows)
        rows.close()
        is_equal(len(list(client.stream("app.db", NUMBERS.format(1000), page_rows=10))), 1000)


def test_a_frozen_broker_is_reported_and_calls_end_in_time(fixture):
    with store(fixture) as client:
        client.write("app.db", TABLE)
        leader = fixture.leader()
        freeze(leader)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            with fails(sluice.DeadlineExceededError, outcome="unknown"):
                client.write("app.db", "INSERT INTO t VALUES (1)", key="once", timeout=6)
            with fails(sluice.DeadlineExceededError, outcome="not_committed"):
                client.read("app.db", "SELECT 1", timeout=1)
        texts = [str(x.message) for x in heard if x.category is sluice.BrokerSilentWarning]
        is_true(texts and f"process {leader}" in texts[0] and "stopped" in texts[0], str(texts))
        # A new client finds it silent, too, and starts no second broker.
        with fails(sluice.UnavailableError):
            store(fixture, timeout=0.5)
        is_equal(brokers(fixture), [leader])
        os.kill(leader, signal.SIGCONT)
        # Answers to calls that were given up are ignored, and the key keeps the write from being applied twice.
        with store(fixture) as patient:
            patient.write("app.db", "INSERT INTO t VALUES (1)", key="once")
            is_equal(patient.read("app.db", "SELECT count(*) FROM t", fresh=True).one(), (1,))
        is_equal(client.read("app.db", "SELECT 2").one(), (2,))


def test_a_client_that_fails_on_silence_does_not_wait_for_its_time(fixture):
    with store(fixture, fail_on_silence=True) as client:
        client.write("app.db", TABLE)

        async def both():
            async with await async_store(fixture, fail_on_silence=True) as other:
                await other.ping()
                freeze(leader)
                with fails(sluice.UnavailableError):
                    await other.read("app.db", "SELECT 1")

        leader = fixture.leader()
        started = time.monotonic()
        asyncio.run(both())
        with fails(sluice.UnavailableError):
            client.read("app.db", "SELECT 1")
        is_true(time.monotonic() - started < PATIENCE / 2, "they did not wait for their time")
        os.kill(leader, signal.SIGCONT)
        is_equal(client.read("app.db", "SELECT 1").one(), (1,))


def test_a_subscription_goes_on_with_the_next_broker_and_misses_nothing(fixture):
    with store(fixture) as client, store(fixture) as writer:
        writer.write("app.db", TABLE)
        seqs = []
        with client.subscribe("app.db", "t") as changes:
            for n in range(12):
                seqs.append(writer.write("app.db", "INSERT INTO t VALUES (?)", [n]).commit_seq)
                if n % 4 == 1:
                    kill_leader(fixture)
                if n % 4 == 3:
                    is_equal([changes.get(PATIENCE).commit_seq for _ in range(4)], seqs[-4:])
            is_equal((changes.get(0), changes.last_seq), (None, seqs[-1]))
        is_equal([x.commit_seq for x in changes], [])
        with client.subscribe("app.db", from_seq=seqs[5]) as later:
            is_equal([next(later).commit_seq for _ in range(6)], seqs[6:])


def test_an_asynchronous_subscription_goes_on_with_the_next_broker(fixture):
    async def run():
        async with await async_store(fixture) as client, await async_store(fixture) as writer:
            await writer.write("app.db", TABLE)
            changes = await client.subscribe("app.db", "t")
            seqs = []

            async def write():
                for n in range(8):
                    seqs.append((await writer.write("app.db", "INSERT INTO t VALUES (?)", [n])).commit_seq)
                    if n == 3:
                        kill_leader(fixture)

            task = asyncio.create_task(write())
            got = []
            async for change in changes:
                got.append(change.commit_seq)
                if len(got) == 8:
                    await changes.close()
            await task
            is_equal(got, seqs)

    asyncio.run(run())


def test_a_subscriber_that_does_not_read_gets_one_change_for_all(fixture):
    from sluice import _wire

    _wire.MAX_UNREAD_CHANGES = 5
    with store(fixture) as client:
        client.write("app.db", TABLE)
        with client.subscribe("app.db") as changes:
            seqs = [client.write("app.db", "INSERT INTO t VALUES (?)", [n]).commit_seq for n in range(6)]
            is_equal(changes.get(PATIENCE), sluice.Change("app.db", seqs[-1], (), True))
            is_equal(changes.get(0), None)


def test_a_store_that_was_replaced_is_not_written(fixture):
    with store(fixture, timeout=5.0) as client:
        client.write("app.db", TABLE)
        fixture.run("stop").good()
        os.rename(fixture.store, fixture.store + "-moved")
        os.mkdir(fixture.store)
        with fails(sluice.WrongStoreError):
            client.write("app.db", "INSERT INTO t VALUES (1)")
        is_equal(os.listdir(fixture.store), [])


if __name__ == "__main__":
    run_tests()
