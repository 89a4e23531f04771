"""Every interface returns values and names byte for byte, or a typed error. Output on a terminal has control characters
escaped, and a cut answer has an exit status of its own."""

import base64
import csv
import io
import json
import os
import pty
import subprocess
import sys
import urllib.request

from harness import is_equal, is_true, run_tests, wait_until
from stdio_test import Pipe

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples"))
from sluice_client import Store

# Latin-1, CESU-8, an overlong NUL, a lone byte of C1, a mark of byte order turned round (valid), an embedded NUL (valid).
BYTES = [b"caf\xe9", b"caf\xe8", b"\xed\xa0\x80", b"\xc0\x80", b"\x9b31m", b"\xff" * 3000, "\ufffe\ufeff".encode(),
         b"a\0b", b"\xe9\0\xe8", b""]
LARGE = [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]


def as_json(x):
    try:
        return x.decode()
    except UnicodeDecodeError:
        return {"$text": base64.b64encode(x).decode()}


def sqlite(path, sql):
    """Runs SQL of another program, which may hold any bytes."""
    subprocess.run(["sqlite3", path], input=sql, check=True)


def literal(x):
    return b"CAST(x'" + x.hex().encode() + b"' AS TEXT)"


def text_table(fixture):
    """Creates a database as another program would, with a row for each of BYTES."""
    rows = b", ".join(b"(" + literal(x) + b")" for x in BYTES)
    sqlite(fixture.path("app.db"), b"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t (a) VALUES " + rows)


def stored(fixture, what="hex(a)", table="t"):
    return [x[0] for x in fixture.sql("app.db", f"SELECT {what} FROM {table} ORDER BY id")]


def run_bytes(fixture, *words, **more):
    """Runs the program with pipes; returns its status, and the bytes of stdout and stderr."""
    x = subprocess.run([fixture.program, *words], cwd=fixture.store, env=fixture.env, capture_output=True, **more)
    return x.returncode, x.stdout, x.stderr


