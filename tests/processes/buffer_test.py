"""The write-behind buffer from the outside: possible losses by kills, locks and full disks."""

import json
import os
import random
import signal
import sqlite3
import stat
import sys
import threading
import time

from harness import SOAK, is_equal, is_true, run_tests, wait_until
from link import Refused
from machine_test import fill, put_on_small_disk
from rig import await_no_process

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, a)"
HOUR = {"SLUICE_BUFFER_INTERVAL_MS": "3600000"}
IMPATIENT = {"SLUICE_RETRY_ATTEMPTS": "0", "SLUICE_BUSY_TIMEOUT_MS": "10"}
JOURNAL = {"SLUICE_BUFFER_JOURNAL": "true"}


def put(link, row, wait_ms=0, table="t", operation="upsert", **values):
    return link.call("buffer.put", **put_params(row, wait_ms, table, operation, **values))


def put_params(row, wait_ms=0, table="t", operation="upsert", **values):
    return {"db": "app.db", "table": table, "operation": operation, "key": {"id": row}, "values": values,
            "wait_ms": wait_ms}


def serve(fixture, *settings, table=TABLE):
    """Starts a broker with a table."""
    env = {}
    for x in settings:
        env.update(x)
    server = fixture.serve(env=env)
    link = fixture.connect()
    if not fixture.sql("app.db", "SELECT 1 FROM sqlite_schema WHERE name = 't'"):
        link.write("app.db", table)
    return server, link


def rows(fixture, what="id", order="id"):
    return [x[0] for x in fixture.sql("app.db", f"SELECT {what} FROM t ORDER BY {order}")]


def kill(server):
    server.signal(signal.SIGKILL)
    server.end()


def stop(server):
    server.signal(signal.SIGTERM)
    server.end().good()


def is_all(report, **wanted):
    is_equal({x: report.get(x) for x in wanted}, wanted, str(report))


def waiting_put(link, row):
    """Sends a put that waits for room; returns its id, or None if it was refused at once."""
    which = link.post("buffer.put", **put_params(row, wait_ms=60000))
    # A put that is refused at once is answered before this request.
    link.call("buffer.get", db="app.db", table="t", key={"id": 0})
    if which not in link.answers:
        return which
    is_equal(link.answers.pop(which)["error"]["data"]["code"], "overloaded")
    return None


class Lock:
    """Opens a transaction of an external process on the database."""

    def __init__(self, fixture):
        self.db = sqlite3.connect(fixture.path("app.db"), isolation_level=None)
        self.db.execute("BEGIN EXCLUSIVE")

    def end(self):
        self.db.execute("ROLLBACK")
        self.db.close()


def test_a_kill_without_a_journal_loses_only_rows_that_were_not_flushed(fixture):
    lost = 0
    for attempt in range(5 * SOAK):
        server, link = serve(fixture, {"SLUICE_BUFFER_INTERVAL_MS": "300"})
        base = attempt * 1_000_000
        taken = 0

        def put_some(rows):
            nonlocal taken
            for _ in range(rows):
                put(link, base + taken, n=taken)
                taken += 1
            return link.call("status")["buffer"]["flushed_rows"]

        wait_until(lambda: put_some(1) > 10, "the interval flushes")
        flushed = put_some(random.randrange(60))
        kill(server)
        there = [x - base for x in rows(fixture) if x >= base]
        # The puts are sequential, so the rows in the file are a prefix of them.
        is_equal(there, list(range(len(there))))
        is_true(len(there) >= flushed, f"{flushed} rows were flushed, and {len(there)} are there")
        lost += taken - len(there)
    is_true(lost > 0, "no kill hit pending rows, so the test proves nothing")


