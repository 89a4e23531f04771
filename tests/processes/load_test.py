"""The load test: many databases, connections and well-behaved agents, and a process that misbehaves in one way at a time.

Whatever that does, every request of the others is answered in its deadline, none fails, and threads, descriptors, memory
and logs stay within bounds that do not depend on how long it goes on. `SLUICE_LOAD=full` makes it 1,000 databases, 10,000
names that do not exist, 2,000 connections and 64 agents, and prints what was measured.
"""

import itertools
import json
import os
import selectors
import time

from harness import is_equal, is_true, kill_if_there, run_tests, wait_until
from limits_test import COSTLY
from link import PATIENCE, Refused, request
from rig import is_sanitized, resident_bytes, serve, still_serves

FULL = os.environ.get("SLUICE_LOAD") == "full"
DATABASES, NAMES, CONNECTIONS, AGENTS, ROUNDS = (1_000, 10_000, 2_000, 64, 20) if FULL else (20, 200, 100, 8, 3)

MIB = 1 << 20
DAY_MS = 86_400_000
# Far longer than a turn takes on any machine. A request that is not served in turn would wait without end.
DEADLINE_MS = 30_000
GRACE_S = 0.25
# The time in which broker and test pass an answer on, on a machine that runs other work as well.
MEASURING_S = 1.0

THREADS = 16
# Threads beside those that run SQLite and those at the start.
OTHER_THREADS = 4
DESCRIPTORS = 64
CHECKPOINT = MIB
# The bound of the WAL is 16 times `checkpoint_wal_bytes`. Writes during the reads under way add to it.
WAL_BYTES = 16 * CHECKPOINT + 8 * MIB
WAL_IS_BOUNDED = True
# Each commit has about 80 KiB of pages, so together they exceed the bound of the WAL.
PINNED_COMMITS = 2_000 if FULL else 500
RESIDENT = (768 if FULL else 384) * MIB
STOP_S = 10

NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {}) "
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "


def statement(sql, *params):
    return [{"sql": sql, "params": list(params)}]


# The kinds of misbehaviour: each is one cycle with a fresh connection, repeated until the process is killed. `busy` is called once
# its requests are under way.


def take(link, calls):
    """Waits for the answers, and ignores errors."""
    for which in calls:
        try:
            link.answer(which)
        except Refused:
            pass


def floods_writes(link, busy):
    calls = [link.post("write", db="app.db", agent="bad", statements=statement("INSERT INTO bad VALUES (1)"))
             for _ in range(900)]
    busy()
    take(link, calls)


def floods_reads(link, busy):
    calls = [link.post("read", db="app.db", agent="bad", sql=NUMBERS.format(2_000 + i) + "SELECT count(*) FROM n",
                       freshness="fresh") for i in range(900)]
    busy()
    take(link, calls)


def queues_slow_writes(link, busy):
    """Sends so many writes that their order shows the turns of agents."""
    sql = NUMBERS.format(300_000) + "INSERT INTO bad SELECT count(*) FROM n"
    calls = [link.post("write", db="app.db", agent="bad", statements=statement(sql), deadline_ms=DAY_MS)
             for _ in range(16 * (AGENTS + 2))]
    busy()
    take(link, calls)


def writes_for_long(link, busy):
    calls = [link.post("write", db="app.db", agent="bad", deadline_ms=700,
                       statements=statement(ENDLESS + "INSERT INTO bad SELECT x FROM n")) for _ in range(4)]
    busy()
    take(link, calls)


def reads_for_long(link, busy):
    calls = [link.post("read", db="app.db", agent=f"bad-{i}", timeout_ms=1_500, freshness="fresh",
                       sql=f"{ENDLESS}SELECT count(*) FROM n WHERE x <> -{i}") for i in range(8)]
    busy()
    take(link, calls)


def calls_costly_functions(link, busy):
    calls = [link.post("read", db="app.db", agent="bad", sql=f"SELECT {x}", timeout_ms=400) for x in COSTLY]
    calls += [link.post("write", db="app.db", agent="bad", deadline_ms=400,
                        statements=statement(f"INSERT INTO bad SELECT {x}")) for x in COSTLY]
    busy()
    take(link, calls)


