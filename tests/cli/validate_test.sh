#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# holds_open FILE : a process that has the database open and stays; its pid is in $holder.
holds_open() {
  python3 -u - "$1" <<'PYTHON' >"$scratch/held" &
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, uri=True)
db.execute("SELECT count(*) FROM sqlite_master").fetchone()
print("ready", flush=True)
time.sleep(600)
PYTHON
  holder=$!
  touch "$scratch/held"
  until grep -q ready "$scratch/held"; do
    kill -0 "$holder"
    sleep 0.02
  done
}

lets_go() {
  kill "$holder"
  wait "$holder" || true
}

# Processes of other users can be hidden from this one.
status_if_clean() { if [[ $(id -u) == 0 ]]; then echo 0; else echo 4; fi; }

test_an_open_call_is_found_with_its_place_and_a_clean_tree_is_called_so() {
  mkdir src
  printf 'import sqlite3 as s\n\ndb = s.connect("app.db")\n' >src/report.py
  printf '#!/bin/sh\necho sqlite3\n  sqlite3 app.db .dump\n' >src/dump
  exits 1 sluice validate
  has "$out" "src/dump:3:3: opens SQLite: sqlite3 (shell, sqlite3-program)"
  has "$out" "src/report.py:3:6: opens SQLite: s.connect (Python, python-module)"
  has "$out" "2 findings in 2 sources"
  exits 1 sluice validate src --json
  is "$(json '$.findings[1].file') $(json '$.findings[1].line') $(json '$.findings[1].column')" "report.py 3 6"
  is "$(json '$.findings[1].kind') $(json '$.findings[1].rule') $(json '$.whole')" "source python-module 1"
  exits 1 sluice validate src/report.py
  has "$out" "report.py:3:6: "
  printf '# s.connect(p)\n' >src/report.py
  rm src/dump
  gives "0 findings in 1 source" sluice validate
  is "$(ls -A)" src
}

test_exceptions_need_reasons_and_a_stale_one_is_a_finding() {
  printf 'import sqlite3\nsqlite3.connect(p)\n' >a.py
  printf 'path a.py  reads the old file once\n' >.sluice-validate
  gives "0 findings in 1 source, 1 place is allowed by the exceptions" sluice validate
  printf '# b went\npath a.py  reads the old file once\npath b.py  as well\n' >.sluice-validate
  exits 1 sluice validate
  has "$out" "exception in line 3: b.py matches nothing"
  printf 'path a.py\n' >"$scratch/allowed"
  exits 2 sluice validate --exceptions "$scratch/allowed"
  has "$err" "allowed:1: path needs a pattern and a reason"
  exits 2 sluice validate . --exceptions nowhere --json
  is "$(json '$.error.code')" invalid_request
  printf 'ignore old  not ours\n' >.sluice-validate
  mkdir old
  mv a.py old
  gives "0 findings in 0 sources" sluice validate
}

test_what_cannot_be_read_is_named_and_a_clean_look_is_not_called_whole() {
  printf 'x = "\0"\n' >odd.py
  ln -s . loop
  exits 4 sluice validate
  has "$err" "not read: odd.py: it has NUL bytes"
  has "$err" "1 symbolic link was not followed"
  exits 4 sluice validate --json
  is "$(json '$.whole') $(json '$.unread[0].path') $(json '$.links')" "0 odd.py 1"
  printf 'import apsw\napsw.Connection(p)\n' >a.py
  exits 1 sluice validate
}

test_usage_is_checked() {
  exits 2 sluice validate nowhere
  has "$err" "there is no folder and no file nowhere"
  exits 2 sluice validate a b
  exits 2 sluice validate --store .
  has "$err" "holds no store"
  exits 2 sluice validate --frob
  exits 0 sluice validate --help
  has "$out" "cannot find"
  is "$(ls -A)" ""
}

test_a_process_that_has_a_database_open_is_named_and_the_broker_is_not() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  exits "$(status_if_clean)" sluice validate
  has "$out" "0 findings in 0 sources and the running processes"
  holds_open app.db
  exits 1 sluice validate
  has "$out" "process $holder ("
  has "$out" "python3 -u - app.db) has app.db open for writing"
  has "$out" "1 finding in 0 sources and the running processes"
  mkdir "$scratch/src"
  exits 1 sluice validate "$scratch/src" --store . --json
  is "$(json '$.findings[0].kind') $(json '$.findings[0].pid') $(json '$.findings[0].db')" "process $holder app.db"
  is "$(json '$.findings[0].writes') $(json '$.store')" "1 1"
  exits 0 sluice validate "$scratch/src"
  printf 'process *python3?-u?-?app.db  holds it for a test\n' >.sluice-validate
  exits "$(status_if_clean)" sluice validate
  has "$out" "1 place is allowed by the exceptions"
  rm .sluice-validate
  lets_go
  holds_open "file:app.db?mode=ro"
  exits 1 sluice validate
  has "$out" "has app.db open"
  has_not "$out" "for writing"
  lets_go
  holds_open .sluice/audit.db
  exits 1 sluice validate
  has "$out" "has .sluice/audit.db open"
  lets_go
  exits "$(status_if_clean)" sluice validate
}

run_tests
