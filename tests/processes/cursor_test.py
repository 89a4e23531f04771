"""Cursors: answers of any size page by page, on one snapshot, in bounded memory, and every way in which they end."""

import json
import os
import shutil
import signal

from harness import is_equal, is_true, run_tests, wait_until
from link import Refused
from rig import is_sanitized, await_no_process, resident_bytes, serve, still_serves

MIB = 1 << 20
# Time-outs so long that only the test ends a cursor.
PATIENT = {"SLUICE_CURSOR_IDLE_MS": "86400000", "SLUICE_CURSOR_LIFETIME_MS": "86400000"}
MANY = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {})"


def make_rows(link, rows, bytes_each=10):
    link.write("app.db", "CREATE TABLE rows (i INTEGER PRIMARY KEY, body TEXT)")
    link.write("app.db", MANY.format(rows) + f" INSERT INTO rows SELECT x, hex(zeroblob({bytes_each // 2})) FROM n",
               deadline_ms=100_000)


def open_rows(link, **more):
    return link.call("cursor.open", db="app.db", sql="SELECT i FROM rows ORDER BY i", **{"max_rows": 10, **more})


def opens(link, **more):
    try:
        return open_rows(link, **more)
    except Refused as refusal:
        is_equal(refusal.code, "overloaded")
        return None


def cursors_in(link):
    return [x for x in link.call("status")["running"] if x["operation"] == "cursor"]


def descriptors(pid, name):
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return sum(x.endswith(name) for x in found)




def test_an_answer_of_any_size_takes_bounded_memory(fixture):
    server, client = serve(fixture)
    make_rows(client, 1)
    # The query generates 300 rows of 1 MiB each; the file has none of them.
    sql = MANY.format(300) + " SELECT x, hex(zeroblob(524288)) FROM n"
    client.read("app.db", "SELECT 1")
    before = resident_bytes(server.pid)
    command = fixture.start("query", "app.db", sql, "--all", "--csv")
    peaks = {server.pid: 0, command.pid: 0}
    taken = 0
    while chunk := command.popen.stdout.read(MIB):
        taken += len(chunk)
        for pid in peaks:
            try:
                peaks[pid] = max(peaks[pid], resident_bytes(pid))
            except FileNotFoundError:
                pass
    is_equal(command.popen.wait(), 0, command.popen.stderr.read())
    is_true(taken > 300 * MIB, f"{taken} bytes came")
    bound = (600 if is_sanitized(fixture) else 100) * MIB
    is_true(peaks[server.pid] - before < bound, f"the broker grew from {before} to {peaks[server.pid]} bytes")
    is_true(peaks[command.pid] < bound, f"the command took {peaks[command.pid]} bytes")
    still_serves(fixture, server, client)


def test_all_pages_of_a_cursor_show_one_snapshot_while_others_write(fixture):
    server, client = serve(fixture)
    make_rows(client, 95)
    with fixture.connect() as link:
        page = open_rows(link)
        is_equal((page["columns"], page["rows"][0], page["done"]), (["i"], [1], False))
        seen = [x[0] for x in page["rows"]]
        while not page["done"]:
            client.write("app.db", "DELETE FROM rows WHERE i > 20")
            client.write("app.db", "INSERT INTO rows (body) VALUES ('new')")
            page = link.call("cursor.next", cursor=page["cursor"])
            is_true(len(page["rows"]) <= 10, "a page of at most 10 rows")
            seen += [x[0] for x in page["rows"]]
        is_equal(seen, list(range(1, 96)))
        refusal = link.refusal("cursor.next", cursor=page["cursor"])
        is_equal(refusal.code, "invalid_request")
    still_serves(fixture, server, client)


def test_a_cursor_is_in_the_status_until_it_is_closed(fixture):
    server, client = serve(fixture)
    make_rows(client, 100)
    page = open_rows(client, agent="reader", request_id="r1")
    shown = cursors_in(client)
    is_equal([(x["agent"], x["db"], x["rows"], x["state"], x["request_id"]) for x in shown],
             [("reader", "app.db", 10, "open", "r1")])
    is_equal(client.call("cursor.close", cursor=page["cursor"])["closed"], True)
    is_equal(client.call("cursor.close", cursor=page["cursor"])["closed"], False)
    is_equal(cursors_in(client), [])
    wait_until(lambda: any(x["request_type"] == "cursor.open" and x["status"] == "ok" and x["agent"] == "reader"
                           for x in client.call("audit.list")["records"]), "it is in the audit")
    still_serves(fixture, server, client)