class Putter(threading.Thread):
    """Puts ascending numbers into a row of its own until the broker has ended."""

    def __init__(self, fixture, row, first):
        super().__init__(daemon=True)
        self.link, self.row, self.next = fixture.connect(), row, first
        self.done, self.error = [], None

    def run(self):
        try:
            while True:
                is_true(put(self.link, self.row, wait_ms=60000, n=self.next)["journaled"], "it is in the journal")
                self.done.append(self.next)
                self.next += 1
        except (ConnectionError, OSError):
            # The last one has no answer.
            self.next += 1
        except Exception as x:
            self.error = x


def kill_with_journal(fixture, table, rounds, check):
    clients = 4
    next_number = [1] * clients
    acknowledged = [set() for _ in range(clients)]
    settings = {**JOURNAL, "SLUICE_BUFFER_INTERVAL_MS": "30", "SLUICE_BUFFER_BATCH": "20"}
    for _ in range(rounds):
        server, link = serve(fixture, settings, table=table)
        putters = [Putter(fixture, row, next_number[row]) for row in range(clients)]
        for x in putters:
            x.start()
        enough = random.randrange(1, 300)
        wait_until(lambda: server.ended() or sum(len(x.done) for x in putters) >= enough, "the putters are at work")
        kill(server)
        for x in putters:
            x.join()
            if x.error:
                raise x.error
            acknowledged[x.row].update(x.done)
            next_number[x.row] = x.next
    server, link = serve(fixture, settings)
    report = link.call("flush")
    is_all(report, set_aside=0, kept=0)
    check(acknowledged)
    # No row was rejected, and the journal is empty.
    is_equal(link.call("buffer.rejected")["rows"], [])
    stop(server)
    db = sqlite3.connect(fixture.path(".sluice", "buffer.db"))
    is_equal(db.execute("SELECT (SELECT count(*) FROM journal), (SELECT count(*) FROM batches)").fetchall(), [(0, 0)])
    db.close()
    fixture.audit_is_whole()


def test_with_the_journal_kills_lose_nothing_and_every_operation_is_applied_once(fixture):
    # The trigger records each operation.
    table = (TABLE + "; CREATE TABLE applied (place INTEGER PRIMARY KEY, id, n);"
             "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO applied (id, n) VALUES (NEW.id, NEW.n); END;"
             "CREATE TRIGGER u AFTER UPDATE ON t BEGIN INSERT INTO applied (id, n) VALUES (NEW.id, NEW.n); END")
    with sqlite3.connect(fixture.path("app.db")) as db:
        db.executescript("PRAGMA journal_mode = WAL;" + table)

    def check(acknowledged):
        for row, numbers in enumerate(acknowledged):
            applied = [x[0] for x in fixture.sql("app.db", "SELECT n FROM applied WHERE id = ? ORDER BY place", row)]
            is_equal(applied, sorted(set(applied)), "operations applied twice, or out of order")
            is_equal(sorted(numbers - set(applied)), [], "acknowledged operations that are lost")

    kill_with_journal(fixture, table, 15 * SOAK, check)


def test_with_the_journal_kills_lose_no_merged_operation(fixture):
    def check(acknowledged):
        for row, numbers in enumerate(acknowledged):
            (n,), = fixture.sql("app.db", "SELECT n FROM t WHERE id = ?", row)
            # The broker may have accepted the put that it did not answer.
            is_true(max(numbers) <= n <= max(numbers) + 1, f"{n} after {max(numbers)}")

    kill_with_journal(fixture, TABLE, 15 * SOAK, check)


def test_a_broker_that_is_stopped_writes_all_pending_rows(fixture):
    server, link = serve(fixture, HOUR, {"SLUICE_BUFFER_BATCH": "1000"})
    for i in range(700):
        put(link, i, n=i)
    is_equal(rows(fixture), [])
    stop(server)
    is_equal(rows(fixture), list(range(700)))
    is_equal(fixture.leader_files(), [])


