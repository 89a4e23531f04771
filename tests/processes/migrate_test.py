"""Migrations: numbered .sql files, applied once each."""

import hashlib
import os
import random
import re
import shlex
import sqlite3
import time

from harness import is_equal, is_true, kill_if_there, read_file, run_tests, wait_until
from rig import brokers, serve

GUIDE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "guides", "migrations.md")
NOTES = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n"
STARS = "ALTER TABLE notes ADD COLUMN stars INTEGER NOT NULL DEFAULT 0;\nINSERT INTO notes (text) VALUES ('first');\n"


def put(fixture, **files):
    """Writes files into migrations/: put(fixture, _1_notes=TEXT) writes 1_notes.sql."""
    os.makedirs(fixture.path("migrations"), exist_ok=True)
    for name, text in files.items():
        with open(fixture.path("migrations", name.lstrip("_") + ".sql"), "wb") as x:
            x.write(text if isinstance(text, bytes) else text.encode())


def remove(fixture, name):
    os.remove(fixture.path("migrations", name))


def migrate(fixture, *words):
    return fixture.run("migrate", "app.db", "migrations", *words)


def rows(fixture):
    return fixture.sql("app.db", "SELECT number, name, hash, agent FROM _sluice_migrations ORDER BY number")


def states(fixture):
    end = migrate(fixture, "--status", "--json")
    return [(x["number"], x["state"]) for x in end.json()["migrations"]], end


def test_migrations_are_applied_once_in_ascending_order(fixture):
    put(fixture, _10_more="INSERT INTO notes (text) VALUES ('last');", _0001_notes=NOTES, _2_stars=STARS)
    end = migrate(fixture, "--agent", "alice").good()
    is_equal(end.err, "")
    is_true(re.fullmatch(r"0001_notes.sql: applied, commit 1\n2_stars.sql: applied, commit 2\n10_more.sql: applied, "
                         r"commit 3\n3 migrations applied, 0 before\n", end.out), str(end))
    digest = hashlib.sha256(NOTES.encode()).hexdigest()
    is_equal(rows(fixture)[0], (1, "0001_notes.sql", digest, "alice"))
    is_equal(fixture.sql("app.db", "SELECT text, stars FROM notes ORDER BY id"), [("first", 0), ("last", 0)])
    again = migrate(fixture, "--json").good().json()
    is_equal(again, {"db": "app.db", "applied": [], "applied_before": 3})
    put(fixture, _11_next="CREATE TABLE later (a);")
    more = migrate(fixture, "--json").good().json()
    is_equal([(x["number"], x["name"], x["applied_by_another"]) for x in more["applied"]], [(11, "11_next.sql", False)])
    records = [x for x in fixture.audit() if x["request_type"] == "migrate"]
    is_equal([(x["status"], x["commit_seq"]) for x in records], [("committed", n) for n in (1, 2, 3, 4)])
    fixture.audit_is_whole()
    fixture.run("doctor").good()


def test_status_and_dry_run_show_what_would_happen_and_execute_nothing(fixture):
    put(fixture, _1_notes=NOTES, _2_stars=STARS)
    is_equal(migrate(fixture, "--dry-run").good().out, "1_notes.sql\n2_stars.sql\n")
    is_equal(states(fixture)[0], [(1, "pending"), (2, "pending")])
    is_true(not os.path.exists(fixture.path(".sluice")) and not os.path.exists(fixture.path("app.db")), "nothing was made")
    remove(fixture, "2_stars.sql")
    migrate(fixture).good()
    put(fixture, _2_stars=STARS, _3_wrong="SELECT 1;\nATTACH 'x' AS y;")
    shown, end = states(fixture)
    is_equal((shown, end.status, end.json()["error"]["code"]),
             ([(1, "applied"), (2, "pending"), (3, "pending")], 1, "invalid_request"))
    migrate(fixture, "--dry-run").failed_with("invalid_request")
    remove(fixture, "3_wrong.sql")
    listed = migrate(fixture, "--dry-run", "--json").good().json()["migrations"]
    is_equal([(x["number"], x["state"], x["sha256"]) for x in listed],
             [(2, "pending", hashlib.sha256(STARS.encode()).hexdigest())])
    is_equal(len(rows(fixture)), 1)
    table = migrate(fixture, "--status").good().out
    is_true(all(x in table for x in ("1_notes.sql", "applied", "2_stars.sql", "pending")), table)
    is_equal(migrate(fixture, "--status", "--dry-run").status, 2)


