"""Helpers that the tests share: a database with the table t, its brokers, and processes that write to it."""

import itertools
import os
import resource
import subprocess

from harness import is_equal, read_file, wait_until
from link import PATIENCE

TABLE = "CREATE TABLE t (a INTEGER)"
UNDER_WAY = itertools.count()


def make_table(fixture):
    """Creates a database with the table t; no process leads when this returns."""
    fixture.run("exec", "app.db", TABLE, env={"SLUICE_LINGER_MS": "200"}).good()
    await_no_process(fixture)


def count(fixture):
    return fixture.sql("app.db", "SELECT count(*) FROM t")[0][0]


def claims(folder):
    """The sockets by which brokers claim the folder, from /proc/net/unix."""
    info = os.stat(folder)
    name = f"@sluice/{os.geteuid()}/{info.st_dev}/{info.st_ino}/"
    # One read call lists a consistent state. Connections that wait to be accepted have no inode.
    with open("/proc/net/unix", "rb", buffering=0) as x:
        lines = [line.split() for line in x.read(1 << 22).decode(errors="replace").splitlines()]
    return [x[7] for x in lines if len(x) > 7 and x[7].startswith(name) and x[6] != "0"]


def brokers(fixture):
    """The pids of the processes that run `sluice serve`."""
    result = []
    for pid in fixture.processes():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as x:
                if x.read().split(b"\0")[1:2] == [b"serve"]:
                    result.append(pid)
        except OSError:
            pass
    return result


def await_no_process(fixture):
    wait_until(lambda: not fixture.processes(), "every process has gone")
    is_equal(fixture.leader_files(), [], "files that are left")


def under_way(fixture, link, rows=300_000):
    """Sends a write of so many rows, waits until the broker executes it, and returns its id."""
    numbers = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {rows})"
    name = f"under-way-{next(UNDER_WAY)}"
    which = link.post("write", db="app.db", request_id=name, statements=[{"sql": numbers + " INSERT INTO t SELECT x FROM n"}])
    with fixture.connect() as other:
        wait_until(lambda: (name, "running") in [(x["request_id"], x["state"]) for x in other.call("status")["running"]],
                   "the write is under way")
    return which


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as x:
        words = x.read().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


class Writers:
    """Four processes that each add one row after the other to the table t, with a command per row."""

    LOOP = """
i=0
until [ -e "$1/enough" ]; do
  "$0" exec app.db "INSERT INTO t VALUES ($i)" --key "$2-$i" >>"$1/out.$2" || exit 1
  i=$((i + 1))
done
"""

    def __init__(self, fixture):
        self.scratch = fixture.scratch
        self.loops = [subprocess.Popen(["sh", "-c", self.LOOP, fixture.program, fixture.scratch, str(i)],
                                       cwd=fixture.store, env=fixture.env, stderr=subprocess.PIPE, text=True)
                      for i in range(4)]

    def stop(self):
        """Stops the processes; returns the number of rows. No command may have failed or printed a warning."""
        with open(os.path.join(self.scratch, "enough"), "w"):
            pass
        for x in self.loops:
            err = x.communicate(timeout=PATIENCE)[1]
            is_equal((x.returncode, err), (0, ""))
        return sum(read_file(os.path.join(self.scratch, f"out.{i}")).count("1 row changed") for i in range(4))


def is_sanitized(fixture):
    """Whether the program has sanitizers, which take several times the memory and time."""
    with open(fixture.program, "rb") as x:
        return b"__asan_init" in x.read()


def serve(fixture, **more):
    """Starts a broker with the table t, and connects a well-behaved client."""
    server = fixture.serve(**more)
    client = fixture.connect()
    client.write("app.db", TABLE)
    return server, client


def still_serves(fixture, server, client):
    """Checks that the broker still serves the client and accepts new ones."""
    is_equal(client.call("ping")["pid"], server.pid)
    is_equal(client.write("app.db", "INSERT INTO t VALUES (1)")["outcome"], "committed")
    with fixture.connect() as link:
        is_equal(link.call("ping")["pid"], server.pid)


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as x:
        return int(x.read().split()[1]) * resource.getpagesize()
