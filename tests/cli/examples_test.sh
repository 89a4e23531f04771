#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

examples=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../examples" && pwd)
export SLUICE_PROGRAM=$SLUICE
# The shell example calls it as users do.
PATH=$(dirname "$SLUICE"):$PATH

test_the_client_in_python_writes_once_reads_and_is_refused() {
  exits 0 python3 "$examples/sluice_client.py"
  has "$out" "again: replayed=True"
  has "$out" "refused: constraint"
  has "$out" "read: [['from Python']]"
  exits 0 sluice query notes.db "SELECT count(*) FROM notes" --json
  is "$(json '$.rows[0][0]')" 1
}

test_the_client_in_python_goes_on_when_its_broker_is_killed() {
  cat >killed.py <<END
import json, os, signal, sys
sys.path.insert(0, "$examples")
from sluice_client import Store
with Store(".") as store:
    store.write("a.db", "CREATE TABLE t (x INTEGER NOT NULL)")
    for i in range(20):
        if i % 5 == 0:
            os.kill(json.load(open(".sluice/broker.json"))["pid"], signal.SIGKILL)
        store.write("a.db", "INSERT INTO t VALUES (?)", [i])
    print(store.read("a.db", "SELECT count(*), count(DISTINCT x) FROM t")["rows"])
END
  gives "[[20, 20]]" python3 killed.py
}

test_a_host_builds_the_libraries_alone_and_without_our_warnings_as_errors() {
  exits 0 cmake -S "$examples/host" -B "$scratch/host" -G Ninja
  exits 0 ninja -C "$scratch/host" -t targets all
  has "$out" "libsluice_runtime.a"
  has_not "$out" "test_messages"
  has_not "$out" "bench_sluice"
  has_not "$out" "embed_threads"
  exits 0 ninja -C "$scratch/host" -t commands host
  has "$out" "++20"
  has_not "$out" "-Werror"
}

test_the_client_in_python_names_the_remedy_when_it_finds_no_program() {
  SLUICE_PROGRAM=/no/such/program exits 1 python3 "$examples/sluice_client.py"
  has "$err" "set SLUICE_PROGRAM"
}

test_the_client_in_python_gives_back_every_value_as_it_was() {
  cat >values.py <<END
import math, sys
sys.path.insert(0, "$examples")
from sluice_client import Store
raw = b"caf\xe9".decode("utf-8", "surrogateescape")
values = [None, 1, 2**63 - 1, 0.5, math.inf, -math.inf, "x", raw, b"caf\xe9", b"", "", "a\0b"]
with Store(".") as store:
    store.write("a.db", "CREATE TABLE t (x)")
    for x in values:
        result = store.write("a.db", "INSERT INTO t VALUES (?) RETURNING x, :x IS x".replace(":x", "?"), [x, x])
        assert result["results"][0]["rows"] == [[x, 1]], result
        assert store.read("a.db", "SELECT x FROM t WHERE x IS :x", {"x": x})["rows"] == [[x]], x
    print([row[0] for row in store.read("a.db", "SELECT x FROM t ORDER BY rowid")["rows"]] == values)
END
  gives "True" python3 values.py
}

test_the_client_in_python_sends_capsules_and_no_empty_names() {
  cat >sender.py <<END
import sys
sys.path.insert(0, "$examples")
from sluice_client import SluiceError, Store
with Store(".") as store:
    store.write("a.db", "CREATE TABLE t (x)", agent="alice")
    for send in (lambda **x: store.write("a.db", "INSERT INTO t VALUES (1)", **x),
                 lambda **x: store.call_operation("add", {}, **x),
                 lambda **x: store.operations(**x).call("add", {})):
        try:
            send(capsule="sluice1.none")
        except SluiceError as refused:
            print(refused.code)
        for empty in ({"agent": ""}, {"capsule": ""}):
            try:
                send(**empty)
            except ValueError:
                print("empty")
END
  mkdir operations
  printf -- '-- db: a.db\n-- name: add :exec\nINSERT INTO t VALUES (2);\n' >operations/a.sql
  gives "$(printf 'capsule_invalid\nempty\nempty\n%.0s' 1 2 3)" python3 sender.py
  gives 0 sqlite3 -readonly a.db "SELECT count(*) FROM t"
}

test_the_client_in_shell_uses_the_program_the_socket_and_http() {
  exits 0 bash "$examples/shell_client.sh"
  has "$out" '"rows":[["from the shell"]]'
  has "$out" '"outcome":"committed"'
  has "$out" "from curl"
}

run_tests
