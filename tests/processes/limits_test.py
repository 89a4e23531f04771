"""Limits of the cost of a function, a value and an answer; exceeding one fails only that request."""

import resource

from harness import is_equal, is_true, run_tests, wait_until
from link import Refused
from rig import is_sanitized, resident_bytes, serve, still_serves

MIB = 1 << 20

# Nothing interrupts SQLite within a function. With SQLite's built-in functions each of these keeps a thread busy
# for minutes to years.
LONG_TEXT = "replace(hex(zeroblob(4000000)), '0', 'a')"
LONG_PART = "replace(hex(zeroblob(2000000)), '0', 'a') || 'b'"
NUMBERS = "(WITH RECURSIVE n(x) AS (SELECT 2000 UNION ALL SELECT x + 1 FROM n LIMIT {}) SELECT x FROM n)"
MEMBERS = "(SELECT '{' || group_concat('\"a' || x || '\":1') || '}' FROM " + NUMBERS.format(500_000) + ")"
COSTLY = [
    f"instr({LONG_TEXT}, {LONG_PART})",
    f"instr(CAST({LONG_TEXT} AS BLOB), CAST({LONG_PART} AS BLOB))",
    f"length(replace({LONG_TEXT}, {LONG_PART}, ''))",
    f"{LONG_TEXT} LIKE '%' || substr({LONG_TEXT}, 1, 40000) || 'b'",
    f"{LONG_TEXT} GLOB '*' || substr({LONG_TEXT}, 1, 40000) || 'b'",
    f"{LONG_TEXT} GLOB '*[' || substr({LONG_TEXT}, 1, 40000) || ']b'",
    f"{LONG_TEXT} LIKE replace(substr({LONG_TEXT}, 1, 16000), 'aa', '%a%') || 'b'",
    "length(printf('%.*c', 900000000, 'x'))",
    f"length(printf(replace({LONG_TEXT}, 'aaaaaaaa', '%.900000f')))",
    f"length(printf(replace({LONG_TEXT}, 'aaaaaaaa', '%.900000g')))",
    "length(printf('%*d', 2000000000, 1))",
    f"length(trim({LONG_TEXT}, (SELECT group_concat(char(x), '') FROM {NUMBERS.format(40_000)}) || 'a'))",
    f"length(json_patch({MEMBERS}, replace({MEMBERS}, '\"a', '\"b')))",
    "length(hex(randomblob(400000000)))",
    "length(zeroblob(900000000))",
    "(SELECT max(length(x)) FROM (WITH RECURSIVE n(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM n) SELECT x FROM n))",
    "(SELECT length(group_concat(hex(zeroblob(8000000)))) FROM (SELECT 1 UNION ALL SELECT 2))",
]

CODES = {None, "too_large", "deadline_exceeded", "sql_error"}


def peak_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024


def code_of(link, method, **params):
    try:
        link.call(method, **params)
    except Refused as refusal:
        return refusal.code
    return None


def count(link, table="t"):
    return link.read("app.db", f"SELECT count(*) FROM {table}", freshness="fresh")[0][0]


def test_a_costly_function_ends_soon_and_delays_no_other_request_for_long(fixture):
    server, client = serve(fixture)
    for costly in COSTLY:
        code = code_of(client, "read", db="app.db", sql=f"SELECT {costly}", timeout_ms=500)
        is_true(code in CODES, f"{code} of {costly}")
    still_serves(fixture, server, client)


def test_a_costly_function_in_a_write_leaves_nothing_when_it_is_refused(fixture):
    server, client = serve(fixture)
    for costly in COSTLY:
        before = count(client)
        code = code_of(
            client, "write", db="app.db", statements=[{"sql": f"INSERT INTO t SELECT {costly}"}], deadline_ms=500
        )
        is_true(code in CODES, f"{code} of {costly}")
        after = count(client)
        is_equal(after - before, 1 if code is None else 0)
    still_serves(fixture, server, client)


def test_one_request_writes_no_larger_value_than_the_setting_allows(fixture):
    server, client = serve(fixture, env={"SLUICE_MAX_VALUE_BYTES": str(MIB)})
    for text in ("zeroblob(900000000)", f"zeroblob({MIB})", "hex(randomblob(600000))"):
        refused = client.refusal("write", db="app.db", statements=[{"sql": f"INSERT INTO t VALUES ({text})"}])
        is_equal(refused.code, "too_large")
        is_true("max_value_bytes" in str(refused), refused)
    still_serves(fixture, server, client)


def make_large(fixture, client):
    """Creates a table whose rows take about 150 MB as JSON."""
    client.write("big.db", "CREATE TABLE t(k)")
    client.write(
        "big.db",
        "INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 150000) "
        "SELECT printf('%01000d', x) FROM n",
        deadline_ms=60_000,
    )