def on_terminal(fixture, *words):
    """Runs the program with stdout and stderr on a terminal; returns its status and the output."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen([fixture.program, *words], cwd=fixture.store, env=fixture.env, stdin=subprocess.DEVNULL,
                               stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""
    while True:
        try:
            more = os.read(controller, 1 << 16)
        except OSError:
            more = b""
        if not more:
            break
        seen += more
    os.close(controller)
    # The terminal turns \n into \r\n.
    return process.wait(), seen.replace(b"\r\n", b"\n")


def post(fixture, path, **document):
    request = urllib.request.Request(f"http://{fixture.info()['http']}{path}", json.dumps(document).encode(), {
        "Content-Type": "application/json",
        "Authorization": "Bearer " + open(fixture.path(".sluice", "token")).read().strip()})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_text_that_is_not_utf8_is_read_found_and_written_back_as_it_was(fixture):
    text_table(fixture)
    before = stored(fixture)
    fixture.serve()
    with fixture.connect() as link:
        for how in ("cached", "cached", "fresh"):
            got = [x[0] for x in link.read("app.db", "SELECT a FROM t ORDER BY id", freshness=how)]
            is_equal(got, [as_json(x) for x in BYTES])
        for i, x in enumerate(got, 1):
            is_equal(link.read("app.db", "SELECT id FROM t WHERE a = ?", params=[x]), [[i]])
            is_equal(link.read("app.db", "SELECT id FROM t WHERE a = :a", params={"a": x}), [[i]])
            link.write("app.db", "UPDATE t SET a = ? WHERE id = ?", x, i)
    is_equal(stored(fixture), before)
    is_equal(set(stored(fixture, "typeof(a)")), {"text"})


def test_a_replay_returns_the_same_bytes(fixture):
    fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
        for i, x in enumerate(BYTES):
            ask = lambda: link.write("app.db", "INSERT INTO t (a) VALUES (?) RETURNING a, CAST(a AS BLOB)", as_json(x),
                                     idempotency_key=f"k{i}")
            first, again = ask(), ask()
            is_equal((first["replayed"], again["replayed"]), (False, True))
            is_equal(first["results"], again["results"])
            is_equal(first["results"][0]["rows"], [[as_json(x), {"$blob": base64.b64encode(x).decode()}]])
        other = link.refusal("write", db="app.db", idempotency_key="k0",
                             statements=[{"sql": "INSERT INTO t (a) VALUES (?) RETURNING a, CAST(a AS BLOB)",
                                          "params": [as_json(BYTES[1])]}])
        is_equal(other.code, "payload_mismatch")
    is_equal(stored(fixture), [x.hex().upper() for x in BYTES])


def test_every_interface_gives_the_same_text(fixture):
    text_table(fixture)
    fixture.serve("--http", "127.0.0.1:0")
    wanted = [[as_json(x)] for x in BYTES]
    ask = {"db": "app.db", "sql": "SELECT a FROM t ORDER BY id"}
    is_equal(post(fixture, "/rpc", jsonrpc="2.0", id=1, method="read", params=ask)["result"]["rows"], wanted)
    tool = post(fixture, "/mcp", jsonrpc="2.0", id=1, method="tools/call",
                params={"name": "sluice_read", "arguments": ask})["result"]
    is_equal(tool["structuredContent"]["rows"], wanted)
    is_equal(json.loads(tool["content"][0]["text"])["rows"], wanted)
    pipe = Pipe(fixture)
    is_equal(pipe.call("read", **ask)["rows"], wanted)
    pipe.close()
    status, out, _ = run_bytes(fixture, "query", "app.db", ask["sql"], "--json")
    is_equal((status, json.loads(out)["rows"]), (0, wanted))
    with Store(fixture.store) as store:
        rows = store.read("app.db", ask["sql"])["rows"]
        is_equal([x[0].encode("utf-8", "surrogateescape") for x in rows], BYTES)
        for i, x in enumerate(rows, 1):
            is_equal(store.read("app.db", "SELECT id, ? FROM t WHERE a = ?", [b"\xe9", x[0]])["rows"], [[i, b"\xe9"]])
    for i, x in enumerate(BYTES, 1):
        if b"\0" not in x:
            status, out, _ = run_bytes(fixture, "query", "app.db", "SELECT id FROM t WHERE a = ?", "--json", "-p",
                                       b"text:" + x)
            is_equal((status, json.loads(out)["rows"]), (0, [[i]]), str(x[:20]))


def test_csv_has_the_bytes_and_distinguishes_null_empty_text_and_blobs(fixture):
    values = [b"NULL", b"''", b"x'00ff'", b"'x''00ff'''", b"' a '", b"'a,\"b\"'", b"'l' || char(13, 10) || 'm'",
              literal(b"caf\xe9"), b"'a' || char(0) || 'b'", b"1.0", b"9223372036854775807", literal(b"\x1b[2J\xc2\x9b")]
    rows = b", ".join(b"(" + str(i).encode() + b", " + x + b")" for i, x in enumerate(values))
    sqlite(fixture.path("app.db"), b"CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES " + rows)
    status, out, _ = run_bytes(fixture, "query", "app.db", "SELECT id, a FROM t ORDER BY id", "--csv")
    is_equal(status, 0)
    is_equal(out, b'id,a\r\n0,\r\n1,""\r\n2,x\'00ff\'\r\n3,"x\'00ff\'"\r\n4," a "\r\n5,"a,""b"""\r\n6,"l\r\nm"\r\n'
                  b'7,caf\xe9\r\n8,a\0b\r\n9,1.0\r\n10,9223372036854775807\r\n11,\x1b[2J\xc2\x9b\r\n')
    read_back = list(csv.reader(io.StringIO(out.replace(b"\0", b"0").decode("latin-1"), newline="")))
    is_equal(len(read_back), len(values) + 1)


def test_the_buffer_keeps_text_of_any_bytes(fixture):
    fixture.serve(env={"SLUICE_BUFFER_INTERVAL_MS": "3600000", "SLUICE_BUFFER_JOURNAL": "true"})
    with fixture.connect() as link:
        link.write("app.db", "CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT CHECK (a <> 'never'))")
        for x in BYTES:
            put = {"db": "app.db", "table": "t", "key": {"id": as_json(x)}}
            link.call("buffer.put", operation="upsert", values={"a": as_json(x)}, **put)
        for x in BYTES:
            key = {"db": "app.db", "table": "t", "key": {"id": as_json(x)}}
            is_equal(link.call("buffer.get", **key)["row"], {"id": as_json(x), "a": as_json(x)})
        link.call("buffer.put", operation="upsert", values={"a": "never"}, db="app.db", table="t",
                  key={"id": as_json(b"\xfe")})
        is_equal(link.call("flush")["set_aside"], 1)
        for x in BYTES:
            key = {"db": "app.db", "table": "t", "key": {"id": as_json(x)}}
            is_equal(link.call("buffer.get", **key)["row"], {"id": as_json(x), "a": as_json(x)})
        is_equal(link.call("buffer.rejected")["rows"][0]["key"], {"id": as_json(b"\xfe")})
    is_equal(sorted(stored(fixture)), sorted(x.hex().upper() for x in BYTES))


