"""Trouble of the machine: full disks, clocks that step, no network, stopped processes."""

import ctypes
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys

from harness import Skipped, freeze, is_equal, is_running, is_true, run_tests, wait_until
from link import PATIENCE, Refused
from rig import TABLE, count, is_sanitized, make_table, await_no_process, under_way

CLONE_NEWNS = 0x00020000
MS_RDONLY = 1
MS_REMOUNT = 1 << 5
MS_REC = 1 << 14
MS_PRIVATE = 1 << 18
PYTHON_CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "sluice_client.py")


def put_on_small_disk(fixture, size):
    """Mounts a small disk for the store, which only this test and its children see."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNS) != 0:
        raise Skipped("a disk of its own needs root")
    libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    if libc.mount(b"tmpfs", fixture.store.encode(), b"tmpfs", 0, f"size={size},mode=755".encode()) != 0:
        raise Skipped("no tmpfs can be mounted here")


def fill(path):
    """Fills the disk."""
    with open(path, "wb", buffering=0) as x:
        try:
            while x.write(b"x" * 4096):
                pass
        except OSError:
            pass


def test_a_full_disk_refuses_writes_without_room_and_loses_nothing(fixture):
    put_on_small_disk(fixture, "4m")
    with open(fixture.path("ballast"), "wb") as x:
        x.write(b"x" * (2 << 20))
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        done = 0
        while True:
            try:
                link.write("app.db", "INSERT INTO t VALUES (zeroblob(100000))", idempotency_key=f"key-{done}")
            except Refused as x:
                is_equal((x.code, x.outcome), ("disk_full", "not_committed"))
                break
            done += 1
        is_true(done > 3, f"{done} rows")
        is_equal(link.read("app.db", "SELECT count(*) FROM t", freshness="fresh"), [[done]])
        os.unlink(fixture.path("ballast"))
        # The same key works: the refused write has left no trace.
        answer = link.write("app.db", "INSERT INTO t VALUES (zeroblob(100000))", idempotency_key=f"key-{done}")
        is_equal((answer["outcome"], answer["replayed"]), ("committed", False))
    server.signal(signal.SIGTERM)
    server.end().good()
    is_equal(count(fixture), done + 1)
    is_equal(fixture.sql("app.db", "PRAGMA integrity_check"), [("ok",)])
    fixture.audit_is_whole()
    committed = [x["idempotency_key"] for x in fixture.audit() if x["status"] == "committed" and x["idempotency_key"]]
    is_equal(sorted(x for x in committed if x.startswith("key-")), sorted(f"key-{i}" for i in range(done + 1)))


def test_on_a_full_disk_commands_fail_with_the_reason_and_work_again_later(fixture):
    put_on_small_disk(fixture, "4m")
    make_table(fixture)
    fill(fixture.path("ballast"))
    end = fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", env={"SLUICE_LOCK_WAIT_MS": "1000"})
    is_equal(end.status, 1, str(end))
    is_true("disk_full" in end.err or "io_error" in end.err, str(end))
    os.unlink(fixture.path("ballast"))
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (2)").good()
    is_equal(fixture.sql("app.db", "SELECT a FROM t"), [(2,)])
    fixture.audit_is_whole()


def test_a_file_size_limit_fails_only_the_write_that_exceeds_it(fixture):
    make_table(fixture)
    bound = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    server = fixture.serve(preexec_fn=bound)
    with fixture.connect() as link:
        refused = link.refusal("write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (zeroblob(1000000))"}])
        is_true(refused.code in ("disk_full", "io_error"), str(refused))
        is_equal(refused.outcome, "not_committed")
        is_equal(link.write("app.db", "INSERT INTO t VALUES (1)")["outcome"], "committed")
    is_true(not server.ended(), "the broker is still running")
    is_equal(count(fixture), 1)


def test_a_read_only_disk_is_reported_as_read_only(fixture):
    put_on_small_disk(fixture, "4m")
    make_table(fixture)
    make_read_only(fixture, True)
    for words in (["exec", "app.db", "INSERT INTO t VALUES (1)"], ["serve"]):
        end = fixture.run(*words, env={"SLUICE_LOCK_WAIT_MS": "500"})
        end.failed_with("read_only")
        is_true(fixture.store not in end.err, "the message has the path")
    make_read_only(fixture, False)
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (2)").good()
    is_equal(count(fixture), 1)


def make_read_only(fixture, wanted):
    flags = MS_REMOUNT | (MS_RDONLY if wanted else 0)
    # The system refuses this while a process has a file open for writing; a broker may still be ending.
    mount = ctypes.CDLL(None).mount
    wait_until(lambda: mount(b"tmpfs", fixture.store.encode(), b"tmpfs", flags, None) == 0, "the disk is mounted again")


def test_a_time_namespace_that_sets_the_clock_forward_expires_no_key(fixture):
    ahead = ["unshare", "--time", "--boottime", "90000", "--monotonic", "90000"]
    if subprocess.run([*ahead, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skipped("a time namespace needs root")
    make_table(fixture)
    for prefix in ([], ahead, [], ahead):
        server = fixture.serve(prefix=prefix)
        with fixture.connect() as link:
            # Writes more keys than one commit prunes.
            for i in range(20):
                link.write("app.db", "INSERT INTO t VALUES (1)", idempotency_key=f"key-{i}")
            link.write("app.db", "INSERT INTO t VALUES (2)")
        server.signal(signal.SIGTERM)
        server.end().good()
    is_equal(fixture.sql("app.db", "SELECT count(*) FROM t WHERE a = 1"), [(20,)])


def test_everything_works_without_a_network(fixture):
    fixture.prefix = ["unshare", "-n"]
    if subprocess.run([*fixture.prefix, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skipped("a network of its own needs root")
    works(fixture)


def test_everything_works_for_an_ordinary_user_without_a_network(fixture):
    fixture.as_nobody()
    fixture.prefix = ["unshare", "-n", *fixture.prefix]
    works(fixture)


def works(fixture):
    fixture.env["SLUICE_LINGER_MS"] = "3000"
    is_equal(fixture.run("exec", "app.db", TABLE).good().err, "")
    several = [fixture.start("exec", "app.db", f"INSERT INTO t VALUES ({i})") for i in range(6)]
    for x in several:
        is_equal(x.end().good().err, "")
    is_equal(fixture.run("query", "app.db", "SELECT count(*) AS n FROM t", "--csv").good().out.split(), ["n", "6"])
    is_true(fixture.leader(), "a broker leads")
    line = '{"jsonrpc":"2.0","id":1,"method":"read","params":{"db":"app.db","sql":"SELECT count(*) FROM t"}}\n'
    stdio = fixture.start("serve", "--stdio", stdin=subprocess.PIPE)
    out, err = stdio.popen.communicate(line, timeout=PATIENCE)
    is_true('"rows":[[6]]' in out, out + err)
    # The ordinary user may not be able to read the project, so it runs a copy of the example.
    copied = shutil.copy(PYTHON_CLIENT, os.path.join(fixture.scratch, "client.py"))
    end = subprocess.run([*fixture.prefix, sys.executable, copied], cwd=fixture.store, env=fixture.env,
                         capture_output=True, text=True)
    is_equal((end.returncode, end.stderr), (0, ""), end.stdout)
    server = fixture.serve("--http", "127.0.0.1:0")
    is_true(fixture.info()["http"], "it serves HTTP")
    fixture.run("stop").good()
    server.end().good()
    fixture.audit_is_whole()
    await_no_process(fixture)
    is_equal(count(fixture), 6)


# A preloaded library that adds the number of seconds in a file to the time of day.
SHIFTED_CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

// The seconds by which the time of day is shifted, and those by which the time since boot is.
static long shift(int which) {
  static const volatile long* where;
  if (!where) {
    int fd = open(getenv("CLOCK_SHIFT"), O_RDONLY | O_CLOEXEC);
    where = mmap(0, 2 * sizeof *where, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
  }
  return where[which];
}

int clock_gettime(clockid_t id, struct timespec* t) {
  int failed = syscall(SYS_clock_gettime, id, t);
  if (!failed && id == CLOCK_REALTIME)
    t->tv_sec += shift(0);
  if (!failed && id == CLOCK_BOOTTIME)
    t->tv_sec += shift(1);
  return failed;
}

int gettimeofday(struct timeval* t, void* zone) {
  struct timespec x;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &x))
    return -1;
  t->tv_sec = x.tv_sec;
  t->tv_usec = x.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* t) {
  struct timespec x;
  clock_gettime(CLOCK_REALTIME, &x);
  if (t)
    *t = x.tv_sec;
  return x.tv_sec;
}
"""