def asks_for_huge_answers(link, busy):
    calls = [link.post("read", db="big.db", agent="bad", sql="SELECT k FROM t", freshness="fresh", max_bytes=256 * MIB)
             for _ in range(3)]
    busy()
    take(link, calls)


def never_reads_its_answers(link, busy):
    one = request(1, "read", db="big.db", agent="bad", sql="SELECT k FROM t LIMIT 500")
    link.socket.settimeout(0.5)
    try:
        for _ in range(3_000):
            link.send_bytes(one)
    except TimeoutError:
        pass
    busy()
    # Sends until the broker closes the connection.
    while link.socket.send(b"\n") and not time.sleep(0.1):
        pass


def sends_large_requests(link, busy):
    calls = [link.post("write", db="app.db", agent="bad", statements=statement("INSERT INTO bad VALUES (length(?))", "x" * size))
             for size in (4 * MIB, 12 * MIB)]
    busy()
    take(link, calls)
    link.send_bytes(b"[" * (20 * MIB))
    link.at_end()


def sends_half_a_request(link, busy):
    others = [link.again() for _ in range(40)]
    for x in [link, *others]:
        x.send_bytes(b'{"jsonrpc": "2.0", "id": 1, "method": "write", "params": {"db": "app.db", "statements": [')
    busy()
    link.at_end()


def leaves_with_requests_under_way(link, busy):
    for i in range(10):
        link.post("write", db="app.db", agent="bad", deadline_ms=DAY_MS,
                  statements=statement(NUMBERS.format(50_000) + "INSERT INTO bad SELECT count(*) FROM n"))
        link.post("read", db="app.db", agent="bad", timeout_ms=DAY_MS, sql=f"{ENDLESS}SELECT {i}, count(*) FROM n")
    busy()


def asks_for_names_that_do_not_exist(link, busy):
    for first in range(0, NAMES, 100):
        calls = [link.post("read", db=f"no{first + i}.db", agent="bad", sql="SELECT 1") for i in range(50)]
        calls += [link.post("write", db=f"nowhere/no{first + i}.db", agent="bad", statements=statement("CREATE TABLE t (a)"))
                  for i in range(50, 100)]
        take(link, calls)
    busy()


def makes_up_agents(link, busy):
    calls = [link.post("write", db="app.db", agent=f"made-up-{i}", statements=statement("INSERT INTO bad VALUES (1)"))
             for i in range(900)]
    busy()
    take(link, calls)


def reads_without_a_pause(link, busy):
    """Keeps reads under way all the time, which pin the WAL, beside steady writes of its own."""
    sql = NUMBERS.format(200_000) + "SELECT count(*) + (SELECT count(*) FROM bad) FROM n"

    def read():
        return link.post("read", db="app.db", agent="bad", sql=sql, freshness="fresh")

    def write():
        return link.post("write", db="app.db", agent="bad", statements=statement("UPDATE filler SET b = randomblob(3000)"))

    again = {read(): read for _ in range(4)} | {write(): write for _ in range(2)}
    busy()
    while True:
        answered = link.pump()["id"]
        ask = again.pop(answered)
        again[ask()] = ask


MISBEHAVIOURS = [
    floods_writes, floods_reads, queues_slow_writes, writes_for_long, reads_for_long, calls_costly_functions,
    asks_for_huge_answers, never_reads_its_answers, sends_large_requests, sends_half_a_request,
    leaves_with_requests_under_way, asks_for_names_that_do_not_exist, makes_up_agents, reads_without_a_pause,
]


