"""Operations: SQL with a name in ROOT/operations, called from the shell and over the socket."""

import json
import os

from harness import is_equal, is_true, run_tests, wait_until
from link import Refused
from rig import serve

NOTES = """-- db: app.db

-- name: make_notes :exec
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, stars INTEGER NOT NULL DEFAULT 0);

-- name: add_note :one
-- Adds a note and returns its id.
-- param text text (1..20)
INSERT INTO notes (text) VALUES (:text) RETURNING id;

-- name: find_notes :many
-- cache 60s
-- param part text
SELECT id, text FROM notes WHERE instr(text, :part) > 0 ORDER BY id;

-- name: note :one
-- param id integer
SELECT id, text FROM notes WHERE id = :id;

-- name: add_notes :batch
-- param text text
INSERT INTO notes (text) VALUES (:text);

-- name: move_star :exec
-- Takes a star from one note and gives it to another.
-- param giver integer
-- param taker integer
UPDATE notes SET stars = stars - 1 WHERE id = :giver AND stars > 0;
UPDATE notes SET stars = stars + 1 WHERE id = :taker;

-- name: rename_note :exec
-- expect 1
-- param id integer
-- param text text
UPDATE notes SET text = :text WHERE id = :id;
"""


def write_operations(fixture, text=NOTES, name="notes.sql"):
    folder = fixture.path("operations")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".new"), "w") as x:
        x.write(text)
    os.rename(os.path.join(folder, name + ".new"), os.path.join(folder, name))


def call(fixture, operation, *words):
    return fixture.run("call", operation, *words, "--json")


def texts(fixture):
    return [x for x, in fixture.sql("app.db", "SELECT text FROM notes ORDER BY id")]


def test_operations_are_called_from_the_shell(fixture):
    write_operations(fixture)
    call(fixture, "make_notes").good()
    added = call(fixture, "add_note", "-p", "text=hello", "--agent", "alice").good().json()
    is_equal((added["outcome"], added["changes"], added["columns"], added["rows"]), ("committed", 1, ["id"], [{"id": 1}]))
    found = call(fixture, "find_notes", "--params", '{"part": "ell"}').good().json()
    is_equal((found["rows"], found["truncated"]), ([{"id": 1, "text": "hello"}], False))
    is_equal(call(fixture, "note", "-p", "id=9").good().json()["rows"], [])
    many = call(fixture, "add_notes", "--params", '[{"text": "a"}, {"text": "b"}]').good().json()
    is_equal(many["changes"], 2)
    is_equal(fixture.run("call", "find_notes", "-p", "part=").good().out,
             "id  text\n--  -----\n 1  hello\n 2  a\n 3  b\n")
    for word in ("007", "null", "99999999999999999999"):
        is_equal(call(fixture, "add_note", "-p", f"text={word}").good().json()["changes"], 1)
        is_equal(texts(fixture)[-1], word)
    wide = fixture.run("call", "note", "-p", "id=99999999999999999999")
    is_true(wide.status != 0 and "64 bits" in wide.err, str(wide))
    is_true("1 row changed, commit" in fixture.run("call", "add_note", "-p", "text=x").good().out, "a summary")
    fixture.audit_is_whole()


def test_arguments_are_checked_before_anything_is_executed_and_are_never_sql(fixture):
    write_operations(fixture)
    call(fixture, "make_notes").good()
    attack = "'); DROP TABLE notes; --"
    for words, reason in ((["add_note"], "params.text"), (["add_note", "-p", "txt=x"], "txt"),
                          (["add_note", "-p", "text=text:", "-p", "x=1"], "x"), (["note", "-p", "id=1.5"], "params.id"),
                          (["note", "-p", f"id={attack}"], "params.id"), (["add_note", "-p", "text=" + "x" * 21], "params.text"),
                          (["add_notes", "--params", '[{"text": "a"}, {"text": 5}]'], "params[1].text")):
        end = call(fixture, *words)
        is_equal((end.status, end.json()["error"]["code"]), (1, "invalid_request"), str(end))
        is_true(reason in end.json()["error"]["message"], str(end))
    is_equal(call(fixture, "add_note", "-p", f"text={attack[:20]}").good().json()["changes"], 1)
    is_equal(texts(fixture), [attack[:20]])
    end = call(fixture, "no_such_operation")
    is_equal((end.status, end.json()["error"]["code"]), (1, "unknown_operation"), str(end))
    end = fixture.run("call", "add_note", "-p", "hello")
    is_equal(end.status, 2, str(end))
    statuses = [x["status"] for x in fixture.audit() if x["request_type"] == "call"]
    is_equal(statuses, ["invalid_request"] * 7 + ["unknown_operation"])


