"""examples/llm_cache: a cache that several processes share, by operations and the functions that are generated for them."""

import json
import os
import shutil
import signal
import subprocess
import sys

from harness import is_equal, is_true, read_file, run_tests, wait_until
from link import PATIENCE

EXAMPLES = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "examples"))
EXAMPLE = os.path.join(EXAMPLES, "llm_cache")
sys.path[:0] = [EXAMPLES, EXAMPLE]
import cache_operations  # noqa: E402
from llm_cache import LlmCache, hash_of  # noqa: E402
from sluice_client import SluiceError, Store, Truncated  # noqa: E402

PROCESSES = 4
URLS = 60
SHARED = "https://example.org/shared"
# More than connections and readers that are opened on demand, far fewer than one for every tenth read.
FEW = 8

# Waits for the others, then writes its own URLs and the one that all write.
WRITER = """
import sys, time, os
sys.path[:0] = sys.argv[1:3]
from llm_cache import LlmCache
from sluice_client import Store
root, worker, count, shared = sys.argv[3:]
with Store(root, patience=float(os.environ["PATIENCE"])) as store:
    cache = LlmCache(store)
    print("ready", flush=True)
    sys.stdin.readline()
    for i in range(int(count)):
        cache.put(f"https://example.org/{worker}/{i}", {"worker": int(worker), "i": i, "text": "x" * 2000})
        cache.put(shared, {"worker": int(worker), "i": i, "text": worker * 2000})
"""


def open_cache(fixture, **more):
    """Copies the operations into the store, as README.md says, and opens the cache."""
    folder = fixture.path("operations")
    if not os.path.exists(folder):
        shutil.copytree(os.path.join(EXAMPLE, "operations"), folder)
    os.environ.update(fixture.env)
    store = Store(fixture.store, program=fixture.program, patience=PATIENCE)
    return store, LlmCache(store, **more)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_four_processes_write_at_once_and_nothing_is_lost(fixture):
    store, cache = open_cache(fixture)
    env = {**fixture.env, "PATIENCE": str(PATIENCE)}
    writers = [subprocess.Popen([sys.executable, "-B", "-c", WRITER, EXAMPLES, EXAMPLE, fixture.store, str(worker), str(URLS),
                                 SHARED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=env) for worker in range(PROCESSES)]
    for x in writers:
        is_equal(x.stdout.readline(), "ready\n", "the writer is ready")
    for x in writers:
        x.stdin.write("go\n")
        x.stdin.flush()
    for x in writers:
        out, err = x.communicate(timeout=PATIENCE)
        is_equal((x.returncode, out, err), (0, "", ""))
    for worker in range(PROCESSES):
        for i in range(URLS):
            is_equal(cache.get(f"https://example.org/{worker}/{i}"), {"worker": worker, "i": i, "text": "x" * 2000})
    last = cache.get(SHARED)
    is_equal((last["i"], last["text"]), (URLS - 1, str(last["worker"]) * 2000), "one of the last analyses, as a whole")
    is_equal(fixture.sql("llm_cache.db", "SELECT count(*) FROM analyses")[0][0], PROCESSES * URLS + 1)
    status = store.call("status")
    is_equal((status["retry"]["lock_errors"], status["retry"]["failures"]), (0, 0), "no request met a lock")
    refused = [x for x in fixture.audit() if x["status"] not in ("committed", "ok", "cached", "replayed")]
    is_equal(refused, [], "no request failed")
    store.close()


def test_a_thousand_reads_take_no_descriptors(fixture):
    store, cache = open_cache(fixture)
    urls = [f"https://example.org/{i}" for i in range(1000)]
    for url in urls:
        cache.put(url, {"url": url})
    seen = []
    for i, url in enumerate(urls):
        is_equal(cache.get(url), {"url": url})
        # Asked again, it comes from the memory of the broker.
        is_equal(cache.get(url), {"url": url})
        if i % 100 == 99:
            seen.append((descriptors(os.getpid()), descriptors(fixture.leader())))
    ours, brokers = zip(*seen)
    is_equal(len(set(ours)), 1, "descriptors of the client")
    is_true(max(brokers) - min(brokers) <= FEW, f"descriptors of the broker: {brokers}")
    links = [os.readlink(f"/proc/self/fd/{x}") for x in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{x}")]
    is_true(not any(x.endswith((".db", "-wal", "-shm")) for x in links), f"the client opens no database: {links}")
    store.close()


def test_of_two_processes_that_analyse_a_url_the_last_wins(fixture):
    first_store, first = open_cache(fixture)
    second_store, second = open_cache(fixture)
    asked = []

    def slow_model(url):
        asked.append("first")
        # Meanwhile the other process misses it as well, asks and stores.
        is_equal(second.get_or_analyse(url, lambda _: asked.append("second") or {"by": "second"}), {"by": "second"})
        return {"by": "first"}

    is_equal(first.get_or_analyse(SHARED, slow_model), {"by": "first"})
    is_equal(asked, ["first", "second"])
    for cache in (first, second):
        is_equal(cache.get_or_analyse(SHARED, lambda _: asked.append("again")), {"by": "first"})
    is_equal(len(asked), 2, "then both have it")
    first_store.close()
    second_store.close()


def test_old_analyses_are_not_given_and_are_purged(fixture):
    store, cache = open_cache(fixture, max_age=3600)
    for name in ("old", "new"):
        cache.put(name, name)
    aged = "UPDATE analyses SET cached_at = cached_at - 3700 WHERE url = 'old'"
    is_equal(fixture.run("exec", "llm_cache.db", aged).good().err, "")
    is_equal((cache.get("old"), cache.get("new")), (None, "new"))
    is_equal(cache.get_or_analyse("old", lambda _: "newer"), "newer")
    is_equal((cache.get("old"), cache.purge()), ("newer", 0))
    many = ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2500) INSERT INTO analyses "
            "SELECT x, 'u', 'null', 5 FROM n")
    fixture.run("exec", "llm_cache.db", many).good()
    is_equal((cache.purge(), cache.purge()), (2500, 0))
    is_equal(fixture.sql("llm_cache.db", "SELECT url FROM analyses ORDER BY url"), [("new",), ("old",)])
    store.close()