class Misbehaving:
    """The misbehaving process. It is a process of its own because the broker has bounds per process."""

    def __init__(self, fixture, how):
        started, report = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(started)
            self.go_on(fixture, how, report)
        os.close(report)
        is_equal(os.read(started, 1), b"x", f"the process that {how.__name__} has begun")
        os.close(started)

    @staticmethod
    def go_on(fixture, how, report):
        try:
            while True:
                try:
                    with fixture.connect() as link:
                        link.again = fixture.connect
                        how(link, lambda: os.write(report, b"x"))
                except OSError:
                    # The broker may close a connection that exceeds a bound.
                    pass
        finally:
            os._exit(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        kill_if_there(self.pid)
        os.waitpid(self.pid, 0)


class Agent:
    """A well-behaved agent with one request under way at a time: a write, then a read that must see it."""

    def __init__(self, fixture, number):
        self.name = f"good-{number}"
        self.link = fixture.connect()
        self.link.socket.setblocking(False)
        self.mine = 0
        self.left = 0
        self.sent = 0.0
        self.writes = False
        self.known = self.own_seq = 0

    def fileno(self):
        return self.link.socket.fileno()

    def send(self, crowd):
        self.writes = not self.writes
        self.known = crowd.newest
        self.sent = time.monotonic()
        if self.writes:
            self.link.post("write", db="app.db", agent=self.name, deadline_ms=DEADLINE_MS,
                           statements=statement("INSERT INTO good VALUES (?)", self.name))
        else:
            self.link.post("read", db="app.db", agent=self.name, timeout_ms=DEADLINE_MS,
                           sql=f"SELECT count(*) FROM good WHERE name = '{self.name}'")

    def receive(self, crowd):
        """Whether the answer has arrived; fails if the answer is wrong or late."""
        more = self.link.socket.recv(1 << 16)
        is_true(more, f"{self.name} has lost its connection")
        self.link.bytes += more
        if b"\n" not in self.link.bytes:
            return False
        line, self.link.bytes = self.link.bytes.split(b"\n", 1)
        answer = json.loads(line)
        waited = time.monotonic() - self.sent
        is_true("result" in answer, f"{self.name} after {waited:.3f} s: {answer}")
        is_true(waited <= DEADLINE_MS / 1000 + GRACE_S + MEASURING_S, f"{self.name} waited for {waited:.3f} s: {answer}")
        crowd.worst = max(crowd.worst, waited)
        if self.writes:
            seq = answer["result"]["commit_seq"]
            crowd.most_between = max(crowd.most_between, seq - self.known)
            crowd.newest = max(crowd.newest, seq)
            self.mine += 1
            self.own_seq = seq
        else:
            is_equal(answer["result"]["rows"], [[self.mine]], f"{self.name} has written more, up to commit {self.own_seq}: {answer}")
        return True


class Crowd:
    """The well-behaved agents."""

    def __init__(self, fixture):
        self.agents = [Agent(fixture, i) for i in range(AGENTS)]
        self.newest = 0
        self.worst = 0.0
        self.most_between = 0

    def work(self, rounds):
        """Runs so many writes and reads of each agent."""
        self.worst = 0.0
        self.most_between = 0
        with selectors.DefaultSelector() as waiting:
            for x in self.agents:
                x.left = 2 * rounds
                waiting.register(x, selectors.EVENT_READ)
                x.send(self)
            busy = len(self.agents)
            while busy:
                ready = waiting.select(PATIENCE)
                is_true(ready, f"{busy} agents wait for more than {PATIENCE} s")
                for key, _ in ready:
                    x = key.fileobj
                    if not x.receive(self):
                        continue
                    x.left -= 1
                    if x.left:
                        x.send(self)
                    else:
                        busy -= 1


class Bounds:
    """The resources of the broker: their bounds, and the highest values."""

    def __init__(self, fixture, pid):
        self.fixture, self.pid = fixture, pid
        self.threads = self.descriptors = self.resident = self.wal = 0
        self.look()
        self.first_threads, self.first_descriptors = self.threads, self.descriptors

    def look(self):
        with open(f"/proc/{self.pid}/status") as x:
            threads = int(next(line for line in x if line.startswith("Threads:")).split()[1])
        try:
            wal = os.stat(self.fixture.path("app.db-wal")).st_size
        except FileNotFoundError:
            wal = 0
        now = threads, len(os.listdir(f"/proc/{self.pid}/fd")), resident_bytes(self.pid), wal
        self.threads, self.descriptors, self.resident, self.wal = map(
            max, now, (self.threads, self.descriptors, self.resident, self.wal))

    def check(self):
        self.look()
        most = self.first_threads + THREADS + OTHER_THREADS
        is_true(self.threads <= most, f"{self.threads} threads; at most {most} are due")
        most = self.first_descriptors + CONNECTIONS + AGENTS + DESCRIPTORS
        is_true(self.descriptors <= most, f"{self.descriptors} descriptors; at most {most} are due")
        if not is_sanitized(self.fixture):
            is_true(self.resident <= RESIDENT, f"{self.resident // MIB} MiB of memory")
        if WAL_IS_BOUNDED:
            is_true(self.wal <= WAL_BYTES, f"the log has {self.wal} bytes")

    def __str__(self):
        return (f"{self.threads} threads ({self.first_threads} at first), {self.descriptors} descriptors, {self.resident // MIB} MiB, "
                f"log {self.wal / MIB:.1f} MiB")


def fill(fixture, client):
    """Creates the databases; all that are not in use are closed when this returns."""
    client.write("app.db", "CREATE TABLE good (name TEXT)")
    client.write("app.db", "CREATE INDEX by_name ON good(name)")
    client.write("app.db", "CREATE TABLE bad (a)")
    client.write("app.db", "CREATE TABLE filler (b BLOB)")
    client.write("app.db", NUMBERS.format(20) + "INSERT INTO filler SELECT randomblob(3000) FROM n")
    client.write("big.db", "CREATE TABLE t (k TEXT)")
    client.write("big.db", NUMBERS.format(20_000) + "INSERT INTO t SELECT printf('%01000d', x) FROM n", deadline_ms=DAY_MS)
    for i in range(DATABASES):
        client.write(f"d{i}.db", "CREATE TABLE t (a INTEGER)")
    wait_until(lambda: not [x for x in fixture.leader_files() if x.startswith("d")], "the databases are closed")


def test_a_misbehaving_process_delays_no_other_beyond_its_deadline_and_no_resource_grows_without_bound(fixture):
    server, client = serve(fixture, env={
        "SLUICE_BLOCKING_THREADS": str(THREADS), "SLUICE_CHECKPOINT_WAL_BYTES": str(CHECKPOINT),
        "SLUICE_CLOSE_IDLE_AFTER_MS": "1500", "SLUICE_IDLE_AFTER_MS": "200"})
    bounds = Bounds(fixture, server.pid)
    fill(fixture, client)
    idle = [fixture.connect() for _ in range(CONNECTIONS)]
    is_equal({x.call("ping")["pid"] for x in idle}, {server.pid})
    crowd = Crowd(fixture)
    crowd.work(ROUNDS)
    worst = {"nothing": crowd.worst}
    for how in MISBEHAVIOURS:
        with Misbehaving(fixture, how):
            last = crowd.newest + PINNED_COMMITS if how is reads_without_a_pause else 0
            for rounds in itertools.count(1):
                crowd.work(1)
                bounds.look()
                if how is queues_slow_writes:
                    # Each other agent may have one commit before it, and the agent with the queue as many.
                    is_true(crowd.most_between <= 2 * AGENTS + 4, f"{crowd.most_between} commits before its turn")
                worst[how.__name__] = max(worst.get(how.__name__, 0.0), crowd.worst)
                if rounds >= ROUNDS and crowd.newest >= last:
                    break
        try:
            bounds.check()
        except AssertionError as x:
            raise AssertionError(f"{x}, when a process {how.__name__}") from None
    # All connections from before are still open.
    is_equal({x.call("ping")["pid"] for x in idle}, {server.pid})
    still_serves(fixture, server, client)
    if FULL:
        print(bounds)
        print("worst wait: " + ", ".join(f"{name} {time_:.3f} s" for name, time_ in worst.items()))
    stops_in_time(fixture, server)


def stops_in_time(fixture, server):
    with Misbehaving(fixture, queues_slow_writes), Misbehaving(fixture, reads_for_long):
        begin = time.monotonic()
        fixture.run("stop").good()
        server.end().good()
        took = time.monotonic() - begin
    if FULL:
        print(f"stopped in {took:.3f} s")
    is_true(took < STOP_S * (4 if is_sanitized(fixture) else 1), f"it took {took:.3f} s to stop")


if __name__ == "__main__":
    run_tests()