class Clock:
    """Sets the time of day, and the time since boot, for programs that the fixture starts."""

    def __init__(self, fixture):
        if is_sanitized(fixture):
            raise Skipped("sanitizers want to be loaded first")
        library = os.path.join(fixture.scratch, "clock.so")
        build = subprocess.run(["g++", "-x", "c", "-shared", "-fPIC", "-O1", "-o", library, "-"], input=SHIFTED_CLOCK,
                               text=True, capture_output=True)
        is_equal(build.returncode, 0, build.stderr)
        self.file = open(os.path.join(fixture.scratch, "shift"), "w+b", buffering=0)
        self.passed = 0
        self.step(0)
        self.pass_time(0)
        fixture.env.update(LD_PRELOAD=library, CLOCK_SHIFT=self.file.name)

    def step(self, seconds):
        os.pwrite(self.file.fileno(), struct.pack("l", seconds), 0)

    def pass_time(self, seconds):
        """Lets the time since boot go on by so many seconds."""
        self.passed += seconds
        os.pwrite(self.file.fileno(), struct.pack("l", self.passed), struct.calcsize("l"))


def test_steps_of_the_wall_clock_affect_no_deadline_key_or_cached_answer(fixture):
    clock = Clock(fixture)
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        first = link.write("app.db", "INSERT INTO t VALUES (1)", idempotency_key="k")["commit_seq"]
        for rows, shift in enumerate((36_000, -36_000, 7_200, 0), 1):
            is_equal(link.read("app.db", "SELECT count(*) FROM t"), [[rows]])
            clock.step(shift)
            # No answer is cached for longer, no key is forgotten, and no request is late.
            again = link.write("app.db", "INSERT INTO t VALUES (1)", idempotency_key="k")
            is_equal((again["commit_seq"], again["replayed"]), (first, True))
            is_equal(link.write("app.db", "INSERT INTO t VALUES (2)", deadline_ms=60_000)["outcome"], "committed")
            is_equal(link.read("app.db", "SELECT count(*) FROM t"), [[rows + 1]])
        which = under_way(fixture, link)
        clock.step(36_000)
        is_equal(link.answer(which)["outcome"], "committed")
    times = [x["ts_us"] for x in fixture.audit()]
    is_true(max(times) - min(times) > 36_000 * 10**6, "the clock did not step")
    fixture.audit_is_whole()
    server.signal(signal.SIGTERM)
    server.end().good()
    # The clock does not change the idle time of a broker either.
    for shift in (0, -36_000):
        clock.step(36_000)
        fixture.run("exec", "app.db", "INSERT INTO t VALUES (3)", env={"SLUICE_LINGER_MS": "2000"}).good()
        is_true(fixture.leader(), "a broker leads")
        clock.step(shift)
        await_no_process(fixture)