def test_a_migration_that_fails_names_file_and_line_and_the_earlier_ones_stay(fixture):
    put(fixture, _1_notes=NOTES, _2_bad="INSERT INTO notes (text) VALUES ('x');\n\nINSERT INTO notes (text) VALUES (NULL);\n",
        _3_never="CREATE TABLE never (a);")
    end = migrate(fixture).failed_with("constraint")
    is_true("2_bad.sql:3: " in end.err and "notes.text" in end.err and "the 1 migration before it stays applied" in end.err,
            str(end))
    is_equal(fixture.sql("app.db", "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '_sluice%'"), [("notes",)])
    is_equal((len(rows(fixture)), fixture.sql("app.db", "SELECT count(*) FROM notes")), (1, [(0,)]))
    error = migrate(fixture, "--json").json()["error"]
    is_equal((error["code"], error["outcome"]), ("constraint", "not_committed"))
    put(fixture, _2_bad="INSERT INTO notes (text) VALUES ('x');")
    migrate(fixture).good()
    is_equal(len(rows(fixture)), 3)


def test_each_folder_that_does_not_fit_is_refused_before_anything_is_applied(fixture):
    put(fixture, _2_notes=NOTES)
    migrate(fixture).good()
    attempts = [
        ("conflict", "2_notes.sql: migration 2 was applied with another content", {"_2_notes": NOTES + "\n"}),
        ("conflict", "2_notes.sql: migration 2 was applied, and its file is not in the folder", {"_2_notes": None}),
        ("conflict", "1_early.sql: migration 1 was not applied, but migration 2 was", {"_1_early": "SELECT 1;"}),
        ("invalid_request", "have the same number 3", {"_3_a": "SELECT 1;", "_03_b": "SELECT 2;"}),
        ("invalid_request", "3_empty.sql:1: the migration has no statement", {"_3_empty": ""}),
        ("invalid_request", "3_bytes.sql:2: this line is not UTF-8", {"_3_bytes": b"SELECT 1;\nSELECT '\xff';"}),
        ("too_large", "3_large.sql", {"_3_large": "SELECT 1;" + " " * (8 << 20)}),
        ("too_large", "3_many.sql", {"_3_many": "SELECT 1;" * 10_001}),
        ("invalid_request", "name.sql is no file of a migration", {"_name": "SELECT 1;"}),
    ]
    for word in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ATTACH 'x' AS y", "VACUUM"):
        attempts.append(("invalid_request", "4_x.sql:1: " + word.split()[0],
                         {"_3_ok": "CREATE TABLE ok (a);", "_4_x": word + ";"}))
    for code, reason, files in attempts:
        for name, text in files.items():
            if text is None:
                remove(fixture, name.lstrip("_") + ".sql")
            else:
                put(fixture, **{name: text})
        end = migrate(fixture).failed_with(code)
        is_true(reason in end.err, str(end))
        for name in files:
            if files[name] is not None:
                remove(fixture, name.lstrip("_") + ".sql")
        put(fixture, _2_notes=NOTES)
    os.symlink("2_notes.sql", fixture.path("migrations", "3_link.sql"))
    is_true("3_link.sql is a symbolic link" in migrate(fixture).failed_with("invalid_request").err, "the link is refused")
    remove(fixture, "3_link.sql")
    fixture.run("migrate", "app.db", "nowhere").failed_with("invalid_request")
    is_equal(len(rows(fixture)), 1)
    migrate(fixture).good()


