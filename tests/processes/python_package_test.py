"""The Python package: requests, answers, values and errors of the synchronous client."""

import datetime
import decimal
import json
import logging
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import threading

from harness import is_equal, is_true, read_file, run_tests, wait_until
from link import PATIENCE
from operations_test import NOTES, write_operations
from python_rig import ENDLESS, HERE, NUMBERS, PACKAGE, adopt_environment, fails, store
from rig import TABLE, brokers

import sluice
from sluice.errors import BY_CODE

VALUES = [None, 0, 1, -(2**63), 2**63 - 1, 2**53 + 1, 0.5, math.inf, -math.inf, "", "x", "a\0b", "ümlaut 🙂", "\ufeff",
          b"caf\xe9".decode("utf-8", "surrogateescape"), b"", b"caf\xe9", bytes(range(256))]


def test_a_client_starts_a_broker_writes_and_reads(fixture):
    with store(fixture, agent="alice") as client:
        client.write("app.db", TABLE)
        result = client.write("app.db", "INSERT INTO t VALUES (?) RETURNING a, rowid", [7], "INSERT INTO t VALUES (8)")
        is_equal((result.changes, result.replayed, result.results[0].rows), (2, False, [(7, 1)]))
        is_equal((result.last_insert_rowid, result.commit_seq), (2, 2))
        answer = client.read("app.db", "SELECT a FROM t WHERE a > :least ORDER BY a", {"least": 6}, min_seq=2)
        is_equal((list(answer), answer.columns, answer.truncated, answer.as_of_seq), ([(7,), (8,)], ("a",), False, 2))
        is_equal(client.read("app.db", "SELECT count(*) FROM t", fresh=True).one(), (2,))
        is_equal([x.rows for x in client.read_snapshot("app.db", "SELECT 1", "SELECT ?", [2])], [[(1,)], [(2,)]])
        is_true(client.read("app.db", NUMBERS.format(50), max_rows=3).truncated, "cut")
        is_equal(client.ping()["pid"], fixture.leader())
        is_equal([x["agent"] for x in client.audit(db="app.db", limit=2)], ["alice"] * 2)
        is_true(client.audit_verify()["intact"], "the audit")
        is_equal(client.status()["store_root"], fixture.store)


def test_values_come_back_as_they_were(fixture):
    with store(fixture) as client:
        client.write("app.db", "CREATE TABLE v (x)")
        for x in VALUES:
            is_equal(client.write("app.db", "INSERT INTO v VALUES (?) RETURNING x, ? IS x", [x, x]).rows, [(x, 1)])
        is_equal([x for x, in client.read("app.db", "SELECT x FROM v ORDER BY rowid")], VALUES)
        is_equal([x for x, in client.stream("app.db", "SELECT x FROM v ORDER BY rowid")], VALUES)
        sent = [True, bytearray(b"a"), memoryview(b"b"), datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3, 4, 5)]
        got = client.read("app.db", "SELECT ?, ?, ?, ?, ?", sent).one()
        is_equal(got, (1, b"a", b"b", "2026-01-02", "2026-01-02 03:04:05"))
        # Written by sqlite3 itself, a row is the same.
        got_by_sqlite = fixture.sql("app.db", "SELECT typeof(x) FROM v ORDER BY rowid")
        kinds = {type(None): "null", int: "integer", float: "real", str: "text", bytes: "blob"}
        is_equal([x for x, in got_by_sqlite], [kinds[type(x)] for x in VALUES])


def test_values_that_sqlite_does_not_have_are_refused_before_they_are_sent(fixture):
    with store(fixture) as client:
        for x, kind in ((2**63, OverflowError), (-(2**63) - 1, OverflowError), (math.nan, ValueError),
                        (decimal.Decimal("1.5"), TypeError), (object(), TypeError), ([1], TypeError)):
            with fails(kind):
                client.write("app.db", "SELECT ?", [x])
        for wrong in (lambda: client.read("app.db", "SELECT ?", "text"), lambda: client.write("app.db"),
                      lambda: client.write("app.db", [1]),
                      lambda: client.write("app.db", "SELECT 1", "SELECT 2", expect=1)):
            with fails(TypeError):
                wrong()
        with fails(ValueError):
            client.read("app.db", "SELECT 1", timeout=0)
        is_equal(client.audit(db="app.db"), [])


