"""The Python package: what makes the rows, and parameters that are none."""

import asyncio
import dataclasses
import pickle

from harness import is_equal, is_true, run_tests
from operations_test import NOTES, write_operations
from python_rig import async_store, fails, store

import sluice


@dataclasses.dataclass
class Note:
    id: int
    text: str


def note_row(columns):
    # As docs/guides/python.md has it.
    return lambda values: Note(**dict(zip(columns, values)))


def sqlite3_row(cursor, row):
    return dict(zip(cursor.description, row))


def make_table(client):
    client.write("app.db", "CREATE TABLE n (id INTEGER PRIMARY KEY, text TEXT)")


def test_a_row_factory_takes_the_columns_and_returns_what_makes_a_row(fixture):
    with store(fixture, row_factory=note_row) as client:
        make_table(client)
        made = client.write("app.db", "INSERT INTO n (text) VALUES ('a') RETURNING *")
        is_equal(made.rows, [Note(1, "a")])
        is_equal(client.read("app.db", "SELECT * FROM n").one(), Note(1, "a"))
        is_equal(list(client.stream("app.db", "SELECT * FROM n")), [Note(1, "a")])


def test_a_row_factory_that_fails_does_not_hide_that_the_write_is_committed(fixture):
    with store(fixture) as client:
        make_table(client)
        # A statement without rows needs no factory.
        client.write("app.db", "INSERT INTO n (text) VALUES ('a')", row_factory=sqlite3_row)
        try:
            client.write("app.db", "INSERT INTO n (text) VALUES ('b') RETURNING *", key="k", row_factory=sqlite3_row)
            raise AssertionError("the factory did not fail")
        except sluice.RowFactoryError as failed:
            is_equal((failed.outcome, failed.commit_seq), ("committed", 3))
            is_true(isinstance(failed.__cause__, TypeError), repr(failed.__cause__))
            is_true("the write is committed (commit 3)" in str(failed), str(failed))
            is_true(bool(failed.request_id), "the id of the request")
            is_equal(pickle.loads(pickle.dumps(failed)).commit_seq, 3)
        again = client.write("app.db", "INSERT INTO n (text) VALUES ('b') RETURNING *", key="k")
        is_equal((again.replayed, again.rows), (True, [(2, "b")]))
        # A read has no outcome to lose.
        with fails(TypeError):
            client.read("app.db", "SELECT 1", row_factory=sqlite3_row)

    async def other():
        async with await async_store(fixture, row_factory=sqlite3_row) as client:
            with fails(sluice.RowFactoryError, outcome="committed", commit_seq=4):
                await client.write("app.db", "INSERT INTO n (text) VALUES ('c') RETURNING *")
    asyncio.run(other())


def test_operations_have_rows_of_the_factory_and_dicts_without_one(fixture):
    write_operations(fixture, NOTES)
    with store(fixture) as client:
        client.operations.make_notes()
        is_equal(client.operations.add_note(text="hello"), {"id": 1})
    with store(fixture, row_factory=note_row) as client:
        is_equal(client.operations.note(id=1), Note(1, "hello"))
        is_equal(client.operations.find_notes(part="ell"), [Note(1, "hello")])
        is_equal((client.operations.note(id=9), client.operations.add_notes([{"text": "a"}])), (None, 1))
        # Of what the method answers nothing is changed: the functions of `sluice ops` take it.
        is_equal(client.call("note", {"id": 1})["rows"], [{"id": 1, "text": "hello"}])
        with fails(sluice.RowFactoryError, outcome="committed", commit_seq=4):
            client.operations.add_note(text="b")
    with store(fixture, row_factory=sluice.tuple_row) as client:
        is_equal(client.operations.find_notes(part="ell"), [(1, "hello")])

    async def other():
        async with await async_store(fixture, row_factory=sluice.named_row) as client:
            return (await client.operations.note(id=1)).text
    is_equal(asyncio.run(other()), "hello")


def test_a_value_is_no_list_of_parameters(fixture):
    write_operations(fixture, NOTES)
    with store(fixture) as client:
        make_table(client)
        for value in (1, 0, 0.5, "", "x", b"", b"x", True, False):
            requests = [lambda: client.read("app.db", "SELECT ?", value), lambda: client.stream("app.db", "SELECT ?", value),
                        lambda: client.call("note", value)]
            # Text is the next statement there.
            if not isinstance(value, str):
                requests += [lambda: client.write("app.db", "INSERT INTO n (id) VALUES (?)", value),
                             lambda: client.read_snapshot("app.db", "SELECT ?", value)]
            for request in requests:
                try:
                    request()
                    raise AssertionError(f"{value!r} was taken")
                except TypeError as refused:
                    is_true("a list" in str(refused) and type(value).__name__ in str(refused), str(refused))
        is_equal(client.read("app.db", "SELECT count(*) FROM n").one(), (0,))
        is_equal(client.read("app.db", "SELECT 1", None).one(), (1,))


if __name__ == "__main__":
    run_tests()