def test_the_broker_decides_whatever_a_client_sends(fixture):
    _, client = serve(fixture)
    first = client.call("migrate", db="new.db", name="2_a.sql", sql="CREATE TABLE a (x);")
    is_equal((first["outcome"], first["replayed"]), ("committed", False))
    again = client.call("migrate", db="new.db", name="2_a.sql", sql="CREATE TABLE a (x);")
    is_equal((again["replayed"], again["commit_seq"], again["results"]), (True, first["commit_seq"], []))
    for name, sql, code in (("2_a.sql", "CREATE TABLE b (x);", "conflict"), ("1_a.sql", "SELECT 1", "conflict"),
                            ("3_a.sql", "INSERT INTO nowhere VALUES (1)", "sql_error"), ("3_a.sql", "", "invalid_request"),
                            ("a.sql", "SELECT 1", "invalid_request"), ("../3_a.sql", "SELECT 1", "invalid_request"),
                            ("3_a.sql", "SELECT 1;" * 10_001, "too_large"),
                            ("3_a.sql", "DELETE FROM _sluice_migrations", "invalid_request"),
                            ("3_a.sql", "DELETE FROM a WHERE x = ?", "invalid_request")):
        is_equal(client.refusal("migrate", db="new.db", name=name, sql=sql).code, code, sql)
    is_equal(client.refusal("migrate", db="new.db", name="3_a.sql", sql="SELECT 1", params=[1]).code,
             "invalid_request")
    is_equal(client.refusal("write", db="new.db", sql="INSERT INTO _sluice_migrations VALUES (9, '', '', 0, '', 0)").code,
             "not_authorized")
    is_equal(client.call("read", db="new.db", sql="SELECT number, name FROM _sluice_migrations")["rows"], [[2, "2_a.sql"]])
    client.call("subscribe", db="new.db", tables=["_sluice_migrations"])
    client.call("migrate", db="new.db", name="3_b.sql", sql="CREATE TABLE b (x);")
    wait_until(lambda: client.news or client.pump(), "the commit is notified")


def test_a_table_is_rebuilt_without_foreign_keys(fixture):
    put(fixture, _1_tables=NOTES + "CREATE TABLE tags (note NOT NULL REFERENCES notes(id) ON DELETE CASCADE, tag TEXT);\n"
        "INSERT INTO notes (text) VALUES ('a'); INSERT INTO tags VALUES (1, 'x');",
        _2_rebuild="-- Notes get a time.\n-- foreign_keys: off\nCREATE TABLE new_notes (id INTEGER PRIMARY KEY, "
        "text TEXT NOT NULL, at INTEGER NOT NULL DEFAULT 0);\nINSERT INTO new_notes (id, text) SELECT id, text FROM notes;\n"
        "DROP TABLE notes;\nALTER TABLE new_notes RENAME TO notes;\n")
    migrate(fixture).good()
    is_equal(fixture.sql("app.db", "SELECT note, tag, at FROM tags JOIN notes ON id = note"), [(1, "x", 0)])
    put(fixture, _3_orphan="-- foreign_keys off\nDELETE FROM notes;\n")
    end = migrate(fixture).failed_with("constraint")
    is_true("3_orphan.sql: " in end.err and "tags" in end.err, str(end))
    is_equal(fixture.sql("app.db", "SELECT count(*) FROM notes"), [(1,)])


def test_twelve_processes_that_start_at_once_apply_each_migration_once(fixture):
    put(fixture, _1_log="CREATE TABLE log (number INTEGER);",
        **{f"_{n}_step": f"INSERT INTO log VALUES ({n});\nCREATE TABLE step{n} (a);" for n in range(2, 12)})
    started = [fixture.start("migrate", "app.db", "migrations", "--json") for _ in range(12)]
    ends = [x.end().good().json() for x in started]
    for end in ends:
        is_equal(len(end["applied"]) + end["applied_before"], 11)
    for number in range(1, 12):
        mine = [x for end in ends for x in end["applied"] if x["number"] == number and not x["applied_by_another"]]
        is_equal(len(mine), 1, f"migration {number} was applied by")
    is_equal(fixture.sql("app.db", "SELECT number FROM log ORDER BY number"), [(n,) for n in range(2, 12)])
    is_equal([x[0] for x in rows(fixture)], list(range(1, 12)))
    fixture.audit_is_whole()


