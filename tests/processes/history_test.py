"""Many processes record their calls and answers on the same objects, and the histories are checked for linearizability.

Meanwhile the test kills leaders and clients again and again. tests/histories/ has the checker.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

from harness import SOAK, is_equal, is_true, kill_if_there, run_tests, wait_until
from kill_test import brokers
from link import PATIENCE, Refused

HERE = os.path.dirname(__file__)
sys.path[:0] = [os.path.join(HERE, "..", "histories"), os.path.join(HERE, "..", "..", "examples")]
from history import Recorder
from sluice_client import SluiceError, Store

DB = "app.db"
REGISTERS = 3
LISTS = 2
ACCOUNTS = [100] * 5
SCHEMA = [
    "CREATE TABLE registers (key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID",
    "CREATE TABLE items (id INTEGER PRIMARY KEY, list TEXT NOT NULL, item TEXT NOT NULL)",
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))",
    "CREATE TABLE transfers (id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    *(f"INSERT INTO registers VALUES ('{x}', NULL)" for x in range(REGISTERS)),
    *(f"INSERT INTO accounts VALUES ({i}, {x})" for i, x in enumerate(ACCOUNTS)),
]
BALANCES = "SELECT (SELECT count(*) FROM transfers), balance FROM accounts ORDER BY id"


class Lost(Exception):
    """The connection ended before the answer."""


class Patient:
    """Repeats its requests with the same key when the leader has ended, so it knows every outcome."""

    def __init__(self, fixture):
        os.environ.update(fixture.env)
        self.store = Store(fixture.store, program=fixture.program, patience=PATIENCE)

    def write(self, *statements, key):
        try:
            return self.store.write(DB, *statements, agent="patient", key=key)
        except SluiceError as x:
            raise Refused({"data": x.data}) from None

    def read(self, sql, params, **more):
        return self.store.read(DB, sql, params, agent="patient", **more)["rows"]


class Hasty:
    """Sends each request once: a call without an answer may have been applied or not."""

    def __init__(self, fixture):
        self.fixture = fixture
        self.link = None

    def ask(self, method, **params):
        try:
            if self.link is None:
                self.link = self.fixture.connect()
        except OSError:
            # This client has sent nothing, and the patient clients will start a broker.
            time.sleep(0.002)
            raise Refused({"message": "there is no broker"}) from None
        try:
            return self.link.call(method, db=DB, agent="hasty", **params)
        except OSError:
            self.link = None
            raise Lost() from None

    def write(self, *statements, key):
        pairs = [{"sql": sql, "params": params} for sql, params in zip(statements[::2], statements[1::2])]
        return self.ask("write", statements=pairs)

    def read(self, sql, params, **more):
        return self.ask("read", sql=sql, params=params, **more)["rows"]


class Command:
    """Runs the program for each request; the program repeats it when a leader has ended."""

    def __init__(self, fixture):
        self.fixture = fixture

    def run(self, *words):
        end = subprocess.run([self.fixture.program, *words, "--agent", "command", "--json"], cwd=self.fixture.store,
                             env=self.fixture.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        answer = json.loads(end.stdout)
        if "error" in answer:
            raise Refused({"data": answer["error"]})
        return answer

    def write(self, *statements, key):
        texts = [with_values(sql, params) for sql, params in zip(statements[::2], statements[1::2])]
        return self.run("exec", DB, "; ".join(texts), "--key", key)

    def read(self, sql, params, freshness="cached"):
        how = ["--fresh"] if freshness == "fresh" else []
        return self.run("query", DB, with_values(sql, params), *how)["rows"]


def with_values(sql, params):
    literals = iter("NULL" if x is None else repr(x) for x in params)
    return re.sub(r"\?", lambda _: next(literals), sql)


KINDS = [Patient, Patient, Patient, Hasty, Hasty, Hasty, Command, Command]


class Worker:
    """Performs one operation after the other, and records each."""

    def __init__(self, name, client, history):
        self.name, self.client = name, client
        self.recorder = Recorder(history, name)
        self.random = random.Random()
        self.steps = 0
        self.seen = {}

    def step(self):
        self.steps += 1
        do = self.random.choice([self.read_register, self.read_register, self.write_register, self.swap, self.append,
                                 self.read_list, self.transfer, self.read_bank])
        do(f"{self.name}-{self.steps}")

    def write(self, of, do, value, *statements, result=lambda x: None):
        self.recorder.begin(of, do, value)
        try:
            answer = self.client.write(*statements, key=f"{self.name}-{self.steps}")
        except Refused as x:
            self.recorder.done("unknown" if x.outcome == "unknown" else "failed")
        except Lost:
            self.recorder.done("unknown")
        else:
            self.recorder.done("ok", result(answer), answer["commit_seq"])

    def read(self, of, sql, *params, result):
        self.recorder.begin(of, "read")
        how = self.random.choice(["cached", "cached", "fresh"])
        try:
            rows = self.client.read(sql, list(params), freshness=how)
        except (Refused, Lost):
            self.recorder.done("failed")
            return None
        self.recorder.done("ok", result(rows))
        return result(rows)

    def key(self, count):
        return str(self.random.randrange(count))

    def read_register(self, _):
        key = self.key(REGISTERS)
        self.seen[key] = self.read(f"register:{key}", "SELECT value FROM registers WHERE key = ?", key,
                                   result=lambda rows: rows[0][0])

    def write_register(self, name):
        key, value = self.key(REGISTERS), hash(name) & 0xFFFFFFFF
        self.write(f"register:{key}", "write", value, "UPDATE registers SET value = ? WHERE key = ?", [value, key])

    def swap(self, name):
        key, value = self.key(REGISTERS), hash(name) & 0xFFFFFFFF
        expected = self.seen.get(key)
        self.write(f"register:{key}", "cas", [expected, value],
                   "UPDATE registers SET value = ? WHERE key = ? AND value IS ?", [value, key, expected],
                   result=lambda x: x["results"][0]["changes"] == 1)

    def append(self, name):
        key = self.key(LISTS)
        self.write(f"list:{key}", "append", name, "INSERT INTO items (list, item) VALUES (?, ?)", [key, name])

    def read_list(self, _):
        self.list(self.key(LISTS))

    def list(self, key):
        self.read(f"list:{key}", "SELECT item FROM items WHERE list = ? ORDER BY id", key,
                  result=lambda rows: [x for x, in rows])

    def transfer(self, name):
        giver, taker = self.random.sample(range(len(ACCOUNTS)), 2)
        amount = self.random.randint(1, 40)
        move = "UPDATE accounts SET balance = balance + ? WHERE id = ?"
        self.write("bank:b", "transfer", [name, giver, taker, amount], move, [-amount, giver], move, [amount, taker],
                   "INSERT INTO transfers (name) VALUES (?)", [name])

    def read_bank(self, _):
        self.read("bank:b", BALANCES, result=lambda rows: [rows[0][0], [x for _, x in rows]])

    def last_words(self):
        """Reads the final state for the checker, after all processes have ended."""
        for key in range(LISTS):
            self.list(str(key))
        self.recorder.begin("bank:b", "order")
        self.recorder.done("ok", [x for x, in self.client.read("SELECT name FROM transfers ORDER BY id", [])])


class Crowd:
    """The processes that run workers."""

    def __init__(self, fixture):
        self.fixture = fixture
        self.enough = os.path.join(fixture.scratch, "enough")
        self.histories = []
        self.running = {}

    def add(self, kind):
        name = f"{kind.__name__.lower()}{len(self.histories)}"
        self.histories.append(os.path.join(self.fixture.scratch, f"{name}.jsonl"))
        child = os.fork()
        if child == 0:
            self.work(name, kind)
        self.running[child] = kind

    def work(self, name, kind):
        status = 1
        try:
            worker = Worker(name, kind(self.fixture), self.histories[-1])
            while not os.path.exists(self.enough):
                worker.step()
            status = 0
        except BaseException as x:
            print(f"{name}: {x!r}", flush=True)
        os._exit(status)

    def kill_one(self, kind):
        """Kills a process and starts another one in its place."""
        pid = random.choice([pid for pid, x in self.running.items() if x is kind])
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        del self.running[pid]
        self.add(kind)

    def bytes(self):
        return sum(os.path.getsize(x) for x in self.histories if os.path.exists(x))

    def wait_for_progress(self, operations):
        seen = self.bytes()
        wait_until(lambda: self.bytes() > seen + operations * 200, "the processes go on")

    def stop(self):
        with open(self.enough, "w"):
            pass
        for pid in self.running:
            wait_until(lambda: os.waitpid(pid, os.WNOHANG) != (0, 0), "a process ends")


def verdict(histories):
    check = subprocess.run([sys.executable, "-B", os.path.join(HERE, "..", "histories", "check.py"), *histories],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    is_equal(check.returncode, 0, check.stdout)
    return check.stdout.strip()


def begin(fixture):
    founder = Worker("founder", Patient(fixture), os.path.join(fixture.scratch, "founder.jsonl"))
    founder.write("bank:b", "open", ACCOUNTS, *SCHEMA)
    return founder


def end(fixture, founder, crowd):
    crowd.stop()
    founder.last_words()
    told = verdict([*crowd.histories, os.path.join(fixture.scratch, "founder.jsonl")])
    is_equal(fixture.sql(DB, "PRAGMA integrity_check"), [("ok",)])
    return told


def test_the_history_of_many_processes_and_one_broker_is_linearizable(fixture):
    fixture.serve()
    founder = begin(fixture)
    crowd = Crowd(fixture)
    for kind in KINDS:
        crowd.add(kind)
    crowd.wait_for_progress(6000 * SOAK)
    print(end(fixture, founder, crowd))


def test_the_history_is_linearizable_while_leaders_and_clients_are_killed(fixture):
    kills = 8 * SOAK
    founder = begin(fixture)
    crowd = Crowd(fixture)
    for kind in KINDS:
        crowd.add(kind)
    for kill in range(kills):
        crowd.wait_for_progress(100)
        until = time.monotonic() + random.uniform(0, 0.05)
        wait_until(lambda: time.monotonic() >= until and brokers(fixture), "there is a broker to be killed")
        for pid in brokers(fixture)[:1]:
            kill_if_there(pid)
        crowd.kill_one(random.choice(KINDS))
    crowd.wait_for_progress(100)
    print(f"{kills} kills; " + end(fixture, founder, crowd))
    fixture.audit_is_whole()


if __name__ == "__main__":
    run_tests()
