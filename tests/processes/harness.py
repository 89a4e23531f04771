"""Tests of the program from the outside, with real processes; the standard library only.

A test is a function whose name begins with test_ and continues as a sentence. Its parameter is a `Fixture`: a fresh
folder, ways to start processes in it, and connections. It fails with the first exception. Each test runs in a process
of its own, which is the subreaper of the processes that the test starts, so that none of them outlives the test. No
test sleeps to meet a moment: it waits for the event, with a deadline.
"""

import ctypes
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

from link import PATIENCE, Link

SLUICE = os.path.realpath(os.environ["SLUICE"])
FILTER = os.environ.get("FILTER", "")
SOAK = int(os.environ.get("SLUICE_SOAK", "1"))
NOBODY = 65534
PR_SET_CHILD_SUBREAPER = 36
LOCK_TEXTS = ("locked", "busy", "another process leads")


class Skipped(Exception):
    """The machine cannot run this test; the text is the reason."""


def wait_until(condition, what, patience=PATIENCE):
    """Polls until the condition holds, and returns its result."""
    give_up = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(0.005)


def is_equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what}\ngot:    {got!r}\nwanted: {wanted!r}".strip())


def is_true(x, what):
    if not x:
        raise AssertionError(what)


def read_file(path):
    try:
        with open(path, errors="replace") as x:
            return x.read()
    except FileNotFoundError:
        return ""


def is_running(pid):
    """Whether the process runs. Zombies have ended."""
    try:
        with open(f"/proc/{pid}/stat") as x:
            return x.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def freeze(pid):
    """Stops the process. On a busy machine its threads run on for a while after the signal: waits until all stand."""
    os.kill(pid, signal.SIGSTOP)

    def stands():
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{task}/stat") as x:
                    if x.read().rpartition(")")[2].split()[0] not in "TtZX":
                        return False
            except (FileNotFoundError, ProcessLookupError):
                pass
        return True
    wait_until(stands, f"process {pid} is stopped")


def descendants(pid):
    result = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as x:
                for child in map(int, x.read().split()):
                    result += [child, *descendants(child)]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return result


class Result:
    """The exit status and output of a program."""

    def __init__(self, words, status, out, err):
        self.words, self.status, self.out, self.err = words, status, out, err

    def __str__(self):
        return f"exit status {self.status}: {' '.join(self.words)}\n{self.out}\n{self.err}"

    def json(self):
        return json.loads(self.out)

    def good(self):
        is_equal(self.status, 0, str(self))
        return self

    def failed_with(self, code, status=1):
        is_equal(self.status, status, str(self))
        is_true(f"sluice: {code}: " in self.err, str(self))
        return self


class Process:
    """A program that was started."""

    def __init__(self, words, popen):
        self.words, self.popen = words, popen
        self.pid = popen.pid

    def end(self, patience=PATIENCE):
        """Waits until the program ends."""
        try:
            out, err = self.popen.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {patience} s: {' '.join(self.words)}") from None
        return Result(self.words, self.popen.returncode, out or "", err or "")

    def ended(self):
        return self.popen.poll() is not None

    def signal(self, which):
        if which == signal.SIGSTOP:
            freeze(self.popen.pid)
        else:
            self.popen.send_signal(which)


