"""Readers are shared fairly between processes: a client gains nothing by using many agent names."""

import os
import threading
import time

from harness import is_equal, is_true, kill_if_there, run_tests, wait_until
from link import Refused
from rig import serve

DAY_MS = 86_400_000
# Less than one turn for each of the 160 names, and many times one turn of the process.
IN_TIME_MS = 15_000
NAMES = 160
# The reads of one connection that the broker takes at a time.
AT_ONCE = 8
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n WHERE x <> -{}"


class Flood:
    """A process that keeps a distinct endless read under way for each of many agent names, until it is killed."""

    def __init__(self, fixture):
        self.pid = os.fork()
        if self.pid == 0:
            self.read_for_ever(fixture)

    def read_for_ever(self, fixture):
        try:
            threads = [threading.Thread(target=self.read_with, args=(fixture, first)) for first in range(0, NAMES, AT_ONCE)]
            for x in threads:
                x.start()
            for x in threads:
                x.join()
        finally:
            os._exit(1)

    @staticmethod
    def read_with(fixture, first):
        def post(link, name):
            which = link.post("read", db="app.db", agent=f"name-{name}", freshness="fresh", timeout_ms=DAY_MS,
                              sql=ENDLESS.format(f"{name}.{link.last_id}"))
            names[which] = name

        names = {}
        with fixture.connect() as link:
            for name in range(first, first + AT_ONCE):
                post(link, name)
            while True:
                answer = link.pump()
                if "error" in answer:
                    # The refusal asks for this pause. Answers do not come in order.
                    time.sleep(answer["error"]["data"].get("retry_after_ms", 0) / 1_000)
                post(link, names.pop(answer["id"]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        kill_if_there(self.pid)
        os.waitpid(self.pid, 0)


def states(client, pid=None):
    return [x["state"] for x in client.call("status")["running"] if pid in (None, x["pid"])]


def is_flooded(client, flood):
    return len(states(client, flood.pid)) == NAMES


def test_a_process_with_many_agent_names_and_endless_reads_does_not_delay_reads_of_others(fixture):
    _, client = serve(fixture)
    client.write("app.db", "INSERT INTO t VALUES (7)")
    with Flood(fixture) as flood:
        wait_until(lambda: is_flooded(client, flood), "all endless reads are under way")
        for number in range(12):
            got = client.read("app.db", f"SELECT a, {number} FROM t", freshness="fresh", timeout_ms=IN_TIME_MS)
            is_equal(got, [[7, number]])
        is_true(is_flooded(client, flood), "the endless reads go on")


def test_a_process_with_many_agent_names_leaves_a_reader_for_long_reads_of_another_process(fixture):
    _, client = serve(fixture)
    with Flood(fixture) as flood:
        wait_until(lambda: states(client, flood.pid).count("running") == 2, "it has its share of the readers")
        mine = client.post("read", db="app.db", sql=ENDLESS.format(0), freshness="fresh", timeout_ms=DAY_MS, request_id="mine")
        other = fixture.connect()
        # For longer than the time slice of a read of unknown length.
        for number in range(8):
            other.read("app.db", f"SELECT {number}", freshness="fresh", timeout_ms=IN_TIME_MS)
        wait_until(lambda: "running" in states(other, os.getpid()), "the long read of this process runs")
        is_equal(other.call("cancel", request_id="mine", as_operator=True), {"cancelled": True})
        try:
            client.answer(mine)
            raise AssertionError("answered")
        except Refused as refusal:
            is_equal(refusal.code, "cancelled")


def test_one_process_cannot_fill_the_queue_for_readers(fixture):
    _, client = serve(fixture, env={"SLUICE_QUEUE_MAX_REQUESTS": "100"})
    with Flood(fixture) as flood:
        refused = lambda: client.call("audit.list", status="overloaded", limit=1)["records"]
        wait_until(refused, "it asks for more than its share")
        is_equal(refused()[0]["peer_pid"], flood.pid)
        for number in range(5):
            is_equal(client.read("app.db", f"SELECT {number}", freshness="fresh", timeout_ms=IN_TIME_MS), [[number]])


if __name__ == "__main__":
    run_tests()
