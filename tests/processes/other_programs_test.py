"""Databases that other programs created, left in the middle of a write or locked, and read-only folders and media."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import types

from harness import NOBODY, is_equal, is_true, run_tests
from link import Refused
from machine_test import make_read_only, put_on_small_disk

ROWS = 2_000
HALF = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 5")
db.execute("BEGIN")
db.execute("UPDATE t SET v = 'HALF' || v")
print("half", flush=True)
sys.stdin.read()
"""


def run_sql(path, *statements):
    db = sqlite3.connect(path, isolation_level=None)
    for sql in statements:
        db.execute(sql)
    db.close()


def leave_half_written(path):
    """Kills a program with a rollback journal in the middle of a write."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    db.executemany("INSERT INTO t (v) VALUES (?)", [("x" * 200,)] * ROWS)
    db.commit()
    db.close()
    program = subprocess.Popen([sys.executable, "-c", HALF, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    program.stdout.readline()
    program.kill()
    program.communicate()
    is_true(os.path.exists(path + "-journal"), "there is a journal")


def rows_of(end):
    return json.loads(end.good().out)["rows"]


COUNT = "SELECT count(*), sum(v LIKE 'HALF%') FROM t"


def test_the_partial_write_of_a_killed_program_is_rolled_back_by_the_first_read(fixture):
    leave_half_written(fixture.path("app.db"))
    doctor = fixture.run("exec", "other.db", "CREATE TABLE t (a)") and fixture.run("doctor")
    is_true("app.db-journal is a hot rollback journal" in doctor.out, doctor.out)
    is_equal(rows_of(fixture.run("query", "app.db", COUNT, "--json")), [[ROWS, 0]])
    records = fixture.run("audit", ".", "list", "--json").good().out
    is_true("journal_recovery" in records, records)


def test_a_half_written_database_is_readable_in_every_way(fixture):
    server = fixture.serve()
    for name, ask in (("a.db", lambda link, db: link.call("read", db=db, sql=COUNT)["rows"]),
                      ("b.db", lambda link, db: link.call("read", db=db, sql=COUNT, freshness="fresh")["rows"]),
                      ("c.db", lambda link, db: link.write(db, "INSERT INTO t (v) VALUES ('y')") and
                       link.call("read", db=db, sql=COUNT + " WHERE v <> 'y'")["rows"])):
        leave_half_written(fixture.path(name))
        with fixture.connect() as link:
            is_equal(ask(link, name), [[ROWS, 0]], name)
    is_true(not server.ended(), "the broker is there")


def test_an_error_names_a_journal_without_read_permission(fixture):
    fixture.as_nobody()
    leave_half_written(fixture.path("app.db"))
    os.chown(fixture.path("app.db"), NOBODY, NOBODY)
    os.chmod(fixture.path("app.db-journal"), 0o600)
    end = fixture.run("query", "app.db", COUNT, "--json")
    is_equal(end.status, 1, str(end))
    is_true("app.db-journal" in end.out and "not_authorized" in end.out, str(end))
    is_true(os.path.exists(fixture.path("app.db-journal")), "the journal is left alone")


def make_databases(folder):
    run_sql(os.path.join(folder, "plain.db"), "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    run_sql(os.path.join(folder, "wal.db"), "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (2)")
    # The WAL has not been checkpointed, as after a crash.
    run_sql(os.path.join(folder, "crashed.db"), "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)")
    db = sqlite3.connect(os.path.join(folder, "crashed.db"))
    db.execute("INSERT INTO t VALUES (3)")
    db.commit()
    copy = os.path.join(folder, "copy.db")
    for suffix in ("", "-wal"):
        shutil.copy(os.path.join(folder, "crashed.db") + suffix, copy + suffix)
    db.close()


def reads_where_nothing_may_be_written(fixture, code="read_only", status=1):
    for name, value in (("plain.db", 1), ("wal.db", 2)):
        end = fixture.run("query", name, "SELECT a FROM t", "--json")
        is_equal(rows_of(end), [[value]], name)
        is_true("no permission to write in the folder" in end.err, f"no warning: {end.err!r}")
        end = fixture.run("exec", name, "INSERT INTO t VALUES (9)")
        end.failed_with(code, status)
        is_true(fixture.store not in end.err, "it tells the path")
    end = fixture.run("query", "copy.db", "SELECT a FROM t")
    end.failed_with("read_only")
    is_true("copy.db-wal" in end.err, str(end))
    fixture.run("query", "missing.db", "SELECT 1").failed_with("unknown_database")
    fixture.run("query", "plain.db", "DELETE FROM t").failed_with("invalid_request")
    end = fixture.run("query", "plain.db", "SELECT a FROM t", "--require-broker")
    is_equal(end.status, 3, str(end))
    is_true(not os.path.exists(fixture.path(".sluice")), "a folder was made")


def test_databases_on_read_only_media_are_read_without_a_broker(fixture):
    put_on_small_disk(fixture, "4m")
    make_databases(fixture.store)
    make_read_only(fixture, True)
    reads_where_nothing_may_be_written(fixture)


def test_databases_in_a_folder_of_another_user_are_read_without_a_broker(fixture):
    fixture.as_nobody()
    make_databases(fixture.store)
    os.chown(fixture.store, 0, 0)
    os.chmod(fixture.store, 0o555)
    for name in os.listdir(fixture.store):
        os.chmod(fixture.path(name), 0o444)
    # A user who may write there could run a broker.
    reads_where_nothing_may_be_written(fixture, "route_required", 3)


def test_a_users_databases_in_a_read_only_folder_are_read_and_once_it_is_writable_written_again(fixture):
    fixture.as_nobody()
    end_at_once = {"SLUICE_LINGER_MS": "200"}
    for name in ("app.db", "sub/kept.db"):
        os.makedirs(os.path.dirname(fixture.path(name)), exist_ok=True)
        os.chown(os.path.dirname(fixture.path(name)), NOBODY, NOBODY)
        fixture.run("exec", name, "CREATE TABLE t (a)", env=end_at_once).good()
        fixture.run("exec", name, "INSERT INTO t VALUES (1)", env=end_at_once).good()
        fixture.run("stop", os.path.dirname(fixture.path(name))).good()
    # The broker of the root reads the root and a folder below it.
    shutil.rmtree(fixture.path("sub", ".sluice"))
    for folder in (fixture.path("sub"), fixture.store):
        os.chmod(folder, 0o555)
    fixture.serve()
    for name in ("sub/kept.db", "app.db"):
        is_equal(count_by_stdio(fixture, name), [[1]], name)
    end = fixture.run("exec", "app.db", "INSERT INTO t VALUES (9)")
    is_equal(end.status, 1, str(end))
    is_equal(count_by_stdio(fixture, "app.db"), [[1]])
    # Once the folder is writable again, the broker does not return the earlier content.
    os.chmod(fixture.store, 0o755)
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (2)").good()
    is_equal(count_by_stdio(fixture, "app.db"), [[2]])
    fixture.run("stop").good()
    is_equal(rows_of(fixture.run("query", "sub/kept.db", "SELECT count(*) FROM t", "--json")), [[1]])
    # Reads without a broker.
    shutil.rmtree(fixture.path(".sluice"))
    os.chmod(fixture.store, 0o555)
    is_equal(rows_of(fixture.run("query", "app.db", "SELECT count(*) FROM t", "--json")), [[2]])


def count_by_stdio(fixture, db):
    """Reads over --stdio as the user of the broker, without the cache."""
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "read",
                       "params": {"db": db, "sql": "SELECT count(*) FROM t", "freshness": "fresh"}})
    out, err = fixture.start("serve", "--stdio", stdin=subprocess.PIPE).popen.communicate(line + "\n", timeout=60)
    answer = json.loads(out)
    is_true("result" in answer, out + err)
    return answer["result"]["rows"]


def test_a_store_on_read_only_media_is_read_without_a_broker(fixture):
    put_on_small_disk(fixture, "4m")
    fixture.run("exec", "app.db", "CREATE TABLE t (a)", env={"SLUICE_LINGER_MS": "200"}).good()
    make_read_only(fixture, True)
    is_equal(rows_of(fixture.run("query", "app.db", "SELECT count(*) FROM t", "--json")), [[0]])


def test_a_wal_database_in_a_subfolder_that_may_not_be_written_is_read_by_the_broker(fixture):
    os.mkdir(fixture.path("kept"))
    medium = types.SimpleNamespace(store=fixture.path("kept"))
    put_on_small_disk(medium, "4m")
    make_databases(medium.store)
    make_read_only(medium, True)
    fixture.serve()
    with fixture.connect() as link:
        for name, value in (("kept/plain.db", 1), ("kept/wal.db", 2)):
            is_equal(link.call("read", db=name, sql="SELECT a FROM t")["rows"], [[value]])
            is_equal(link.call("read", db=name, sql="SELECT a FROM t", freshness="fresh")["rows"], [[value]])
        status = link.call("status")
        is_equal([x["foreign_commits"] for x in status["databases"]], [0, 0], "commits that there were not")


def test_requests_wait_for_a_lock_of_another_program_and_name_it(fixture):
    run_sql(fixture.path("app.db"), "CREATE TABLE t (v)")
    fixture.serve()
    other = sqlite3.connect(fixture.path("app.db"), isolation_level=None)
    with fixture.connect() as link:
        other.execute("BEGIN EXCLUSIVE")
        read = link.post("read", db="app.db", sql="SELECT count(*) FROM t", timeout_ms=60_000)
        write = link.post("write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (1)"}], deadline_ms=60_000)
        try:
            link.call("read", db="app.db", sql="SELECT 1 FROM t", timeout_ms=300)
            raise AssertionError("the lock was not kept")
        except Refused as refused:
            is_equal(refused.code, "busy")
            is_true(f"process {os.getpid()} (python" in str(refused), str(refused))
        try:
            link.write("app.db", "INSERT INTO t VALUES (2)", deadline_ms=300)
            raise AssertionError("the lock was not kept")
        except Refused as refused:
            is_equal((refused.code, refused.outcome), ("busy", "not_committed"))
            is_true(f"process {os.getpid()} (python" in str(refused), str(refused))
        other.execute("ROLLBACK")
        is_true(link.answer(read)["rows"][0][0] in (0, 1), "the read is answered")
        is_equal(link.answer(write)["outcome"], "committed")


def test_a_schema_with_text_in_double_quotes_keeps_working(fixture):
    run_sql(fixture.path("old.db"), "CREATE TABLE job (id INTEGER PRIMARY KEY, state TEXT)", "CREATE TABLE log (id, what)",
            'CREATE TRIGGER finished AFTER UPDATE ON job WHEN NEW.state = "done" BEGIN '
            'INSERT INTO log VALUES (NEW.id, "finished"); END',
            'CREATE VIEW ended AS SELECT id, "ended" AS kind FROM job', "INSERT INTO job (state) VALUES ('new')")
    fixture.run("exec", "old.db", "UPDATE job SET state = 'done' WHERE id = 1").good()
    is_equal(fixture.sql("old.db", "SELECT * FROM log"), [(1, "finished")])
    is_equal(rows_of(fixture.run("query", "old.db", "SELECT kind FROM ended", "--json")), [["ended"]])
    fixture.run("exec", "old.db", 'UPDATE job SET state = "done"').failed_with("sql_error")
    doctor = fixture.run("doctor").out
    is_true("text in double quotes" in doctor and "trigger finished" in doctor and "view ended" in doctor, doctor)


if __name__ == "__main__":
    run_tests()