def test_several_statements_are_atomic_and_an_expected_number_of_changes_holds(fixture):
    write_operations(fixture)
    call(fixture, "make_notes").good()
    call(fixture, "add_notes", "--params", '[{"text": "a"}, {"text": "b"}]').good()
    is_equal(call(fixture, "move_star", "-p", "giver=1", "-p", "taker=2").good().json()["changes"], 1)
    call(fixture, "rename_note", "-p", "id=1", "-p", "text=new").good()
    end = call(fixture, "rename_note", "-p", "id=7", "-p", "text=none")
    is_equal((end.status, end.json()["error"]["code"]), (1, "conflict"), str(end))
    is_equal(texts(fixture), ["new", "b"])


def test_a_call_under_a_key_is_applied_once(fixture):
    write_operations(fixture)
    call(fixture, "make_notes").good()
    first, second = (call(fixture, "add_note", "-p", "text=once", "--key", "k").good().json() for _ in range(2))
    is_equal((first["replayed"], second["replayed"], second["rows"]), (False, True, first["rows"]))
    is_equal(texts(fixture), ["once"])
    end = call(fixture, "add_note", "-p", "text=other", "--key", "k")
    is_equal(end.json()["error"]["code"], "payload_mismatch")


def test_a_call_keeps_its_place_among_the_requests_of_its_connection(fixture):
    write_operations(fixture)
    _, client = serve(fixture)
    client.call("call", operation="make_notes")
    for i in range(20):
        # The files are looked at again each time.
        write_operations(fixture, f"-- db: app.db\n-- name: add :one\n-- param text text\n"
                                  f"INSERT INTO notes (text) VALUES (:text || '{i}') RETURNING text;\n", "add.sql")
        wait_until(lambda: f"'{i}'" in call_text(client), "the new file is in force")
        with fixture.connect() as link:
            first = link.post("call", operation="add", params={"text": "a"})
            second = link.post("write", db="app.db", sql="INSERT INTO notes (text) VALUES ('b')")
            is_true(link.answer(first)["commit_seq"] <= link.answer(second)["commit_seq"], "they are committed in order")
    slow = "-- db: app.db\n-- name: slow :one\nWITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) AS n FROM n;\n"
    write_operations(fixture, slow, "slow.sql")
    wait_until(lambda: "slow" in [x["name"] for x in client.call("operations")["operations"]], "it is in force")
    with fixture.connect() as link:
        which = link.post("call", operation="slow", request_id="z")
        is_equal(link.call("cancel", request_id="z"), {"cancelled": True})
        is_true("cancelled" in str(refusal_of(link, which)), "it was cancelled")


def call_text(client):
    """What the operation `add` inserts, as far as its number tells."""
    try:
        rows = client.call("call", operation="add", params={"text": "x"})["rows"]
    except Refused:
        return ""
    return "'" + rows[0]["text"][1:] + "'"


def refusal_of(link, which):
    try:
        return f"not refused: {link.answer(which)}"
    except Refused as refused:
        return refused


def test_the_rows_of_all_sets_of_a_batch_are_answered(fixture):
    write_operations(fixture, "-- db: app.db\n-- name: make :exec\nCREATE TABLE t (a);\n-- name: add :batch\n-- param a any\n"
                              "INSERT INTO t VALUES (:a) RETURNING a;\n-- name: note :one\nSELECT :x AS x;\n")
    call(fixture, "make").good()
    added = call(fixture, "add", "--params", '[{"a": 1}, {"a": 2}, {"a": 3}]').good().json()
    is_equal((added["changes"], added["rows"]), (3, [{"a": 1}, {"a": 2}, {"a": 3}]))
    for words in (["note", "-p", "x=1", "-p", "x=2"], ["note", "--params", ""]):
        is_equal(call(fixture, *words).status, 2, str(words))


def test_a_list_of_one_statement_is_answered_as_a_list(fixture):
    _, client = serve(fixture)
    for _ in range(2):
        answer = client.call("read", db="app.db", statements=[{"sql": "SELECT 5 AS one"}])
        is_equal((answer["results"], answer["source"]),
                 ([{"columns": ["one"], "rows": [[5]], "truncated": False}], "database"))