def test_an_answer_is_cut_at_max_answer_bytes(fixture):
    limit = 1 << 30
    bound = {} if is_sanitized(fixture) else {
        "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    }
    server, client = serve(fixture, **bound)
    make_large(fixture, client)
    everything = {"max_rows": 100_000_000, "max_bytes": 2 << 30, "timeout_ms": 60_000}
    with fixture.connect() as greedy:
        answer = greedy.call("read", db="big.db", sql="SELECT k FROM t", **everything)
    is_equal(answer["truncated"], True)
    is_true(len(answer["rows"]) > 50_000, f"{len(answer['rows'])} rows")
    still_serves(fixture, server, client)


def test_answers_beyond_the_memory_for_all_answers_are_refused_one_by_one(fixture):
    server, client = serve(
        fixture, env={"SLUICE_MAX_INFLIGHT_ANSWER_BYTES": str(8 * MIB), "SLUICE_CACHE": "false"}
    )
    make_large(fixture, client)
    refused = client.refusal("read", db="big.db", sql="SELECT k FROM t", max_rows=100_000_000, max_bytes=64 * MIB)
    is_equal(refused.code, "overloaded")
    is_true(refused.data["retry_after_ms"] > 0, refused)
    is_equal(len(client.read("big.db", "SELECT k FROM t", max_rows=1_000)), 1_000)
    still_serves(fixture, server, client)


def test_the_memory_of_a_large_answer_is_returned_to_the_system(fixture):
    if is_sanitized(fixture):
        return
    server, client = serve(fixture, env={"SLUICE_CACHE": "false"})
    make_large(fixture, client)
    before = resident_bytes(server.pid)
    for _ in range(2):
        client.read("big.db", "SELECT k FROM t", max_rows=100_000_000, max_bytes=64 * MIB, timeout_ms=60_000)
    wait_until(lambda: resident_bytes(server.pid) < before + 16 * MIB, "the memory of two large answers is given back")


def test_a_query_that_expands_without_end_is_refused_for_lack_of_memory(fixture):
    server, client = serve(fixture, env={"SLUICE_MAX_SQLITE_BYTES": str(64 * MIB)})
    # Each name expands to two copies of the one before, when SQLite prepares the query.
    copies = "".join(f", c{i + 1}(x) AS (SELECT count(*) FROM c{i} a, c{i} b)" for i in range(30))
    sql = f"WITH c0(x) AS (SELECT 1){copies} SELECT x FROM c30"
    is_equal(client.refusal("read", db="app.db", sql=sql).code, "unavailable")
    is_equal(client.refusal("write", db="app.db", statements=[{"sql": f"INSERT INTO t {sql}"}]).code, "unavailable")
    still_serves(fixture, server, client)


def test_a_query_that_takes_long_to_be_prepared_ends_at_its_time_out(fixture):
    server, client = serve(fixture)
    # Without the time-out the expansion takes all of max_sqlite_bytes, a GiB.
    copies = "".join(f", c{i + 1}(x) AS (SELECT count(*) FROM c{i} a, c{i} b)" for i in range(30))
    sql = f"WITH c0(x) AS (SELECT 1){copies} SELECT x FROM c30"
    is_equal(client.refusal("read", db="app.db", sql=sql, timeout_ms=100).code, "deadline_exceeded")
    refusal = client.refusal("write", db="app.db", statements=[{"sql": f"INSERT INTO t {sql}"}], deadline_ms=100)
    is_equal(refusal.code, "deadline_exceeded")
    still_serves(fixture, server, client)
    if not is_sanitized(fixture):
        is_true(peak_bytes(server.pid) < 600 * MIB, f"{peak_bytes(server.pid)} bytes were taken")


def test_large_statements_of_one_agent_leave_memory_for_others(fixture):
    server, client = serve(fixture, env={"SLUICE_MAX_SQLITE_BYTES": str(96 * MIB)})
    padding = "x" * (2 * MIB)
    for i in range(60):
        client.read("app.db", f"SELECT {i} /* {padding} */", freshness="fresh")
        client.write("app.db", f"INSERT INTO t VALUES ({i}) /* {padding} */")
    is_equal(count(client), 60)
    # Smaller statements are cached, within a bound.
    padding = "x" * (300 << 10)
    for i in range(200):
        client.read("app.db", f"SELECT {i} /* {padding} */", freshness="fresh")
    refusal = client.refusal("cursor.open", db="app.db", sql=f"SELECT 1 /* {'x' * MIB} */")
    is_equal(refusal.code, "too_large")
    still_serves(fixture, server, client)


def test_database_pages_of_all_connections_together_are_bounded(fixture):
    if is_sanitized(fixture):
        return
    server, client = serve(fixture, env={"SLUICE_PAGE_MEMORY_BYTES": str(8 * MIB), "SLUICE_CACHE": "false"})
    make_large(fixture, client)
    before = resident_bytes(server.pid)
    is_equal(client.read("big.db", "SELECT sum(length(k)) FROM t", timeout_ms=60_000), [[150_000_000]])
    grown = resident_bytes(server.pid) - before
    is_true(grown < 32 * MIB, f"it grew by {grown // MIB} MiB")


def runs_out_of(fixture, memory):
    """Asks a broker with this much memory for an answer of 150 MB."""
    server, client = serve(
        fixture,
        env={"SLUICE_MAX_ANSWER_BYTES": str(1 << 30), "SLUICE_MAX_INFLIGHT_ANSWER_BYTES": str(2 << 30)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (memory, memory)),
    )
    make_large(fixture, client)
    for again in range(3):
        try:
            with fixture.connect() as greedy:
                greedy.read(
                    "big.db",
                    f"SELECT k || '' FROM t, (SELECT 1 UNION SELECT {again})",
                    max_rows=100_000_000,
                    max_bytes=2 << 30,
                    timeout_ms=60_000,
                )
        except Refused as refusal:
            is_equal(refusal.code, "unavailable")
        except ConnectionError:
            # The broker had no memory for the text of the answer beside the bytes to be sent.
            pass
        still_serves(fixture, server, client)


def test_a_reader_without_memory_fails_only_its_request(fixture):
    if not is_sanitized(fixture):
        runs_out_of(fixture, 400 * MIB)


def test_without_memory_for_the_text_of_an_answer_only_its_request_fails(fixture):
    if not is_sanitized(fixture):
        runs_out_of(fixture, 680 * MIB)


def test_without_memory_to_send_an_answer_only_its_connection_ends(fixture):
    if not is_sanitized(fixture):
        runs_out_of(fixture, 840 * MIB)


if __name__ == "__main__":
    run_tests()