def test_rows_are_tuples_dicts_or_named(fixture):
    with store(fixture, row_factory=sluice.dict_row) as client:
        client.write("app.db", TABLE)
        query = "SELECT 1 AS a, 'x' AS b"
        is_equal(client.read("app.db", query).one(), {"a": 1, "b": "x"})
        named = client.read("app.db", query, row_factory=sluice.named_row).one()
        is_equal((named.a, named.b, named), (1, "x", (1, "x")))
        odd = client.read("app.db", "SELECT 1 AS \"class\", 2 AS a", row_factory=sluice.named_row).one()
        is_equal(odd._fields, ("_0", "a"))
        is_equal(client.read("app.db", query, row_factory=sluice.tuple_row).first(), (1, "x"))
        is_equal(list(client.stream("app.db", query)), [{"a": 1, "b": "x"}])
        is_equal(client.write("app.db", "INSERT INTO t VALUES (1) RETURNING a").rows, [{"a": 1}])


def test_each_error_code_has_an_exception(fixture):
    page = read_file(os.path.join(HERE, "..", "..", "docs", "reference", "protocol.md"))
    table = page.split("\n## Errors\n")[1].split("\n## ")[0]
    documented = {code for row in table.splitlines() if row.startswith("| `")
                  for code in re.findall(r"`(\w+)`", row.split("|")[1])}
    is_equal(sorted(documented - set(BY_CODE)), [])
    with store(fixture) as client:
        client.write("app.db", "CREATE TABLE u (a INTEGER PRIMARY KEY)", "INSERT INTO u VALUES (1)")
        for kind, code, request in (
                (sluice.ConstraintError, "constraint", lambda: client.write("app.db", "INSERT INTO u VALUES (1)")),
                (sluice.SqlError, "sql_error", lambda: client.read("app.db", "SELEC 1")),
                (sluice.ConflictError, "conflict", lambda: client.write("app.db", "DELETE FROM u WHERE a > 1", expect=1)),
                (sluice.UnknownDatabaseError, "unknown_database", lambda: client.read("no.db", "SELECT 1")),
                (sluice.UnknownOperationError, "unknown_operation", lambda: client.call("no_such")),
                (sluice.InvalidRequestError, "invalid_request", lambda: client.write("app.db", "BEGIN"))):
            with fails(kind, code=code, outcome="not_committed"):
                request()
        client.write("app.db", "INSERT INTO u VALUES (2)", key="k")
        is_true(client.write("app.db", "INSERT INTO u VALUES (2)", key="k").replayed, "replayed")
        try:
            client.write("app.db", "INSERT INTO u VALUES (3)", key="k")
            raise AssertionError("not refused")
        except sluice.PayloadMismatchError as error:
            again = pickle.loads(pickle.dumps(error))
            is_equal((type(again), str(again), again.data), (type(error), str(error), error.data))


def test_a_large_answer_is_read_in_bounded_memory(fixture):
    script = f"""
import sys
sys.path[:0] = [{HERE!r}, {PACKAGE!r}]
import sluice
from rig import resident_bytes
import os
client = sluice.connect({fixture.store!r})
count, first = 0, None
for x, text in client.stream("app.db", "SELECT x, hex(zeroblob(500)) FROM (" + {NUMBERS.format(200_000)!r} + ")"):
    count += 1
    if count == 20_000:
        first = resident_bytes(os.getpid())
print(count, resident_bytes(os.getpid()) - first)
"""
    with store(fixture) as client:
        client.write("app.db", TABLE)
        out = subprocess.run([sys.executable, "-B", "-c", script], env=fixture.env, check=True, capture_output=True,
                             text=True).stdout.split()
        is_equal(int(out[0]), 200_000)
        # The whole answer has 200 MB.
        is_true(int(out[1]) < 20 << 20, f"it grew by {out[1]} bytes")


def test_a_stream_that_is_left_early_leaves_no_cursor(fixture):
    with store(fixture) as client:
        client.write("app.db", TABLE)
        with client.stream("app.db", NUMBERS.format(100_000), page_rows=10) as rows:
            is_equal([next(rows) for _ in range(15)], [(x + 1,) for x in range(15)])
            is_equal(client.status()["cursors"]["open"], 1)
        is_equal((client.status()["cursors"]["open"], list(rows)), (0, []))
        pages = client.stream("app.db", NUMBERS.format(25), page_rows=10).pages()
        is_equal([len(x) for x in pages], [10, 10, 5])