def test_changed_files_are_in_force_at_once_and_a_mistake_leaves_the_earlier_ones(fixture):
    write_operations(fixture)
    server, client = serve(fixture)
    client.call("call", operation="make_notes")

    def knows(name):
        return name in [x["name"] for x in client.call("operations")["operations"]]

    is_true(knows("add_note"), "it is listed")
    write_operations(fixture, NOTES + "\n-- name: count_notes :one\nSELECT count(*) AS n FROM notes;\n")
    wait_until(lambda: knows("count_notes"), "the new file is in force")
    is_equal(client.call("call", operation="count_notes")["rows"], [{"n": 0}])
    write_operations(fixture, NOTES + "\n-- name: count_notes :some\nSELECT 1;\n")
    mistake = wait_until(lambda: client.call("operations").get("mistake"), "the mistake is found")
    is_true("notes.sql" in mistake and str(NOTES.count("\n") + 2) in mistake, mistake)
    is_equal(client.call("call", operation="count_notes")["rows"], [{"n": 0}])
    why = client.refusal("call", operation="other")
    is_true(why.code == "unknown_operation" and "not in force" in str(why), str(why))
    os.remove(fixture.path("operations", "notes.sql"))
    wait_until(lambda: not knows("add_note"), "the operations have gone with their file")
    server.signal(15)
    server.end().good()


def test_a_kept_answer_is_never_older_than_a_write(fixture):
    write_operations(fixture)
    _, client = serve(fixture)
    client.call("call", operation="make_notes")
    for i in range(20):
        client.call("call", operation="add_note", params={"text": f"n{i}"})
        found = [client.call("call", operation="find_notes", params={"part": "n"}) for _ in range(2)]
        is_equal([len(x["rows"]) for x in found], [i + 1, i + 1])
    is_equal(found[1]["source"], "cache")
    is_equal(client.call("call", operation="note", params={"id": 1})["source"], "database")


def test_operations_are_listed_and_checked_without_a_broker(fixture):
    write_operations(fixture)
    end = fixture.run("ops", ".").good()
    is_true(all(x in end.out for x in ("add_note", "one", "app.db", "basic", "text text", "Adds a note and returns its id.")),
            end.out)
    listed = fixture.run("ops", "--json").good().json()["operations"]
    by_name = {x["name"]: x for x in listed}
    is_equal(by_name["note"]["annotations"]["readOnlyHint"], True)
    is_equal(by_name["add_note"]["inputSchema"]["required"], ["text"])
    compile(fixture.run("ops", "--emit", "python").good().out, "stubs.py", "exec")
    is_true("add_note" in fixture.run("ops", "--emit", "typescript").good().out, "TypeScript")
    is_true(not os.path.exists(fixture.path(".sluice")), "nothing was created")
    write_operations(fixture, "-- db: app.db\n-- name: x :one\nSELECT 1;\n-- name: x :one\nSELECT 2;\n")
    end = fixture.run("ops", "--json")
    is_equal((end.status, end.json()["error"]["code"]), (1, "invalid_request"))
    is_true("notes.sql:4" in end.json()["error"]["message"], str(end))
    end = fixture.run("ops", fixture.path(".sluice-none"), "--json")
    is_equal((end.status, end.json()["error"]["code"]), (1, "unknown_database"), str(end))


def test_a_call_of_no_operation_leaves_a_folder_as_it_was(fixture):
    end = call(fixture, "add_note", "-p", "text=x")
    is_equal((end.status, end.json()["error"]["code"]), (1, "unknown_operation"), str(end))
    is_equal(os.listdir(fixture.store), [])


SHARED = """-- db: app.db

-- name: make_tables :exec
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE tags (note INTEGER NOT NULL REFERENCES notes (id), tag TEXT NOT NULL);

-- name: add_tagged :one
-- param text text
-- param tag text
-- column id integer
-- returning id into note_id
INSERT INTO notes (text) VALUES (:text) RETURNING id;
INSERT INTO tags (note, tag) VALUES (:note_id, :tag);

-- name: add_all_tagged :batch
-- param text text
-- returning id into note_id
INSERT INTO notes (text) VALUES (:text) ON CONFLICT DO NOTHING RETURNING id;
INSERT INTO tags (note, tag) VALUES (:note_id, 'batch');

-- name: all_tags :many
-- column text text
-- column tag text
SELECT text, tag FROM tags JOIN notes ON id = note ORDER BY id;
"""


