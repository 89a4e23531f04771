"""Stores of earlier versions are continued, also when the broker is killed at any moment of the upgrade."""

import os
import random
import signal
import sqlite3
import time

from harness import SOAK, is_equal, kill_if_there, run_tests, wait_until
from rig import brokers

# A store of version 0.1, in which one agent created a table, and three others inserted six rows under keys and changed
# one.
FORMAT_1 = os.path.join(os.path.dirname(os.path.abspath(__file__)), "format_1")
INSERT = "INSERT INTO t(a) VALUES (?) RETURNING id, a"


def restore(folder):
    os.makedirs(os.path.join(folder, ".sluice"), mode=0o700)
    os.umask(0o077)
    for script, name in (("app.sql", "app.db"), ("audit.sql", ".sluice/audit.db")):
        db = sqlite3.connect(os.path.join(folder, *name.split("/")), isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        with open(os.path.join(FORMAT_1, script)) as x:
            db.executescript(x.read())
        db.close()


def formats(fixture):
    return (fixture.sql("app.db", "SELECT value FROM _sluice_meta WHERE name = 'format'")[0][0],
            fixture.sql(".sluice/audit.db", "PRAGMA user_version")[0][0])


def is_continued(fixture, rows):
    """Checks that the rows are those from before and these, each once, with unchanged content and records."""
    repeated = fixture.run("exec", "app.db", INSERT, "-p", "old 3", "--key", "key-3", "--json").good().json()
    is_equal(repeated["replayed"], True)
    is_equal(repeated["commit_seq"], 4)
    mismatch = fixture.run("exec", "app.db", INSERT, "-p", "another", "--key", "key-3")
    mismatch.failed_with("payload_mismatch")
    found = [x[0] for x in fixture.sql("app.db", "SELECT a FROM t ORDER BY id")]
    is_equal(found, ["old 1", "old 2!"] + [f"old {i}" for i in range(3, 7)] + rows)
    is_equal(formats(fixture), (2, 2))
    fixture.run("audit", "verify").good()
    records = [x for x in fixture.audit() if x["status"] == "committed"]
    numbers = [x["commit_seq"] for x in records]
    is_equal(numbers, list(range(1, 9 + len(rows))), "commits in the audit")
    is_equal([x["agent"] for x in records[:3]], ["setup", "agent-1", "agent-2"])


def stop(fixture):
    for pid in brokers(fixture):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not fixture.processes(), "the broker ends")
    fixture.run("doctor").good()


def test_a_store_of_format_1_is_continued(fixture):
    restore(fixture.store)
    fixture.run("query", "app.db", "SELECT count(*) FROM t").good()
    fixture.run("exec", "app.db", INSERT, "-p", "new 1").good()
    fixture.run("exec", "app.db", INSERT, "-p", "new 2", "--key", "key-new").good()
    is_continued(fixture, ["new 1", "new 2"])
    stop(fixture)


def test_a_store_of_format_1_is_continued_whenever_its_broker_is_killed(fixture):
    luck = random.Random(os.environ.get("SLUICE_SEED"))
    for attempt in range(6 * SOAK):
        folder = os.path.join(fixture.scratch, f"attempt-{attempt}")
        os.mkdir(folder)
        fixture.store = folder
        restore(folder)
        # A client repeats its write under its generated key, with another broker if the first one was killed.
        writer = fixture.start("exec", "app.db", INSERT, "-p", f"new {attempt}")
        wait_until(lambda: brokers(fixture) or writer.ended(), "a broker is started")
        time.sleep(luck.uniform(0, 0.06))
        for pid in brokers(fixture):
            kill_if_there(pid)
        writer.end().good()
        is_continued(fixture, [f"new {attempt}"])
        stop(fixture)


if __name__ == "__main__":
    run_tests()