def test_threads_share_a_client(fixture):
    wrong = []
    with store(fixture) as client:
        client.write("app.db", TABLE)

        def work(me):
            for n in range(150):
                if client.read("app.db", "SELECT ?", [f"{me}-{n}"]).one() != (f"{me}-{n}",):
                    wrong.append((me, n))
                client.write("app.db", "INSERT INTO t VALUES (?)", [n])

        threads = [threading.Thread(target=work, args=(me,)) for me in range(8)]
        [x.start() for x in threads]
        [x.join() for x in threads]
        is_equal((wrong, client.read("app.db", "SELECT count(*) FROM t", fresh=True).one()), ([], (1200,)))
        is_equal(client.status()["front_door"]["connections"], 1)


def test_large_requests_and_answers_of_threads_pass_each_other(fixture):
    with store(fixture) as client:
        client.write("app.db", "CREATE TABLE b (id INTEGER PRIMARY KEY, x BLOB)")
        wrong = []

        def work(me):
            for n in range(2):
                blob = bytes([me * 2 + n]) * 1_500_000
                row = client.write("app.db", "INSERT INTO b (x) VALUES (?) RETURNING id, length(x)", [blob]).rows[0]
                if row[1] != len(blob) or client.read("app.db", "SELECT x FROM b WHERE id = ?", [row[0]]).one() != (blob,):
                    wrong.append(row)

        threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
        [x.start() for x in threads]
        [x.join() for x in threads]
        is_equal((wrong, client.read("app.db", "SELECT count(*) FROM b", fresh=True).one()), ([], (8,)))
        with fails(sluice.TooLargeError):
            client.write("app.db", "INSERT INTO b (x) VALUES (?)", [bytes(13_000_000)])
        is_equal(client.read("app.db", "SELECT 1").one(), (1,))


def test_a_request_is_cancelled_by_another_thread(fixture):
    with store(fixture) as client:
        client.write("app.db", TABLE)
        ends = []

        def work():
            try:
                client.read("app.db", ENDLESS, request_id="endless")
            except sluice.RequestCancelledError as error:
                ends.append(error.code)

        thread = threading.Thread(target=work)
        thread.start()
        wait_until(lambda: any(x["state"] == "running" for x in client.status()["running"]), "it runs")
        is_true(client.cancel("endless"), "cancelled")
        thread.join()
        is_equal((ends, client.cancel("endless")), (["cancelled"], False))
        # The time is told to the broker, which is the one that ends the read.
        try:
            client.read("app.db", ENDLESS, timeout=0.2)
        except sluice.DeadlineExceededError as error:
            is_true("no answer from the broker" not in error.message, str(error))


def test_an_interrupt_ends_the_read_at_the_broker(fixture):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with store(fixture) as client, store(fixture) as other:
        client.write("app.db", TABLE)

        def interrupt():
            wait_until(lambda: any(x["state"] == "running" for x in other.status()["running"]), "it runs")
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with fails(KeyboardInterrupt):
            client.read("app.db", ENDLESS)
        thread.join()
        wait_until(lambda: not other.status()["running"], "the broker has ended the read")
        is_equal(client.read("app.db", "SELECT 1").one(), (1,))


def test_a_client_that_is_closed_ends_the_calls_of_its_threads(fixture):
    client = store(fixture)
    client.write("app.db", TABLE)
    ends = []

    def work():
        try:
            client.read("app.db", ENDLESS)
        except sluice.RequestCancelledError:
            ends.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    with store(fixture) as other:
        wait_until(lambda: any(x["state"] == "running" for x in other.status()["running"]), "it runs")
        client.close()
        thread.join(PATIENCE)
        is_equal(ends, [True])
        with fails(sluice.RequestCancelledError):
            client.ping()
        wait_until(lambda: not other.status()["running"], "the broker has ended the read")


def test_operations_are_methods_and_stubs_take_the_client(fixture):
    write_operations(fixture, NOTES)
    with store(fixture) as client:
        operations = client.operations
        is_equal(operations.make_notes(), 0)
        is_equal(operations.add_note(text="hello"), {"id": 1})
        is_equal(operations.add_note(text="hello", key="k"), operations.add_note(text="hello", key="k"))
        is_equal(operations.find_notes(part="ell"), [{"id": 1, "text": "hello"}, {"id": 2, "text": "hello"}])
        is_equal((operations.note(id=9), operations.add_notes([{"text": "a"}, {"text": "b"}])), (None, 2))
        with fails(sluice.UnknownOperationError):
            operations.no_such()
        with fails(sluice.InvalidRequestError):
            operations.add_note(text="x" * 30)
        # What the program generates works with the same client.
        stubs = {}
        exec(fixture.run("ops", fixture.store, "--emit", "python").good().out, stubs)
        is_equal(stubs["note"](client, id=1), {"id": 1, "text": "hello"})
        is_equal(stubs["add_notes"](client, [{"text": "c"}], key="c"), 1)
        is_equal(len(stubs["find_notes"](client, part="")), 5)
        is_equal(sorted(x["name"] for x in client.list_operations()["operations"])[0], "add_note")