def test_names_that_are_not_utf8_are_sent_as_their_bytes(fixture):
    sqlite(fixture.path("app.db"),
           b'CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE "caf\xe9" (p REFERENCES p ON DELETE CASCADE, '
           b'"n\xe9" UNIQUE); CREATE TABLE q (id INTEGER PRIMARY KEY, "n\xe9" INTEGER CHECK ("n\xe9" < 5)); '
           b'CREATE TRIGGER r AFTER INSERT ON p BEGIN INSERT INTO "caf\xe9" VALUES (new.id, 5); END; '
           b'INSERT INTO q VALUES (1, 1); CREATE VIEW v AS SELECT "n\xe9" FROM "caf\xe9"')
    name = as_json(b"n\xe9")
    table = as_json(b"caf\xe9")
    fixture.serve()
    with fixture.connect() as link, fixture.connect() as other:
        other.call("subscribe", db="app.db", tables=[table])
        got = link.call("read", db="app.db", sql="SELECT * FROM q")
        is_equal((got["columns"], got["rows"]), (["id", name], [[1, 1]]))
        is_equal(link.read("app.db", "SELECT name FROM sqlite_schema WHERE rootpage > 0 AND name GLOB 'c*'"), [[table]])
        written = link.write("app.db", "INSERT INTO q (id) VALUES (2) RETURNING *", idempotency_key="k")
        is_equal(written["results"][0]["columns"], ["id", name])
        is_equal(link.write("app.db", "INSERT INTO q (id) VALUES (2) RETURNING *", idempotency_key="k")["results"],
                 written["results"])
        # The first write created the ledger, a schema change that may affect any table.
        is_equal(other.next_news()["params"]["everything"], True)
        link.write("app.db", "INSERT INTO p VALUES (1)")
        is_equal(other.next_news()["params"]["tables"], [table])
        refused = link.refusal("write", db="app.db", statements=[{"sql": "INSERT INTO p VALUES (2)"}])
        is_equal(refused.code, "constraint")
        is_true(r"caf\xe9.n\xe9" in refused.error["message"], str(refused))
        link.write("app.db", "DELETE FROM p")
        is_equal(other.next_news()["params"]["tables"], [table])
        row = link.refusal("buffer.get", db="app.db", table="q", key={"id": 1})
        is_equal(row.code, "invalid_request")
        is_true("not UTF-8" in row.error["message"], str(row))
        listed = lambda: [x["tables"] for x in link.call("audit.list", limit=10_000)["records"] if table in x["tables"]]
        is_equal(len(wait_until(listed, "the audit tells of the table")), 2)
        is_true(link.call("audit.verify")["intact"], "the audit is intact")
    status, out, _ = run_bytes(fixture, "query", "app.db", "SELECT * FROM q WHERE id = 1", "--csv")
    is_equal((status, out), (0, b"id,n\xe9\r\n1,1\r\n"))
    status, out, _ = run_bytes(fixture, "audit", "export")
    is_true(b"\xef\xbf\xbd" not in out, "nothing is replaced")


def test_text_outside_of_values_that_is_not_utf8_is_refused_and_not_changed(fixture):
    fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    for words in (["exec", "app.db", b"INSERT INTO t (a) VALUES ('caf\xe9')"],
                  ["query", "app.db", b"SELECT 'caf\xe9'"],
                  ["exec", "app.db", "INSERT INTO t (a) VALUES ('x')", "--agent", b"\xff"],
                  ["exec", "app.db", "INSERT INTO t (a) VALUES ('x')", "--key", b"\xff"],
                  ["exec", b"caf\xe9.db", "CREATE TABLE t (a)"],
                  ["buffer", "put", "app.db", b"caf\xe9", "-k", "id=1"],
                  ["buffer", "put", "app.db", "t", "-k", "id=1", "-v", b"\xff=1"],
                  ["audit", "list", "--agent", b"\xff"],
                  ["logs", "--contains", b"\xff"]):
        status, out, err = run_bytes(fixture, *words)
        is_equal((status, out), (1, b""), str(words))
        is_true(err.startswith(b"sluice: invalid_request: ") and b"UTF-8" in err, f"{words}: {err}")
    is_equal(stored(fixture), [])
    is_equal(sorted(x for x in os.listdir(fixture.store) if not x.startswith((".", "app.db"))), [])