def test_a_transient_broker_writes_all_pending_rows_before_it_ends(fixture):
    env = {**HOUR, "SLUICE_LINGER_MS": "200"}
    fixture.run("exec", "app.db", TABLE, env=env).good()
    fixture.run("buffer", "put", "app.db", "t", "-k", "id=1", "-v", "n=5", env=env).good()
    await_no_process(fixture)
    is_equal(rows(fixture, "n"), [5])


def test_a_command_without_a_broker_writes_its_rows(fixture):
    fixture.run("exec", "app.db", TABLE, env={"SLUICE_LINGER_MS": "0"}).good()
    await_no_process(fixture)
    end = fixture.run("buffer", "put", "app.db", "t", "-k", "id=1", "-v", "n=5",
                      env={**HOUR, "SLUICE_PROGRAM": "/nonexistent"}).good()
    is_true("this process leads the store itself" in end.err, str(end))
    is_equal(rows(fixture, "n"), [5])


def test_a_journal_that_a_kill_left_is_written_by_the_next_command(fixture):
    server, link = serve(fixture, HOUR, JOURNAL)
    for i in range(10):
        is_equal(put(link, i, n=i), {"pending": i + 1, "journaled": True})
    kill(server)
    is_equal(rows(fixture), [])
    is_equal(stat.S_IMODE(os.stat(fixture.path(".sluice", "buffer.db")).st_mode), 0o600)
    is_equal(fixture.run("flush").good().out, "10 rows written, 0 set aside, 0 kept\n")
    is_equal(rows(fixture), list(range(10)))
    is_equal(fixture.processes(), [])
    is_equal([x for x in fixture.leader_files() if x.endswith(("-wal", "-shm"))], [])


def test_an_external_lock_delays_rows_and_they_are_written_later(fixture):
    server, link = serve(fixture, HOUR, IMPATIENT)
    lock = Lock(fixture)
    for i in range(5):
        put(link, i, n=i)
    report = link.call("flush")
    is_all(report, flushed=0, set_aside=0, kept=5)
    is_true(report["reason"], "a reason")
    is_equal(link.call("buffer.get", db="app.db", table="t", key={"id": 3})["row"]["n"], 3)
    lock.end()
    # The buffer may have retried them meanwhile.
    is_all(link.call("flush"), set_aside=0, kept=0)
    is_equal(rows(fixture), list(range(5)))


def test_a_flush_that_a_lock_prevented_is_retried_without_a_request(fixture):
    server, link = serve(fixture, {"SLUICE_BUFFER_INTERVAL_MS": "50"}, IMPATIENT)
    lock = Lock(fixture)
    put(link, 1, n=1)
    wait_until(lambda: link.call("status")["buffer"]["failed_flushes"] > 0, "a flush failed")
    lock.end()
    wait_until(lambda: rows(fixture) == [1], "the row is written")


def test_a_rejected_row_is_kept_and_delays_no_other(fixture):
    server, link = serve(fixture, HOUR)
    link.write("app.db", "CREATE UNIQUE INDEX once ON t (a)")
    for i in range(50):
        put(link, i, n=i, a="same" if i in (10, 40) else i)
    is_all(link.call("flush"), flushed=49, set_aside=1, kept=0)
    is_equal(rows(fixture), [x for x in range(50) if x != 40])
    row, = link.call("buffer.rejected")["rows"]
    is_all(row, code="constraint", db="app.db", table="t", operation="upsert", key={"id": 40},
           values={"a": "same", "n": 40})
    is_true("UNIQUE" in row["message"], str(row))
    # The rejected row outlives the broker.
    link.close()
    kill(server)
    server, link = serve(fixture, HOUR)
    wait_until(lambda: link.call("status")["buffer"]["set_aside"] == 1, "the new broker has loaded the rejected rows")
    link.write("app.db", "DROP INDEX once")
    is_equal(link.call("buffer.requeue", ids=[row["id"]]), {"requeued": 1})
    is_all(link.call("flush"), flushed=1, set_aside=0, kept=0)
    is_equal(rows(fixture), list(range(50)))
    is_equal(link.call("buffer.rejected")["rows"], [])