def test_while_the_leader_is_stopped_clients_end_at_their_deadline_with_the_outcome_unknown(fixture):
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        server.signal(signal.SIGSTOP)
        end = fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", "--key", "k", "--deadline", "300", "--json")
        is_equal(end.status, 1, str(end))
        error = end.json()["error"]
        is_equal((error["code"], error["outcome"]), ("deadline_exceeded", "unknown"))
        end = fixture.run("query", "app.db", "SELECT 1", env={"SLUICE_READ_TIMEOUT_MS": "300"})
        end.failed_with("deadline_exceeded")
        # A request with a long deadline waits.
        patient = fixture.start("exec", "app.db", "INSERT INTO t VALUES (2)")
        # No other process may lead meanwhile.
        fixture.run("serve", env={"SLUICE_LOCK_WAIT_MS": "300"}).failed_with("busy")
        is_true(is_running(server.pid) and not patient.ended(), "it goes on")
        server.signal(signal.SIGCONT)
        patient.end().good()
        # Repeated under the same key, the write is applied exactly once.
        fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", "--key", "k").good()
        is_equal(link.read("app.db", "SELECT a FROM t ORDER BY a", freshness="fresh"), [[1], [2]])


def test_no_other_process_leads_while_a_transient_leader_is_stopped(fixture):
    make_table(fixture)
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)").good()
    first = fixture.leader()
    freeze(first)
    end = fixture.run("serve", env={"SLUICE_LOCK_WAIT_MS": "300", "SLUICE_WRITE_DEADLINE_MS": "300"})
    end.failed_with("busy")
    is_equal(fixture.leader(), first)
    os.kill(first, signal.SIGCONT)
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (2)").good()
    is_equal(count(fixture), 2)


if __name__ == "__main__":
    run_tests()