def test_a_folder_whose_name_is_not_utf8_is_a_store_like_any_other(fixture):
    store = os.path.join(os.fsencode(fixture.store), b"caf\xe9")
    os.mkdir(store)
    for i in range(2):
        status, _, err = run_bytes(fixture, "exec", store + b"/app.db", "CREATE TABLE IF NOT EXISTS t (a)")
        is_equal((status, err), (0, b""))
    with open(store + b"/.sluice/broker.json") as file:
        is_equal(json.load(file)["socket"], as_json(store + b"/.sluice/broker.sock"))
    with Store(os.fsdecode(store)) as client:
        client.write("app.db", "INSERT INTO t VALUES (?)", [1])
    status, out, _ = run_bytes(fixture, "query", store + b"/app.db", "SELECT a FROM t", "--csv")
    is_equal((status, out), (0, b"a\r\n1\r\n"))
    status, out, _ = run_bytes(fixture, "status", store)
    is_true(status == 0 and b"caf\\xe9" in out, str(out))
    is_equal(run_bytes(fixture, "doctor", store)[0], 0)
    is_equal(run_bytes(fixture, "stop", store)[0], 0)


def test_large_integers_are_returned_as_text_or_tagged_and_accepted_again(fixture):
    fixture.serve("--http", "127.0.0.1:0")
    rows = [[x] for x in LARGE + [2**53, 5]]
    texts = [[str(x)] for x in LARGE] + [[2**53], [5]]
    tagged = [[{"$integer": str(x)}] for x in LARGE] + [[2**53], [5]]
    ask = {"db": "app.db", "sql": "SELECT n FROM t ORDER BY id"}
    with fixture.connect() as link:
        link.write("app.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, n)")
        for (x,) in tagged:
            link.write("app.db", "INSERT INTO t (n) VALUES (?)", x)
        is_equal(set(stored(fixture, "typeof(n)")), {"integer"})
        # The cache gives the same rows in each form.
        for form, wanted in (("number", rows), ("text", texts), ("tagged", tagged), ("number", rows), ("text", texts)):
            got = link.call("read", integers=form, **ask)
            is_equal((got["rows"], got.get("integer_text")), (wanted, True if form == "text" else None))
        is_equal(got["source"], "cache")
        is_equal(link.read("app.db", "SELECT n FROM t ORDER BY id"), rows)
        for (x,), (wanted,) in zip(tagged, rows):
            is_equal(link.read("app.db", "SELECT n FROM t WHERE n = ?", params=[x]), [[wanted]])
        written = link.write("app.db", "INSERT INTO t VALUES (?, 1) RETURNING id", {"$integer": str(2**63 - 1)},
                             integers="text")
        is_equal(written["integer_text"], True)
        is_equal((written["results"][0]["rows"], written["results"][0]["last_insert_rowid"]),
                 ([[str(2**63 - 1)]], str(2**63 - 1)))
        row = {"db": "app.db", "table": "t", "key": {"id": {"$integer": str(2**63 - 1)}}}
        is_equal(link.call("buffer.get", integers="tagged", **row)["row"], {"id": {"$integer": str(2**63 - 1)}, "n": 1})
        is_equal(link.call("buffer.get", **row)["row"], {"id": 2**63 - 1, "n": 1})
        is_equal(link.refusal("read", integers="bigint", **ask).data["field"], "integers")
    ask["sql"] += " LIMIT 6"
    is_equal(post(fixture, "/rpc", jsonrpc="2.0", id=1, method="read", params={**ask, "integers": "text"})["result"]["rows"],
             texts)
    tool = post(fixture, "/mcp", jsonrpc="2.0", id=1, method="tools/call",
                params={"name": "sluice_read", "arguments": {**ask, "integers": "text"}})["result"]["structuredContent"]
    is_equal((tool["rows"], tool["integer_text"]), (texts, True))
    pipe = Pipe(fixture)
    is_equal(pipe.call("read", integers="tagged", **ask)["rows"], tagged)
    is_equal(pipe.call("buffer.get", integers="text", **row)["row"]["id"], str(2**63 - 1))
    pipe.close()
    is_equal(fixture.run("query", "app.db", ask["sql"], "--json", "--integers", "text").good().json()["rows"], texts)
    is_equal(fixture.run("query", "app.db", ask["sql"], "--json").good().json()["rows"], rows)
    written = fixture.run("exec", "app.db", f"INSERT INTO t VALUES ({2**63 - 2}, 1) RETURNING id", "--json",
                          "--integers", "tagged").good().json()["results"][0]
    is_equal((written["rows"], written["last_insert_rowid"]), ([[{"$integer": str(2**63 - 2)}]],
                                                               {"$integer": str(2**63 - 2)}))
    is_equal(fixture.run("query", "app.db", "SELECT 1", "--integers", "text").status, 2)