def test_a_returned_value_is_a_parameter_of_later_statements(fixture):
    write_operations(fixture, SHARED)
    call(fixture, "make_tables").good()
    words = ("add_tagged", "-p", "text=a", "-p", "tag=x", "--key", "k")
    is_equal([call(fixture, *words).good().json()["rows"] for _ in range(2)], [[{"id": 1}], [{"id": 1}]])
    call(fixture, "add_all_tagged", "--params", '[{"text": "b"}, {"text": "c"}]').good()
    tags = [("a", "x"), ("b", "batch"), ("c", "batch")]
    is_equal([(x["text"], x["tag"]) for x in call(fixture, "all_tags").good().json()["rows"]], tags)
    error = call(fixture, "add_all_tagged", "--params", '[{"text": "d"}, {"text": "a"}]').json()["error"]
    is_equal(error["code"], "conflict")
    is_true(error["message"].startswith("operation add_all_tagged, statement 2, params[1] (operations/notes.sql:"), str(error))
    is_true("note_id" in error["message"] and "statements" not in error["message"], str(error))
    is_equal(len(call(fixture, "all_tags").good().json()["rows"]), 3)
    end = call(fixture, "add_tagged", "-p", "text=z", "-p", "tag=x", "-p", "note_id=1")
    is_true("params.note_id is no parameter of add_tagged" in end.json()["error"]["message"], str(end))
    error = call(fixture, "add_tagged", "-p", "text=a", "-p", "tag=x").json()["error"]
    is_true(error["code"] == "constraint" and "operation add_tagged, statement 1" in error["message"], str(error))
    for sets in ("[]", json.dumps([{"text": str(i)} for i in range(5001)])):
        error = call(fixture, "add_all_tagged", "--params", sets).json()["error"]
        is_true(error["code"] == "invalid_request" and error["message"].startswith("params "), str(error))
    fixture.audit_is_whole()


UNFIT = """-- db: app.db
-- name: gone :one
SELECT text FROM gone;
-- name: other_columns :many
-- column id integer
SELECT id, text FROM notes;
-- name: other_returned :one
-- column nr integer
INSERT INTO notes (text) VALUES ('x') RETURNING id;
-- name: fits :one
-- column n integer
SELECT count(*) AS n FROM notes;
"""


def test_operations_that_do_not_fit_the_schema_are_shown_and_fail(fixture):
    write_operations(fixture)
    write_operations(fixture, UNFIT, "unfit.sql")
    listed = {x["name"]: x for x in fixture.run("ops", "--json").good().json()["operations"]}
    is_equal({x["schema"] for x in listed.values()}, {"not_checked"}, "there is no database")
    _, client = serve(fixture)
    client.call("call", operation="make_notes")

    def unfit(operations):
        return {x["name"]: x["schema_reason"] for x in operations if x["schema"] == "does_not_fit"}

    found = unfit(client.call("operations")["operations"])
    is_equal(sorted(found), ["gone", "other_columns", "other_returned"])
    is_true(found["gone"].startswith("operations/unfit.sql:3: no such table: gone"), found["gone"])
    end = fixture.run("ops", "--json")
    is_equal((end.status, unfit(end.json()["operations"])), (1, found))
    is_true("does not fit" in fixture.run("ops").out, "the table says so")
    for name in found:
        why = client.refusal("call", operation=name)
        is_true(why.code == "sql_error" and f"operation {name} (operations/unfit.sql:" in str(why), str(why))
    is_equal(client.call("call", operation="fits")["rows"], [{"n": 0}])
    client.write("app.db", "CREATE TABLE gone (text TEXT)")
    is_true("gone" not in unfit(client.call("operations")["operations"]), "a change of the schema is seen")
    client.call("call", operation="gone")


def test_the_schema_is_listed_without_the_tables_of_the_broker(fixture):
    _, client = serve(fixture)
    client.write("sub.db", "CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT NOT NULL DEFAULT 'x')")
    all_of_them = client.call("schema")
    is_equal([x["db"] for x in all_of_them["databases"]], ["app.db", "sub.db"])
    is_equal(all_of_them["databases"][1]["tables"],
             [{"name": "u", "kind": "table", "columns": [{"name": "id", "type": "INTEGER", "primary_key": 1},
                                                         {"name": "a", "type": "TEXT", "not_null": True, "default": "'x'"}]}])
    is_equal([x["name"] for x in client.call("schema", db="app.db")["databases"][0]["tables"]], ["t"])
    is_equal(client.refusal("schema", db="none.db").code, "unknown_database")
    write_operations(fixture, "-- db: app.db\n-- name: x :some\nSELECT 1;\n")
    mistake = wait_until(lambda: client.call("schema").get("operations_mistake"), "the mistake is shown")
    is_true("notes.sql:2" in mistake, mistake)


def test_a_cut_answer_names_a_remedy_that_a_call_has(fixture):
    write_operations(fixture)
    with open(fixture.path("sluice.toml"), "w") as x:
        x.write("read_max_rows = 1\n")
    call(fixture, "make_notes").good()
    call(fixture, "add_notes", "--params", '[{"text": "a"}, {"text": "b"}]').good()
    end = fixture.run("call", "find_notes", "-p", "part=")
    is_true("read_max_rows" in end.err and "--all" not in end.err, str(end))


if __name__ == "__main__":
    run_tests()
