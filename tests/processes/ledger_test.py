"""A ledger and an audit that other programs change or delete while a broker has them open."""

import glob
import os
import sqlite3

from harness import is_equal, is_true, run_tests, wait_until
from rig import serve


def change(fixture, name, *statements):
    db = sqlite3.connect(fixture.path(*name.split("/")), timeout=10, isolation_level=None)
    for sql in statements:
        db.execute(sql)
    db.close()


def insert(link, **more):
    return link.write("app.db", "INSERT INTO t VALUES (1)", **more)["commit_seq"]


def refused(link):
    return link.refusal("write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (1)"}]).code


def rows(link):
    return link.read("app.db", "SELECT count(*) FROM t", freshness="fresh")[0][0]


def listed(link, agent):
    return link.call("audit.list", agent=agent)["records"]


def test_objects_added_to_a_ledger_in_use_stop_only_writes_and_only_until_they_are_dropped(fixture):
    _, link = serve(fixture)
    insert(link)
    for sql, undo in (("CREATE TRIGGER x AFTER INSERT ON _SLUICE_KEYS BEGIN DELETE FROM t; END", "DROP TRIGGER x"),
                      ("CREATE INDEX x ON _Sluice_Commits(ts_us)", "DROP INDEX x"),
                      ("CREATE VIEW _SLUICE_x AS SELECT 1", "DROP VIEW _SLUICE_x")):
        change(fixture, "app.db", sql)
        is_equal(refused(link), "ledger_damaged", sql)
        is_equal(rows(link), 1)
        is_true(link.write("other.db", "CREATE TABLE IF NOT EXISTS t (a)")["commit_seq"], "another database is written")
        change(fixture, "app.db", undo)
        is_equal(link.call("audit.verify")["intact"], True)
    is_equal(insert(link), 3)


def test_a_ledger_that_is_emptied_or_cut_in_use_issues_no_commit_number_twice(fixture):
    server, link = serve(fixture)
    for i in range(5):
        newest = insert(link, idempotency_key=f"k{i}")
    change(fixture, "app.db", "DELETE FROM _sluice_commits WHERE commit_seq > 3")
    is_equal(refused(link), "ledger_damaged")
    is_equal(rows(link), 5)
    verdict = link.call("audit.verify")
    is_true(not verdict["intact"] and "app.db" in verdict["problems"][0], f"not reported: {verdict}")
    change(fixture, "app.db", "DELETE FROM _sluice_commits", "DELETE FROM _sluice_keys", "DELETE FROM _sluice_meta")
    is_equal(refused(link), "ledger_damaged")
    link.close()
    fixture.run("doctor", "--repair").failed_with("busy")
    server.signal(15)
    server.end()
    fixture.run("doctor", "--repair").good()
    _, link = fixture.serve(), fixture.connect()
    is_true(insert(link) > newest, "a commit number was issued twice")
    types = [x["request_type"] for x in link.call("audit.list")["records"]]
    is_true("repair" in types and "ledger_epoch" in types, f"not recorded: {types}")
    is_equal(link.call("audit.verify")["intact"], True)


def test_a_ledger_that_is_dropped_in_use_continues_after_its_last_number(fixture):
    _, link = serve(fixture)
    newest = insert(link)
    change(fixture, "app.db", "DROP TABLE _sluice_commits", "DROP TABLE _sluice_keys", "DROP TABLE _sluice_meta")
    is_equal(insert(link), newest + 1)
    wait_until(lambda: [x for x in link.call("audit.list")["records"] if x["request_type"] == "ledger_epoch"],
               "the new epoch is recorded")
    is_equal(link.call("audit.verify")["intact"], True)


def test_an_audit_that_is_deleted_in_use_is_created_again_and_completed_from_the_ledger(fixture):
    _, link = serve(fixture)
    for _ in range(3):
        insert(link, agent="before")
    is_equal(len(listed(link, "before")), 3)
    for file in glob.glob(fixture.path(".sluice", "audit.db*")):
        os.remove(file)
    insert(link, agent="after")
    is_equal(len(listed(link, "after")), 1)
    is_equal([x["recovered"] for x in listed(link, "before")], [True] * 3)
    is_equal(link.call("status")["audit"]["files_set_aside"], 1)


def test_deleting_the_wal_of_the_audit_in_use_loses_no_record(fixture):
    server, link = serve(fixture)
    insert(link, agent="before")
    is_equal(len(listed(link, "before")), 1)
    os.remove(fixture.path(".sluice", "audit.db-wal"))
    insert(link, agent="after")
    is_equal(len(listed(link, "after")), 1)
    server.signal(9)
    server.end()
    link = fixture.serve() and fixture.connect()
    is_equal([len(listed(link, x)) for x in ("before", "after")], [1, 1])
    is_true(not listed(link, "before")[0]["recovered"], "it was recovered from the ledger")


if __name__ == "__main__":
    run_tests()