def test_a_cut_answer_has_an_exit_status_of_its_own(fixture):
    sqlite(fixture.path("app.db"), b"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); WITH RECURSIVE n(x) AS (SELECT 1 UNION "
                                 b"ALL SELECT x + 1 FROM n WHERE x < 10001) INSERT INTO t SELECT x, 'a' FROM n")
    for form in ([], ["--csv"], ["--json"]):
        x = fixture.run("query", "app.db", "SELECT id FROM t", *form)
        is_equal(x.status, 4, str(form))
        is_true("sluice: truncated: the output ends after 10000 rows" in x.err and "--max-rows" in x.err, x.err)
        x = fixture.run("query", "app.db", "SELECT id, a FROM t LIMIT 9999", "--max-bytes", "2000", *form)
        is_equal(x.status, 4, str(form))
        is_equal(fixture.run("query", "app.db", "SELECT id FROM t", "--max-rows", "10001", *form).good().err, "")
    is_equal(fixture.run("query", "app.db", "SELECT id FROM t", "--json").json()["truncated"], True)


def test_control_characters_are_escaped_on_a_terminal_and_a_pipe_gets_the_bytes(fixture):
    evil = "\x1b[2J\x9b31m\u202eexe\u2066\x7f\u061c"
    fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", "CREATE TABLE t (a TEXT)")
        link.write("app.db", "INSERT INTO t VALUES (?)", evil)
        link.call("log", level="warning", source="test", message=evil)
    acted_on = [x.encode() for x in (evil[0], "\x9b", "\u202e", "\u2066", "\x7f", "\u061c")] + [b"\x9b"]
    ask = ["query", "app.db", "SELECT a, a AS \"" + evil + "\" FROM t"]
    ways = [ask, ask + ["--csv"], ask + ["--json"], ["logs"], ["logs", "--json"], ["logs", "--jsonl"], ["status"],
            ["status", "--json"], ["top", "--count", "1"], ["audit", "list"], ["audit", "list", "--jsonl"],
            ["audit", "export"], ["doctor"], ["buffer", "list"], ["query", "app.db", "SELECT " + evil],
            ["query", "app.db", "SELECT " + evil, "--json"], ["logs", "--level", evil], ["query", evil + ".db", "SELECT 1"]]
    for words in ways:
        status, seen = on_terminal(fixture, *words)
        is_true(status in (0, 1, 2) and seen, f"{words}: {status}")
        for x in acted_on:
            # Other characters may contain bytes of C1, but no output of these commands does.
            is_true(x not in seen, f"{words}: {x} in {seen}")
    is_equal(json.loads(on_terminal(fixture, *ask, "--json")[1])["rows"], [[evil, evil]])
    is_true(evil in [x["message"] for x in json.loads(on_terminal(fixture, "logs", "--json")[1])["entries"]],
            "JSON for a terminal is the same document")
    is_equal(run_bytes(fixture, *ask, "--csv")[1], b"\r\n".join([f"a,{evil}".encode(), f"{evil},{evil}".encode(), b""]))
    is_true(b"\xc2\x9b" in run_bytes(fixture, *ask, "--json")[1], "JSON has the bytes")
    # Errors are for people, so they are escaped on pipes as well.
    is_true(b"\x1b" not in run_bytes(fixture, "query", "app.db", "SELECT " + evil)[2], "an error is escaped")


if __name__ == "__main__":
    run_tests()