def test_callers_wait_when_the_buffer_is_nearly_full_and_are_served_later(fixture):
    server, link = serve(fixture, HOUR, IMPATIENT, {"SLUICE_BUFFER_MAX_PENDING": "50"})
    lock = Lock(fixture)
    taken = 0
    try:
        while taken < 100:
            put(link, taken)
            taken += 1
    except Refused as x:
        is_equal((x.code, x.outcome), ("overloaded", "not_committed"))
        is_true(x.data["retry_after_ms"] > 0, str(x))
    is_equal(taken, 40)
    patient = [link.post("buffer.put", **put_params(1000 + i, wait_ms=60000)) for i in range(40)]
    hasty = link.refusal("buffer.put", **put_params(2000, wait_ms=20))
    is_equal(hasty.code, "overloaded")
    lock.end()
    for which in patient:
        link.answer(which)
    link.call("flush")
    is_equal(rows(fixture), [*range(40), *range(1000, 1040)])


def test_puts_that_wait_for_room_end_with_their_clients(fixture):
    server, link = serve(fixture, HOUR, IMPATIENT, {"SLUICE_BUFFER_MAX_PENDING": "50"})
    lock = Lock(fixture)
    for i in range(40):
        put(link, i)
    gone = fixture.connect()
    for i in range(50):
        gone.post("buffer.put", **put_params(1000 + i, wait_ms=60000))
    gone.call("buffer.get", db="app.db", table="t", key={"id": 0})
    # The maximum number of puts waits.
    is_equal(waiting_put(link, 2000), None)
    gone.close()
    patient = wait_until(lambda: waiting_put(link, 2000), "the waiting puts have ended")
    lock.end()
    link.answer(patient)
    link.call("flush")
    is_equal(rows(fixture), [*range(40), 2000])