def test_cursors_belong_to_their_connection_and_end_with_it(fixture):
    server, client = serve(fixture, env=PATIENT)
    make_rows(client, 100)
    link = fixture.connect()
    page = open_rows(link)
    is_equal(client.refusal("cursor.next", cursor=page["cursor"]).code, "invalid_request")
    is_equal(len(cursors_in(client)), 1)
    link.close()
    wait_until(lambda: not cursors_in(client), "it ends with its connection")
    still_serves(fixture, server, client)


def test_a_killed_client_frees_its_connection(fixture):
    server, client = serve(fixture, env=PATIENT)
    make_rows(client, 200_000, 100)
    without = descriptors(server.pid, "/app.db-wal")
    command = fixture.start("query", "app.db", "SELECT * FROM rows", "--all", "--csv")
    # Nothing reads its output, so it stops when the pipe is full.
    wait_until(lambda: cursors_in(client), "its cursor is open")
    is_true(descriptors(server.pid, "/app.db-wal") > without, "the cursor has a connection of its own")
    os.kill(command.pid, signal.SIGKILL)
    wait_until(lambda: not cursors_in(client), "the cursor ends")
    wait_until(lambda: descriptors(server.pid, "/app.db-wal") <= without, "its connection is closed")
    still_serves(fixture, server, client)


def test_output_that_is_not_read_for_a_while_is_still_complete(fixture):
    """The output is not read for longer than cursor_idle_ms, as in a pager."""
    server, client = serve(fixture, env={"SLUICE_CURSOR_IDLE_MS": "100", "SLUICE_CURSOR_LIFETIME_MS": "86400000"})
    make_rows(client, 200_000, 100)
    command = fixture.start("query", "app.db", "SELECT * FROM rows", "--all", "--json")
    wait_until(lambda: [x for x in cursors_in(client) if x["state"] == "open" and x["since_ms"] > 1_000], "it is idle")
    out, err = command.popen.communicate()
    is_equal((command.popen.returncode, err), (0, ""))
    is_equal(len(json.loads(out)["rows"]), 200_000)
    page = open_rows(client, idle_ms=1)
    wait_until(lambda: not cursors_in(client), "a client may ask for a shorter time")
    is_true("idle_ms" in str(client.refusal("cursor.next", cursor=page["cursor"])), "the error names it")
    for wrong in (0, -1, "1", 86_400_001):
        is_equal(client.refusal("cursor.open", db="app.db", sql="SELECT 1", idle_ms=wrong).error["code"], -32602)
    is_equal(client.refusal("read", db="app.db", sql="SELECT 1", idle_ms=1).error["code"], -32602)
    still_serves(fixture, server, client)


def test_status_shows_open_cursors_and_the_memory_of_answers(fixture):
    server, client = serve(fixture, env={**PATIENT, "SLUICE_MAX_CURSORS": "7", "SLUICE_CACHE": "off"})
    make_rows(client, 100)
    is_equal(client.call("status")["cursors"], {"open": 0, "max": 7})
    pages = [open_rows(client) for _ in range(3)]
    status = client.call("status")
    is_equal(status["cursors"], {"open": 3, "max": 7})
    is_equal(status["answers"]["max_bytes"], 256 * MIB)
    is_true("of 7 cursors open" in fixture.run("status").good().out, "the command shows it as well")
    with fixture.connect() as link:
        link.post("read", db="app.db", sql=MANY.format(16) + " SELECT hex(zeroblob(1000000)) FROM n",
                  max_bytes=64 * MIB)
        wait_until(lambda: client.call("status")["answers"]["bytes"] > MIB, "an answer that no client reads is counted")
    wait_until(lambda: client.call("status")["answers"]["bytes"] < MIB, "its memory is released with its client")
    for page in pages:
        client.call("cursor.close", cursor=page["cursor"])
    is_equal(client.call("status")["cursors"]["open"], 0)
    still_serves(fixture, server, client)


