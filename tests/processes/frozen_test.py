"""A broker that runs and does not answer (SIGSTOP, a frozen container) is named, and no client waits for it for long."""

import os
import signal
import sys
import warnings

from harness import is_equal, is_true, run_tests, wait_until
from link import PATIENCE
from rig import serve, still_serves

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples"))
from sluice_client import NoAnswer, Store  # noqa: E402


def freeze(fixture, **more):
    server, client = serve(fixture, **more)
    server.signal(signal.SIGSTOP)
    return server, client


def test_commands_that_inspect_a_frozen_broker_name_it_and_end(fixture):
    server, client = freeze(fixture)
    commands = [fixture.start(*words) for words in (
        ["status"], ["status", "--json"], ["doctor"], ["stop"], ["logs"], ["audit", ".", "list"], ["flush"],
        ["buffer", ".", "list"], ["top", "--count", "1"], ["doctor", "--json"])]
    for x in commands:
        end = x.end(PATIENCE)
        is_equal(end.status, 1, str(end))
        is_true(f"process {server.pid}" in end.out + end.err, str(end))
        is_true("stopped" in end.out + end.err, str(end))
        is_true("and answers" not in end.out and "no broker is running" not in end.out, str(end))
    # No command waited until the broker continued.
    server.signal(signal.SIGCONT)
    still_serves(fixture, server, client)


def test_a_broker_with_its_socket_elsewhere_is_named_too(fixture):
    # The socket of a store on a long path is in the user's folder.
    fixture.store = os.path.join(fixture.store, "a" * 100)
    os.mkdir(fixture.store)
    runtime = os.path.join(fixture.scratch, "run")
    os.mkdir(runtime, 0o700)
    fixture.env["XDG_RUNTIME_DIR"] = runtime
    server, client = freeze(fixture)
    is_true(not os.path.exists(fixture.path(".sluice", "broker.sock")), "the socket is elsewhere")
    for words in (["status"], ["doctor"], ["stop"]):
        end = fixture.run(*words)
        is_equal(end.status, 1, str(end))
        is_true(f"process {server.pid}" in end.out + end.err, str(end))
    server.signal(signal.SIGCONT)
    still_serves(fixture, server, client)


def test_a_request_to_a_frozen_broker_warns_and_waits_until_its_deadline(fixture):
    server, _ = freeze(fixture)
    for words, outcome in ((["exec", "app.db", "INSERT INTO t VALUES (1)", "--deadline", "8000"], "unknown"),
                           (["query", "app.db", "SELECT 1"], "not_committed")):
        end = fixture.run(*words, "--json", env={"SLUICE_READ_TIMEOUT_MS": "8000"})
        is_equal(end.status, 1, str(end))
        is_equal((end.json()["error"]["code"], end.json()["error"]["outcome"]), ("deadline_exceeded", outcome))
        # The message appears as soon as the silence is noticed, and again as the reason of the failure.
        is_true(end.err.count(f"process {server.pid}") == 2, str(end))
        # The text alone tells what to do.
        is_equal("look before you repeat it" in end.err, outcome == "unknown", str(end))
    end = fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", "--deadline", "3000", "--key", "k")
    is_true("repeat it under the same --key" in end.err, str(end))


def test_a_request_continues_when_the_broker_continues(fixture):
    server, _ = freeze(fixture)
    command = fixture.start("exec", "app.db", "INSERT INTO t VALUES (1)")
    is_true("does not answer" in command.popen.stderr.readline(), "it warns")
    server.signal(signal.SIGCONT)
    command.end().good()


def test_a_frozen_broker_at_the_endpoint_is_not_ignored(fixture):
    server, _ = freeze(fixture)
    end = fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)", "--endpoint", fixture.info()["socket"])
    end.failed_with("unavailable")
    is_true(f"process {server.pid}" in end.err, str(end))


def test_the_python_client_warns_and_ends_at_its_time_out(fixture):
    server, _ = serve(fixture)
    with Store(fixture.store, fixture.program, patience=4) as store:
        is_equal(store.read("app.db", "SELECT 1")["rows"], [[1]])
        server.signal(signal.SIGSTOP)
        for _ in range(2):
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                try:
                    store.write("app.db", "INSERT INTO t VALUES (1)", key="once")
                    raise AssertionError("answered")
                except NoAnswer as late:
                    is_equal((late.code, late.data["outcome"]), ("deadline_exceeded", "unknown"))
            is_true(any("does not answer" in str(x.message) for x in heard), "it is reported")
        server.signal(signal.SIGCONT)
        # The client ignores answers to earlier requests, and the key keeps the write from being applied twice.
        store.write("app.db", "INSERT INTO t VALUES (1)", key="once")
        is_equal(store.read("app.db", "SELECT count(*) FROM t", freshness="fresh")["rows"], [[1]])


def test_threads_may_share_a_python_client(fixture):
    import threading

    serve(fixture)
    wrong = []
    with Store(fixture.store, fixture.program, patience=PATIENCE) as store:
        def work(me):
            for n in range(100):
                got = store.read("app.db", "SELECT ?", [f"{me}-{n}"])["rows"]
                if got != [[f"{me}-{n}"]]:
                    wrong.append(got)

        threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
        [x.start() for x in threads]
        [x.join() for x in threads]
    is_equal(wrong, [])


def test_the_python_client_refuses_unsolicited_answers(fixture):
    import json
    import socket
    import threading

    path = fixture.path(".sluice")
    os.makedirs(path, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(path, "broker.sock"))
    listener.listen()
    store = Store(fixture.store, fixture.program, patience=PATIENCE)
    with open(os.path.join(path, "broker.json"), "w") as x:
        json.dump({"socket": os.path.join(path, "broker.sock"), "root": store.identity, "pid": os.getpid()}, x)

    def answer():
        for n in range(2):
            link = listener.accept()[0].makefile("rwb")
            hello = json.loads(link.readline())
            say = lambda which, result: (link.write(json.dumps({"id": which, "result": result}).encode() + b"\n"),
                                         link.flush())
            say(hello["id"], {"root": store.identity})
            asked = json.loads(link.readline())
            # The first connection gets an answer to another request, the next one the right answer.
            say(asked["id"] + (7 if n == 0 else 0), {"pong": n})

    helper = threading.Thread(target=answer)
    helper.start()
    is_equal(store.call("ping"), {"pong": 1})
    helper.join()
    store.close()


if __name__ == "__main__":
    run_tests()
