"""The write-ahead log (WAL) stays within its bound while others read."""

import os
import threading

from harness import is_equal, is_true, run_tests, wait_until
from rig import serve

KIB = 1 << 10
MIB = 1 << 20
CHECKPOINT = 512 * KIB
BOUND = 16 * CHECKPOINT
VALUE = 64 * KIB

# A read that takes so long that two of them overlap.
READ = "SELECT (SELECT count(*) FROM t), (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000) SELECT count(*) FROM n)"


class Reader(threading.Thread):
    """A thread that reads without a pause until it is stopped."""

    def __init__(self, fixture):
        super().__init__(daemon=True)
        self.link = fixture.connect()
        self.reads = 0
        self.enough = False
        self.failure = None
        self.start()

    def run(self):
        try:
            while not self.enough:
                self.link.read("app.db", READ, freshness="fresh", timeout_ms=60_000)
                self.reads += 1
        except Exception as error:
            self.failure = error

    def stop(self):
        self.enough = True
        self.join()
        is_equal(self.failure, None)


def wal_size(fixture):
    return os.path.getsize(os.path.join(fixture.store, "app.db-wal"))


def test_the_wal_stays_within_its_bound_while_reads_overlap(fixture):
    server, client = serve(fixture, env={"SLUICE_CHECKPOINT_WAL_BYTES": str(CHECKPOINT)})
    readers = [Reader(fixture), Reader(fixture)]
    written = 0
    largest = 0
    while written < 4 * BOUND:
        # Writes at the rate of the reads, so that the speed of the machine does not matter.
        wait_until(
            lambda: any(x.failure for x in readers) or written <= VALUE * 4 * min(x.reads for x in readers), "the reads"
        )
        client.write(
            "app.db",
            "INSERT OR REPLACE INTO t(rowid, a) VALUES (?, randomblob(?))",
            written // VALUE % 4,
            VALUE,
            deadline_ms=60_000,
        )
        written += VALUE
        largest = max(largest, wal_size(fixture))
    for x in readers:
        x.stop()
    is_true(largest > CHECKPOINT, f"{largest} bytes")
    is_true(largest <= BOUND, f"the WAL had {largest} bytes")


def fill(client, bytes_written):
    for i in range(bytes_written // VALUE):
        client.write("app.db", "INSERT OR REPLACE INTO t(rowid, a) VALUES (?, randomblob(?))", i % 4, VALUE, deadline_ms=60_000)


def test_a_cursor_that_keeps_the_wal_from_restarting_is_ended_at_the_bound(fixture):
    server, client = serve(
        fixture,
        env={"SLUICE_CHECKPOINT_WAL_BYTES": str(CHECKPOINT), "SLUICE_READ_TIMEOUT_MS": "200",
             "SLUICE_CURSOR_IDLE_MS": "600000", "SLUICE_CURSOR_LIFETIME_MS": "600000",
             # The cursor would not pin a WAL that restarted before the cursor was opened.
             "SLUICE_IDLE_AFTER_MS": "86400000"},
    )
    for i in range(20):
        client.write("app.db", "INSERT INTO t VALUES (?)", i)
    with fixture.connect() as slow:
        cursor = slow.call("cursor.open", db="app.db", sql="SELECT a FROM t", max_rows=1)["cursor"]
        while wal_size(fixture) < BOUND // 2:
            fill(client, VALUE)
        is_equal(len(slow.call("cursor.next", cursor=cursor)["rows"]), 1)
        while wal_size(fixture) < BOUND:
            fill(client, VALUE)
        # The writer ends the cursor by a message, so this takes a moment.
        wait_until(lambda: not client.call("status")["running"], "the cursor ends")
        refused = slow.refusal("cursor.next", cursor=cursor)
        is_equal(refused.code, "unavailable")
        is_true("write-ahead log" in str(refused), refused)

    def is_small():
        fill(client, VALUE)
        return wal_size(fixture) <= BOUND // 2

    wait_until(is_small, "the WAL restarts")


def test_the_wal_shrinks_after_a_large_write_was_rolled_back_while_writes_go_on(fixture):
    env = {"SLUICE_CHECKPOINT_WAL_BYTES": str(64 * KIB), "SLUICE_PAGE_CACHE_BYTES": str(64 * KIB),
           "SLUICE_IDLE_AFTER_MS": "86400000"}
    server, client = serve(fixture, env=env)
    client.write("app.db", "CREATE TABLE large (a UNIQUE)")
    # The rows exceed the page cache, so their pages go into the WAL before the row that fails.
    undone = ("INSERT INTO large SELECT * FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100)"
              " SELECT CAST(x AS TEXT) || hex(zeroblob(40000)) FROM n UNION ALL SELECT 1 UNION ALL SELECT 1)")
    is_equal(client.refusal("write", db="app.db", statements=[{"sql": undone}]).code, "constraint")
    for number in range(3):
        client.write("app.db", "INSERT INTO t VALUES (?)", number)
    is_true(wal_size(fixture) < MIB, f"the WAL has {wal_size(fixture)} bytes")


if __name__ == "__main__":
    run_tests()