class Fixture:
    """The folder of one test, and the processes that it starts there."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.store = os.path.join(scratch, "store")
        self.program = SLUICE
        self.prefix = []
        self.env = dict(os.environ)
        for name in ("SLUICE_AGENT", "SLUICE_CAPSULE", "SLUICE_ENDPOINT", "XDG_RUNTIME_DIR"):
            self.env.pop(name, None)
        # Slow machines need more time than the defaults, which are made for people.
        self.env.update(SLUICE_LOCK_WAIT_MS="60000", SLUICE_READ_TIMEOUT_MS="600000", SLUICE_WRITE_DEADLINE_MS="600000",
                        SLUICE_PROGRAM=self.program)
        os.mkdir(self.store)

    def path(self, *names):
        return os.path.join(self.store, *names)

    def start(self, *words, env=None, stdin=subprocess.DEVNULL, cwd=None, prefix=None, **more):
        """Starts the program; its output goes to pipes."""
        words = [*(self.prefix if prefix is None else prefix), self.program, *map(str, words)]
        popen = subprocess.Popen(words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 errors="replace", env={**self.env, **(env or {})}, cwd=cwd or self.store, **more)
        return Process(words, popen)

    def run(self, *words, **more):
        return self.start(*words, **more).end()

    def serve(self, *words, **more):
        """Starts a permanent broker, which is ready when this returns."""
        x = self.start("serve", *words, **more)
        wait_until(lambda: x.ended() or (self.info() or {}).get("pid") == x.pid, "the broker serves")
        if x.ended():
            raise AssertionError(str(x.end()))
        return x

    def as_nobody(self, user=NOBODY):
        """From now on programs run as an ordinary user, who owns the store."""
        if os.geteuid() != 0:
            raise Skipped("only root can become another user")
        os.chmod(self.scratch, 0o711)
        # The user may have no access to the build folder.
        folder = os.path.join(self.scratch, "bin")
        os.mkdir(folder)
        shutil.copy(os.path.join(os.path.dirname(SLUICE), "sluice-main"), folder)
        self.program = shutil.copy(SLUICE, os.path.join(folder, "sluice"))
        self.env["SLUICE_PROGRAM"] = self.program
        os.chown(self.store, user, user)
        self.prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]

    def info(self):
        """The content of broker.json, or None."""
        try:
            with open(self.path(".sluice", "broker.json")) as x:
                return json.load(x)
        except (FileNotFoundError, ValueError):
            return None

    def leader(self):
        """The pid of the leader, or None."""
        x = self.info()
        return x["pid"] if x and is_running(x["pid"]) else None

    def connect(self, patience=PATIENCE):
        return Link((self.info() or {}).get("socket", self.path(".sluice", "broker.sock")), patience)

    def sql(self, db, text, *params):
        """Reads a database without the broker."""
        x = sqlite3.connect(self.path(db), timeout=PATIENCE)
        try:
            return x.execute(text, params).fetchall()
        finally:
            x.close()

    def audit(self):
        """All audit records, oldest first."""
        return [json.loads(x) for x in self.run("audit", self.store, "export").good().out.splitlines()]

    def audit_is_whole(self):
        verdict = self.run("audit", self.store, "verify", "--json").good().json()
        is_true(verdict["intact"], f"the audit is broken: {verdict}")

    def leader_files(self):
        """The files that exist only while a leader runs, or after it has crashed."""
        folders = [self.store, self.path(".sluice")]
        names = [x for folder in folders if os.path.isdir(folder) for x in os.listdir(folder)]
        return [x for x in names if x.endswith(("-wal", "-shm", ".sock", ".lock", ".new")) or x == "broker.json"]

    def processes(self):
        """The pids of descendants of this test that run the program."""
        result = []
        # The launcher is `sluice`, the main program `sluice-main`.
        programs = [os.path.realpath(self.program), os.path.join(os.path.dirname(self.program), "sluice-main")]
        for pid in descendants(os.getpid()):
            try:
                if os.readlink(f"/proc/{pid}/exe") in programs and is_running(pid):
                    result.append(pid)
            except OSError:
                pass
        return result


def kill_if_there(pid):
    """Sends SIGKILL, unless the process has already ended."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_all(pid):
    """Kills every descendant of `pid`, and reaps the processes that are left to this one."""
    give_up = time.monotonic() + PATIENCE
    while left := descendants(pid):
        for x in left:
            kill_if_there(x)
        reap()
        if time.monotonic() > give_up:
            raise AssertionError(f"processes that cannot be killed: {left}")
        time.sleep(0.005)


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def run_one(test, scratch, report):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        test(Fixture(scratch))
        word = "ok"
    except Skipped as x:
        word = "skipped"
        print(x)
    except BaseException:
        word = "not ok"
        traceback.print_exc(file=sys.stdout)
        log = read_file(os.path.join(scratch, "store", ".sluice", "broker.log"))
        print("the broker's log:\n" + log[-2000:] if log else "no broker's log")
    try:
        end_all(os.getpid())
    except AssertionError as x:
        word = "not ok"
        print(x)
    sys.stdout.flush()
    os.write(report, word.encode())


def run_tests(group="processes"):
    """Runs every test of the script that was started, and prints the result of each."""
    sys.stdout.reconfigure(line_buffering=True)
    raise_descriptor_limit()
    for name, test in list(vars(sys.modules["__main__"]).items()):
        title = f"{group}: " + name.removeprefix("test_").replace("_", " ")
        if not name.startswith("test_") or not re.search(FILTER, title):
            continue
        scratch = os.path.realpath(tempfile.mkdtemp())
        log = os.path.join(scratch, "log")
        got, report = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT, 0o600), 1)
            run_one(test, scratch, report)
            os._exit(0)
        os.close(report)
        os.waitpid(child, 0)
        word = os.read(got, 100).decode() or "not ok"
        os.close(got)
        for line in read_file(log).splitlines():
            print("  " + line)
        print(f"{word} - {title}")
        shutil.rmtree(scratch, ignore_errors=True)
    print("done")


def raise_descriptor_limit():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