def test_the_buffer_is_written_read_and_requeued(fixture):
    with store(fixture, agent="bob") as client:
        client.write("app.db", "CREATE TABLE seen (id TEXT PRIMARY KEY, at INTEGER CHECK (at > 0), data BLOB)")
        is_equal(client.buffer_put("app.db", "seen", {"id": "a"}, {"at": 5, "data": b"\xff"}, wait=1)["pending"], 1)
        is_equal(client.buffer_get("app.db", "seen", {"id": "a"})["row"], {"id": "a", "at": 5, "data": b"\xff"})
        # The broker may have written a row by itself before it was asked to.
        is_equal(client.flush("app.db")["kept"], 0)
        is_equal(client.read("app.db", "SELECT * FROM seen", fresh=True).rows, [("a", 5, b"\xff")])
        client.buffer_put("app.db", "seen", {"id": "a"}, operation="delete")
        client.buffer_put("app.db", "seen", {"id": "b"}, {"at": -1})
        client.flush()
        rejected = client.buffer_rejected()
        is_equal([(x["code"], x["key"]) for x in rejected], [("constraint", {"id": "b"})])
        is_equal((client.buffer_requeue([rejected[0]["id"]]), client.flush()["kept"]), (1, 0))
        is_equal((client.buffer_discard(), client.buffer_rejected()), (1, []))
        is_equal(client.read("app.db", "SELECT count(*) FROM seen", fresh=True).one(), (0,))


def test_logging_goes_to_the_log_database(fixture):
    with store(fixture, agent="scanner") as client:
        client.log(logging.WARNING, "by number")
        client.log("ERROR", "by name", source="here")
        logger = logging.getLogger("app.part")
        logger.propagate = False
        logger.setLevel(1)
        handler = sluice.LogHandler(client)
        logger.addHandler(handler)
        logger.debug("answer %d", 42)
        logger.log(3, "\udce9")
        wait_until(lambda: len(client.logs(agent="scanner")) == 4, "they arrive")
        got = [(x["level"], x["message"], x["source"]) for x in client.logs(agent="scanner")]
        is_equal(got, [("warning", "by number", ""), ("error", "by name", "here"), ("debug", "answer 42", "app.part"),
                       ("trace", "\\udce9", "app.part")])
        is_equal([x["message"] for x in client.logs(level="error", agent="scanner")], ["by name"])


def test_a_client_that_starts_no_broker_finds_none(fixture):
    adopt_environment(fixture)
    with fails(sluice.RouteRequiredError):
        store(fixture, start=False)
    os.environ["SLUICE_START"] = "never"
    with fails(sluice.RouteRequiredError):
        sluice.connect(fixture.store)
    os.environ["SLUICE_START"] = "sometimes"
    with fails(sluice.InvalidRequestError):
        sluice.connect(fixture.store)
    del os.environ["SLUICE_START"]
    is_equal(brokers(fixture), [])
    with fails(sluice.RouteRequiredError):
        sluice.connect(fixture.store, program="/no/such/program")
    with fails(sluice.RouteRequiredError):
        sluice.connect(fixture.store, endpoint=fixture.path("no.sock"))
    with fails(sluice.InvalidRequestError):
        sluice.connect(fixture.store, endpoint="http://127.0.0.1:1")
    fixture.serve()
    with store(fixture, start=False) as client:
        is_equal(client.ping()["pid"], fixture.leader())
    os.environ["SLUICE_ENDPOINT"] = fixture.info()["socket"]
    with sluice.connect(fixture.store) as client:
        is_equal(client.ping()["pid"], fixture.leader())
    other = os.path.join(fixture.scratch, "other")
    os.mkdir(other)
    with fails(sluice.WrongStoreError):
        sluice.connect(other)


def test_a_forked_process_may_not_use_its_parents_client(fixture):
    with store(fixture) as client:
        client.write("app.db", TABLE)
        got, result = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                client.ping()
                os.write(result, b"answered")
            except sluice.InvalidRequestError:
                client.close()
                with store(fixture) as own:
                    os.write(result, json.dumps(own.read("app.db", "SELECT 1").rows).encode())
            os._exit(0)
        os.waitpid(child, 0)
        is_equal((os.read(got, 100), client.read("app.db", "SELECT 2").rows), (b"[[1]]", [(2,)]))


if __name__ == "__main__":
    run_tests()
