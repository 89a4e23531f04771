"""The leader is killed again and again while clients write: no write is lost or applied twice."""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time

from harness import SOAK, is_equal, is_true, kill_if_there, run_tests, wait_until
from link import PATIENCE
from rig import brokers

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "examples"))
from sluice_client import Store

TABLE = "CREATE TABLE t (worker INTEGER NOT NULL, i INTEGER NOT NULL)"
INSERT = "INSERT INTO t VALUES (?, ?)"

# The goal is 2 s; the assertion leaves room for slow machines. With sanitizers, starting a process takes so long that
# only the deadlines of the writes themselves count.
LONGEST_WAIT = 60.0 if "SLUICE_SANITIZED" in os.environ else 20.0


def key_of(worker, i):
    return f"key-{worker}-{i}"


def write_with_python(fixture):
    store = Store(fixture.store, program=fixture.program, patience=PATIENCE)
    os.environ.update(fixture.env)

    def write(worker, i):
        store.write("app.db", INSERT, [worker, i], agent=f"python-{worker}", key=key_of(worker, i))

    return write


def write_with_command(fixture):
    def write(worker, i):
        words = ["exec", "app.db", INSERT, "-p", str(worker), "-p", str(i), "--agent", f"command-{worker}", "--key",
                 key_of(worker, i)]
        end = subprocess.run([fixture.program, *words], cwd=fixture.store, env=fixture.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if end.returncode != 0 or end.stderr:
            raise RuntimeError(f"exit status {end.returncode}: {end.stderr}")

    return write


class Workers:
    """Processes that write one row after the other, and report a line for each acknowledged one."""

    def __init__(self, fixture, kinds):
        self.enough = os.path.join(fixture.scratch, "enough")
        self.reports = []
        self.pids = []
        for worker, kind in enumerate(kinds):
            self.reports.append(os.path.join(fixture.scratch, f"worker-{worker}"))
            child = os.fork()
            if child == 0:
                self.work(worker, kind, fixture)
            self.pids.append(child)

    def work(self, worker, kind, fixture):
        with open(self.reports[worker], "w", buffering=1) as report:
            try:
                write = kind(fixture)
                i = 0
                while not os.path.exists(self.enough):
                    start = time.monotonic()
                    write(worker, i)
                    report.write(json.dumps({"i": i, "took": time.monotonic() - start}) + "\n")
                    i += 1
            except BaseException as x:
                report.write(json.dumps({"failed": repr(x)}) + "\n")
        os._exit(0)

    def bytes(self):
        return sum(os.path.getsize(x) for x in self.reports if os.path.exists(x))

    def wait_for_progress(self):
        """Waits for a dozen more acknowledged writes, of any worker."""
        seen = self.bytes()
        wait_until(lambda: self.bytes() > seen + 12 * 40, "the workers go on")

    def stop(self):
        """Ends the workers, and returns the report of each."""
        with open(self.enough, "w"):
            pass
        left = set(self.pids)

        def all_ended():
            for x in list(left):
                if os.waitpid(x, os.WNOHANG)[0]:
                    left.discard(x)
            return not left

        wait_until(all_ended, "the workers end")
        result = []
        for path in self.reports:
            with open(path) as x:
                result.append([json.loads(line) for line in x])
        return result


def kill_at_random(fixture, workers, kills):
    for kill in range(kills):
        # Every third kill may hit a broker that has no socket yet.
        if kill % 3:
            workers.wait_for_progress()
        until = time.monotonic() + random.uniform(0, 0.1)
        wait_until(lambda: time.monotonic() >= until and brokers(fixture), "there is a broker to be killed")
        for pid in brokers(fixture)[:1]:
            kill_if_there(pid)


def check(fixture, seen):
    """Checks that every acknowledged write is there, no write twice, and that the audit agrees."""
    is_equal([x for worker in seen for x in worker if "failed" in x], [])
    acknowledged = {(worker, x["i"]) for worker, lines in enumerate(seen) for x in lines}
    wait_until(lambda: not fixture.processes(), "the last broker has gone")
    is_equal(fixture.leader_files(), [])
    rows = collections.Counter(fixture.sql("app.db", "SELECT worker, i FROM t"))
    is_equal([x for x, times in rows.items() if times > 1], [], "rows that were written twice")
    is_equal(sorted(acknowledged - rows.keys()), [], "acknowledged rows that are lost")
    is_equal(sorted(rows.keys() - acknowledged), [], "rows of which no worker has heard")
    is_equal(fixture.sql("app.db", "PRAGMA integrity_check"), [("ok",)])
    is_equal(fixture.sql(".sluice/audit.db", "PRAGMA integrity_check"), [("ok",)])
    fixture.audit_is_whole()
    records = [x for x in fixture.audit() if x["idempotency_key"].startswith("key-")]
    committed = collections.Counter(x["idempotency_key"] for x in records if x["status"] == "committed")
    keys = {key_of(*x) for x in acknowledged}
    is_equal([x for x, times in committed.items() if times > 1], [], "keys with two committed records")
    is_equal(sorted(keys ^ committed.keys()), [], "keys without a committed record, or records of no key")
    return len(acknowledged)


def test_no_kill_of_the_leader_loses_a_write_or_applies_one_twice(fixture):
    kills = 20 * SOAK
    fixture.run("exec", "app.db", TABLE).good()
    workers = Workers(fixture, [write_with_python] * 8 + [write_with_command] * 8)
    kill_at_random(fixture, workers, kills)
    workers.wait_for_progress()
    seen = workers.stop()
    count = check(fixture, seen)
    waits = [max(x["took"] for x in worker) for worker in seen]
    print(f"{kills} kills, {count} writes; the longest wait of each client in s, the Python clients first:")
    print(" ".join(f"{x:.2f}" for x in waits))
    is_true(max(waits) < LONGEST_WAIT, f"a client waited {max(waits):.1f} s")


def test_no_kill_of_the_leader_loses_a_write_while_old_commit_records_are_removed(fixture):
    kept_bytes = 4_000
    fixture.env["SLUICE_LEDGER_MAX_BYTES"] = str(kept_bytes)
    # Each write has a key of its own: records with generated keys are kept, and so are those after them.
    fixture.run("exec", "app.db", TABLE, "--key", "table").good()
    workers = Workers(fixture, [write_with_python] * 4 + [write_with_command] * 2)
    # A broker removes old records with its first write.
    for _ in range(8 * SOAK):
        kill_at_random(fixture, workers, 1)
        workers.wait_for_progress()
    seen = workers.stop()
    count = check(fixture, seen)
    newest, kept = fixture.sql("app.db", "SELECT max(commit_seq), count(*) FROM _sluice_commits")[0]
    print(f"{count} writes, {newest} commits, {kept} of them kept")
    is_true(kept < newest, "nothing was removed")
    fixture.run("doctor").good()


if __name__ == "__main__":
    run_tests()