def test_a_kill_leaves_whole_migrations_only_and_the_next_run_goes_on(fixture):
    numbers = range(2, 26)
    fill = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 500) "
    put(fixture, _1_parts="CREATE TABLE parts (number INTEGER, part INTEGER);",
        **{f"_{n}_step": "".join(f"{fill}INSERT INTO parts SELECT {n}, {part} FROM n;\n" for part in range(3))
           for n in numbers})

    def check():
        try:
            done = fixture.sql("app.db", "SELECT (SELECT group_concat(number) FROM (SELECT number FROM _sluice_migrations "
                                         "WHERE number > 1 ORDER BY 1)), (SELECT group_concat(number) FROM (SELECT number "
                                         "FROM parts GROUP BY number HAVING count(*) = 1500 ORDER BY 1)), "
                                         "(SELECT count(DISTINCT number) FROM parts)")[0]
        except sqlite3.OperationalError as reason:
            is_true("no such table" in str(reason) or "unable to open" in str(reason), str(reason))
            return 0
        is_equal(done[0], done[1], "the recorded migrations, and those whose effects are whole")
        is_equal(done[2], len(done[0].split(",")) if done[0] else 0, "migrations with an effect")
        return done[2]

    for kill in range(10):
        client = fixture.start("migrate", "app.db", "migrations")
        wait_until(lambda: client.ended() or brokers(fixture), "there is a broker")
        until = time.monotonic() + random.uniform(0, 0.05)
        wait_until(lambda: client.ended() or time.monotonic() >= until, "the moment of the kill")
        if kill % 2:
            kill_if_there(client.pid)
        else:
            for pid in brokers(fixture)[:1]:
                kill_if_there(pid)
        end = client.end()
        if end.status != 0 and not kill % 2:
            raise AssertionError(f"the client did not find the next broker: {end}")
        check()
    migrate(fixture).good()
    is_equal(check(), len(numbers))
    fixture.audit_is_whole()
    fixture.run("doctor").good()
    records = [x for x in fixture.audit() if x["request_type"] == "migrate" and x["status"] == "committed"]
    is_equal(len(records), len(numbers) + 1, "a record of each migration, recovered or not")


def test_an_applied_row_that_another_program_removed_makes_its_migration_pending_or_refused(fixture):
    put(fixture, _1_notes=NOTES, _2_stars=STARS)
    migrate(fixture).good()
    wait_until(lambda: not fixture.processes() or stop(fixture), "no broker runs")
    x = sqlite3.connect(fixture.path("app.db"))
    x.execute("DELETE FROM _sluice_migrations WHERE number = 1")
    x.commit()
    x.close()
    shown, end = states(fixture)
    is_equal((shown, end.json()["error"]["code"]), ([(1, "skipped"), (2, "applied")], "conflict"))


def stop(fixture):
    fixture.run("stop", ".")
    return not fixture.processes()


def test_the_lines_of_the_guide_work_when_pasted_in_their_order(fixture):
    text = read_file(GUIDE)
    files = re.findall(r"```sql\n-- (migrations/\S+)\n(.*?)```", text, re.S)
    is_equal([name for name, _ in files], ["migrations/0001_notes.sql", "migrations/0002_stars.sql"])
    os.mkdir(fixture.path("migrations"))
    for name, content in files:
        with open(fixture.path(name), "w") as x:
            x.write(content)
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    is_true(blocks, "there are lines to paste")
    for line in "".join(blocks).splitlines():
        words = shlex.split(line, comments=True)
        is_equal(words[0], "sluice", line)
        fixture.run(*words[1:]).good()
    is_equal([x[0] for x in rows(fixture)], [1, 2])
    is_equal(fixture.sql("app.db", "SELECT count(*) FROM tags"), [(0,)])


if __name__ == "__main__":
    run_tests()