def test_many_clients_put_at_once_beside_others_that_write(fixture):
    server, link = serve(fixture, {"SLUICE_BUFFER_INTERVAL_MS": "100"})
    link.write("app.db", "CREATE TABLE direct (a INTEGER)")
    problems = []

    def work(f):
        def run():
            try:
                with fixture.connect() as mine:
                    f(mine)
            except BaseException as x:
                problems.append(x)
        return threading.Thread(target=run)

    def putter(client):
        return lambda mine: [put(mine, client * 1000 + i, wait_ms=60000, n=i) for i in range(200)]

    def writer(mine):
        for i in range(100):
            mine.write("app.db", "INSERT INTO direct VALUES (?)", i)

    threads = [work(putter(x)) for x in range(16)] + [work(writer) for _ in range(4)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    is_equal(problems, [])
    is_all(link.call("flush"), set_aside=0, kept=0)
    is_equal(rows(fixture), [x * 1000 + i for x in range(16) for i in range(200)])
    is_equal(fixture.sql("app.db", "SELECT count(*) FROM direct"), [(400,)])
    status = link.call("status")["buffer"]
    is_all(status, pending=0, puts=3200, flushed_rows=3200, rejected=0)
    fixture.audit_is_whole()


def test_buffer_get_sees_pending_values_and_all_reads_see_flushed_ones(fixture):
    server, link = serve(fixture, HOUR)
    link.write("app.db", "INSERT INTO t VALUES (1, 1, 'old')")
    link.read("app.db", "SELECT n FROM t WHERE id = 1")
    put(link, 1, n=2)
    got = link.call("buffer.get", db="app.db", table="t", key={"id": 1})
    is_equal(got, {"found": True, "pending": 1, "row": {"id": 1, "n": 2, "a": "old"}})
    is_equal(link.read("app.db", "SELECT n FROM t WHERE id = 1"), [[1]])
    put(link, 2, operation="delete")
    put(link, 3, n=3)
    put(link, 3, operation="delete")
    is_equal(link.call("buffer.get", db="app.db", table="t", key={"id": 3})["found"], False)
    link.call("flush")
    is_equal(link.read("app.db", "SELECT n FROM t WHERE id = 1"), [[2]])
    is_equal(link.call("buffer.get", db="app.db", table="t", key={"id": 1})["pending"], 0)


def test_a_full_disk_keeps_rows_until_there_is_room(fixture):
    put_on_small_disk(fixture, "6m")
    server, link = serve(fixture, HOUR, IMPATIENT)
    for i in range(20):
        put(link, i, a={"$blob": "A" * 40000})
    fill(fixture.path("ballast"))
    report = link.call("flush")
    is_all(report, set_aside=0)
    is_true(report["kept"] > 0 and report["reason"], str(report))
    os.unlink(fixture.path("ballast"))
    is_all(link.call("flush"), set_aside=0, kept=0)
    is_equal(rows(fixture), list(range(20)))
    is_equal(fixture.sql("app.db", "PRAGMA integrity_check"), [("ok",)])


def test_on_a_full_disk_puts_that_the_journal_cannot_store_are_refused(fixture):
    put_on_small_disk(fixture, "6m")
    server, link = serve(fixture, HOUR, JOURNAL)
    put(link, 0)
    fill(fixture.path("ballast"))
    taken = 0
    try:
        for i in range(1, 200):
            put(link, i, a={"$blob": "A" * 40000})
            taken = i
    except Refused as x:
        is_true(x.code in ("disk_full", "io_error"), str(x))
    is_true(taken < 199, "the disk is full")
    os.unlink(fixture.path("ballast"))
    put(link, 1000)
    kill(server)
    server, link = serve(fixture, HOUR, JOURNAL)
    is_all(link.call("flush"), set_aside=0, kept=0)
    is_equal(rows(fixture), [*range(taken + 1), 1000])


def test_a_damaged_journal_is_kept_and_puts_are_refused_without_it(fixture):
    server, link = serve(fixture, HOUR, JOURNAL)
    put(link, 1)
    kill(server)
    path = fixture.path(".sluice", "buffer.db")
    for suffix in ("-wal", "-shm"):
        os.unlink(path + suffix)
    with open(path, "wb") as x:
        x.write(b"damaged" * 1000)
    server, link = serve(fixture, HOUR, JOURNAL)
    is_equal(link.refusal("buffer.put", **put_params(2)).code, "corrupt")
    is_true(link.call("status")["buffer"]["last_error"], "the status says so")
    is_equal(link.write("app.db", "INSERT INTO t VALUES (5, 5, 5)")["outcome"], "committed")
    stop(server)
    with open(path, "rb") as x:
        is_equal(x.read(), b"damaged" * 1000)
    is_equal(rows(fixture), [5])


def test_invalid_puts_are_refused_with_the_reason_and_audited(fixture):
    server, link = serve(fixture, HOUR)
    base = {"db": "app.db", "table": "t", "operation": "upsert", "key": {"id": 1}}
    for change, code in [({"db": "../x.db"}, "invalid_request"), ({"table": "none"}, "sql_error"),
                         ({"key": {"n": 1}}, "invalid_request"), ({"key": {"id": None}}, "invalid_request"),
                         ({"values": {"none": 1}}, "invalid_request"),
                         ({"values": {"a": {"$blob": "A" * 2_000_000}}}, "too_large")]:
        refused = link.refusal("buffer.put", **{**base, **change, "agent": "mallory"})
        is_equal((refused.code, refused.outcome), (code, "not_committed"), str(refused))
    is_equal(link.call("flush")["flushed"], 0)
    refused = [x for x in fixture.audit() if x["request_type"] == "buffer.put"]
    is_true({"invalid_request", "too_large", "sql_error"} <= {x["status"] for x in refused}, json.dumps(refused))


if __name__ == "__main__":
    run_tests()