def test_an_agent_with_endless_pages_leaves_a_thread_for_the_cursors_of_others(fixture):
    server, client = serve(fixture, env=PATIENT)
    greedy = fixture.connect()
    for number in range(8):
        greedy.post("cursor.open", db="app.db", sql=f"{MANY.format(1 << 60)} SELECT count(*) + {number} FROM n",
                    timeout_ms=86_400_000, agent="greedy")
    wait_until(lambda: len(cursors_in(client)) == 8, "all of them are open")
    other = fixture.run("query", "app.db", "SELECT 7", "--all", "--csv").good()
    is_equal(other.out.split(), ["7", "7"])
    still_serves(fixture, server, client)


def test_a_slow_client_loses_its_cursor_and_gets_the_reason(fixture):
    server, client = serve(fixture, env={"SLUICE_CURSOR_IDLE_MS": "300"})
    make_rows(client, 100)
    page = open_rows(client)
    wait_until(lambda: not cursors_in(client), "it has ended")
    refusal = client.refusal("cursor.next", cursor=page["cursor"])
    is_equal(refusal.code, "deadline_exceeded")
    is_true("cursor_idle_ms" in str(refusal), refusal)
    still_serves(fixture, server, client)


def test_a_client_that_reads_nothing_for_the_life_of_its_cursor_gets_the_reason(fixture):
    server, client = serve(fixture, env={"SLUICE_CURSOR_LIFETIME_MS": "2000"})
    make_rows(client, 200_000, 100)
    command = fixture.start("query", "app.db", "SELECT * FROM rows", "--all", "--json")
    wait_until(lambda: cursors_in(client), "its cursor is open")
    wait_until(lambda: not cursors_in(client), "it has ended")
    out, err = command.popen.communicate()
    is_equal(command.popen.returncode, 1)
    is_true("cursor_lifetime_ms" in err and "the output is incomplete and ends after" in err, err)
    try:
        json.loads(out)
        raise AssertionError("half an answer looks like a whole one")
    except json.JSONDecodeError:
        pass
    still_serves(fixture, server, client)


def test_a_cursor_ends_at_its_maximum_age(fixture):
    server, client = serve(fixture, env={"SLUICE_CURSOR_LIFETIME_MS": "300"})
    make_rows(client, 100)
    page = open_rows(client)
    wait_until(lambda: not cursors_in(client), "it has ended")
    refusal = client.refusal("cursor.next", cursor=page["cursor"])
    is_equal(refusal.code, "deadline_exceeded")
    is_true("cursor_lifetime_ms" in str(refusal), refusal)
    still_serves(fixture, server, client)


def test_the_cursors_of_one_agent_and_of_all_agents_are_bounded(fixture):
    server, client = serve(fixture, env={"SLUICE_MAX_CURSORS": "5", "SLUICE_MAX_AGENT_CURSORS": "3"})
    make_rows(client, 100)
    pages = [open_rows(client, agent="greedy") for _ in range(3)]
    refusal = client.refusal("cursor.open", db="app.db", sql="SELECT i FROM rows", max_rows=1, agent="greedy")
    is_equal(refusal.code, "overloaded")
    is_true("max_agent_cursors" in str(refusal) and refusal.data["retry_after_ms"] > 0, refusal)
    for agent in ("a", "b"):
        open_rows(client, agent=agent)
    refusal = client.refusal("cursor.open", db="app.db", sql="SELECT i FROM rows", max_rows=1, agent="c")
    is_equal(refusal.code, "overloaded")
    is_true("max_cursors" in str(refusal), refusal)
    client.call("cursor.close", cursor=pages[0]["cursor"])
    # Another thread closes the cursor's connection.
    wait_until(lambda: opens(client, agent="c"), "there is room again")
    still_serves(fixture, server, client)


def test_a_cursor_can_be_cancelled_by_the_id_of_its_request(fixture):
    server, client = serve(fixture, env=PATIENT)
    make_rows(client, 100)
    with fixture.connect() as link:
        page = open_rows(link, request_id="mine", agent="a")
        is_equal(client.call("cancel", request_id="mine", agent="a")["cancelled"], True)
        wait_until(lambda: not cursors_in(client), "it has ended")
        is_equal(link.refusal("cursor.next", cursor=page["cursor"]).code, "cancelled")
        endless = MANY.format(1 << 60) + " SELECT count(*) FROM n"
        opening = link.post("cursor.open", db="app.db", sql=endless, request_id="long", timeout_ms=80_000, agent="a")
        wait_until(lambda: cursors_in(client), "its first page is being computed")
        client.call("cancel", request_id="long", agent="a")
        try:
            link.answer(opening)
            raise AssertionError("it was answered")
        except Refused as refusal:
            is_equal(refusal.code, "cancelled")
    still_serves(fixture, server, client)