def test_large_analyses_are_kept_and_larger_ones_refused(fixture):
    store, cache = open_cache(fixture)
    large = {"text": "é" * 2_000_000, "n": [1.5, None, True]}
    # As json.dumps writes it, each of those letters has six bytes.
    analysis = json.dumps(large, ensure_ascii=False)
    store.operations().call("put_analysis", {"url_hash": hash_of("large"), "url": "large", "analysis_json": analysis})
    is_equal(cache.get("large"), large)
    for content, reason in (({"text": "x" * 4_194_304}, "analysis_json"), (None, "")):
        try:
            cache.put("https://example.org/" + "x" * (9000 if content is None else 1), content)
            raise AssertionError("it was accepted")
        except SluiceError as refused:
            is_equal(refused.code, "invalid_request")
            is_true(reason in str(refused), str(refused))
    try:
        store.operations().call("put_analysis", {"url_hash": hash_of("x"), "url": "x", "analysis_json": "{no"})
        raise AssertionError("it was accepted")
    except SluiceError as refused:
        is_equal(refused.code, "invalid_request")
    is_equal(fixture.sql("llm_cache.db", "SELECT url FROM analyses"), [("large",)])
    store.close()


def test_a_killed_broker_costs_no_analysis(fixture):
    store, cache = open_cache(fixture)
    for i in range(20):
        if i % 5 == 0:
            os.kill(fixture.leader(), signal.SIGKILL)
        cache.put(f"https://example.org/{i}", i)
    is_equal([cache.get(f"https://example.org/{i}") for i in range(20)], list(range(20)))
    store.close()


def test_an_answer_that_was_cut_is_no_answer(fixture):
    store, _ = open_cache(fixture)
    with open(fixture.path("operations", "numbers.sql"), "w") as x:
        x.write("-- db: llm_cache.db\n-- name: numbers :many\n-- param most integer\nWITH RECURSIVE n(x) AS (SELECT 1 UNION "
                "ALL SELECT x + 1 FROM n WHERE x < :most) SELECT x, zeroblob(2) AS b FROM n;\n")
    known = wait_until(lambda: "numbers" in [x["name"] for x in store.call("operations")["operations"]], "it is in force")
    is_true(known, "it is in force")
    answer = store.call_operation("numbers", {"most": 2}, agent="alice")
    is_equal((answer["rows"], answer["truncated"]), ([{"x": 1, "b": b"\0\0"}, {"x": 2, "b": b"\0\0"}], False))
    is_equal(store.call_operation("numbers", {"most": 20_000})["truncated"], True)
    try:
        store.operations().call("numbers", {"most": 20_000})
        raise AssertionError("a part of the rows was given")
    except Truncated as cut:
        is_equal(cut.code, "too_large")
    store.close()


def test_a_batch_and_a_key_go_through_the_client(fixture):
    store, _ = open_cache(fixture)
    with open(fixture.path("operations", "words.sql"), "w") as x:
        x.write("-- db: llm_cache.db\n-- name: make_words :exec\nCREATE TABLE words (w);\n-- name: add_words :batch\n"
                "-- param w any?\nINSERT INTO words VALUES (:w);\n")
    wait_until(lambda: "add_words" in [x["name"] for x in store.call("operations")["operations"]], "it is in force")
    client = store.operations(agent="alice")
    client.call("make_words", {})
    sets = [{"w": "a"}, {"w": b"\xff"}, {"w": None}]
    answers = [client.call("add_words", sets, "one-key") for _ in range(2)]
    is_equal([(x["changes"], x["replayed"]) for x in answers], [(3, False), (3, True)])
    is_equal(fixture.sql("llm_cache.db", "SELECT w FROM words"), [("a",), (b"\xff",), (None,)])
    agents = {x["agent"] for x in fixture.audit() if x["status"] == "committed" and x.get("idempotency_key") == "one-key"}
    is_equal(agents, {"alice"})
    store.close()


def test_the_generated_functions_are_those_of_the_operations(fixture):
    printed = fixture.run("ops", EXAMPLE, "--emit", "python").good().out
    is_equal(printed, read_file(os.path.join(EXAMPLE, "cache_operations.py")),
             "print it again: sluice ops examples/llm_cache --emit python")
    is_true(callable(cache_operations.put_analysis), "it is a module")


def test_the_lines_of_the_readme_work(fixture):
    text = read_file(os.path.join(EXAMPLE, "README.md"))
    script = text.split("```sh\n")[1].split("```")[0]
    copy = os.path.join(fixture.scratch, "examples")
    shutil.copytree(EXAMPLES, copy)
    env = {**fixture.env, "PATH": os.path.dirname(fixture.program) + ":" + os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    end = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=os.path.join(copy, "llm_cache"), env=env,
                         capture_output=True, text=True, timeout=PATIENCE)
    is_equal((end.returncode, end.stderr), (0, ""), end.stdout)
    is_equal(end.stdout.count("asking the model about"), 2)
    is_true("21 characters" in end.stdout.splitlines()[-1], end.stdout)


if __name__ == "__main__":
    run_tests()