def test_a_page_has_a_time_out(fixture):
    server, client = serve(fixture)
    endless = MANY.format(1 << 60) + " SELECT count(*) FROM n"
    refusal = client.refusal("cursor.open", db="app.db", sql=endless, timeout_ms=200)
    is_equal(refusal.code, "deadline_exceeded")
    is_equal(cursors_in(client), [])
    still_serves(fixture, server, client)


def test_a_cursor_fails_after_its_file_was_replaced(fixture):
    server, client = serve(fixture)
    make_rows(client, 100)
    page = open_rows(client)
    shutil.copy(fixture.path("app.db"), fixture.path("other.db"))
    os.rename(fixture.path("other.db"), fixture.path("app.db"))
    refusal = client.refusal("cursor.next", cursor=page["cursor"])
    is_equal(refusal.code, "file_replaced")
    is_equal(cursors_in(client), [])


def test_a_stopping_broker_ends_its_cursors(fixture):
    server, client = serve(fixture, env=PATIENT)
    make_rows(client, 200_000, 100)
    command = fixture.start("query", "app.db", "SELECT * FROM rows", "--all", "--csv")
    wait_until(lambda: cursors_in(client), "its cursor is open")
    server.signal(signal.SIGTERM)
    is_equal(server.end().status, 0)
    out, err = command.popen.communicate()
    is_equal(command.popen.returncode, 1)
    is_true("the output is incomplete and ends after" in err, err)
    await_no_process(fixture)


def test_a_row_larger_than_a_page_is_a_page_of_its_own_and_beyond_max_answer_bytes_too_large(fixture):
    server, client = serve(fixture, env={"SLUICE_MAX_ANSWER_BYTES": str(4 * MIB)})
    client.write("app.db", "CREATE TABLE rows (i INTEGER)")
    page = client.call("cursor.open", db="app.db", sql="SELECT hex(zeroblob(1000000)) UNION ALL SELECT 'a'")
    is_equal([len(x[0]) for x in page["rows"]], [2_000_000])
    page = client.call("cursor.next", cursor=page["cursor"])
    is_equal((page["rows"], page["done"]), ([["a"]], True))
    refusal = client.refusal("cursor.open", db="app.db", sql="SELECT hex(zeroblob(3000000))")
    is_equal(refusal.code, "too_large")
    is_true("max_answer_bytes" in str(refusal), refusal)
    still_serves(fixture, server, client)


def test_pages_that_are_not_read_are_not_made(fixture):
    """The client asks for pages and reads none."""
    server, client = serve(fixture, env=PATIENT)
    make_rows(client, 20_000, 1_000)
    with fixture.connect() as link:
        pages = [link.call("cursor.open", db="app.db", sql="SELECT * FROM rows", agent=f"a{i // 8}") for i in range(16)]
        before = resident_bytes(server.pid)
        link.socket.setblocking(False)
        try:
            for i in range(900):
                link.post("cursor.next", cursor=pages[i % 16]["cursor"])
        except BlockingIOError:
            # The broker stops reading requests that it cannot answer.
            pass
        still_serves(fixture, server, client)
        bound = (300 if is_sanitized(fixture) else 80) * MIB
        is_true(resident_bytes(server.pid) - before < bound, "memory is bounded")
    wait_until(lambda: not cursors_in(client), "they end with their connection")
    still_serves(fixture, server, client)


def test_a_cursor_of_a_write_or_an_invalid_statement_is_refused(fixture):
    server, client = serve(fixture)
    for sql, code in (("INSERT INTO t VALUES (1)", "invalid_request"), ("SELECT * FROM nothing", "sql_error")):
        is_equal(client.refusal("cursor.open", db="app.db", sql=sql).code, code)
    is_equal(client.refusal("cursor.open", db="none.db", sql="SELECT 1").code, "unknown_database")
    is_equal(client.refusal("cursor.next", cursor=1).code, "invalid_request")
    is_equal(cursors_in(client), [])
    still_serves(fixture, server, client)


if __name__ == "__main__":
    run_tests()
