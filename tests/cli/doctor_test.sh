#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# A store with one commit and a broker.
prepare() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  exits 0 sluice exec app.db "INSERT INTO t VALUES (1)"
}

# finds CHECK SEVERITY TEXT : expects this finding in the last output, which is JSON.
finds() {
  local found
  found=$(sqlite3 :memory: "SELECT count(*) FROM json_each(json_extract(CAST(readfile('$scratch/out') AS TEXT), '\$.findings'))
    WHERE json_extract(value, '\$.check') = '$1' AND json_extract(value, '\$.severity') = '$2'
      AND instr(json_extract(value, '\$.text'), '$3') > 0
      AND (json_extract(value, '\$.severity') IN ('ok', 'note') OR json_extract(value, '\$.advice') <> '')")
  [[ "$found" -ge 1 ]] || give_up "not found: $1 $2 $3" "$out"
}

# holds_open FILE PRAGMAS SQL : an external process that has executed SQL in FILE and stays; its pid is in $holder.
holds_open() {
  python3 -u - "$@" <<'PYTHON' >"$scratch/held" &
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, uri=True)
for sql in sys.argv[2:]:
    db.execute(sql).fetchone()
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

# A process that claims the folder as a broker does, and stays; its pid is in $holder.
claims_folder() {
  python3 -u - <<'PYTHON' >"$scratch/held" &
import os, socket, time
folder = os.stat(".")
claim = socket.socket(socket.AF_UNIX)
claim.bind(f"\0sluice/{os.geteuid()}/{folder.st_dev}/{folder.st_ino}/0")
claim.listen()
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

# Prints everything about the files that doctor must not change.
state_of() { find "$1" -type f ! -name broker.log -printf '%P %s %m %T@\n' | sort; }

test_a_healthy_store_is_called_so_with_and_without_a_broker() {
  prepare
  exits 0 sluice doctor
  has "$out" "healthy"
  exits 0 sluice doctor . --json
  is "$(json '$.healthy')" 1
  finds leader ok "leads the store and answers"
  finds broker ok "reports no problem"
  finds ledger ok "(2 commits) is whole"
  finds audit ok "is whole"
  finds foreign_openers ok ""
  finds journal_mode ok WAL
  finds settings ok valid
  sluice stop >/dev/null
  exits 0 sluice doctor --json --deep
  is "$(json '$.healthy')" 1
  finds leader ok "no process leads the store"
  finds integrity ok "in order"
}

test_a_log_that_was_moved_away_under_the_broker_is_reported_and_not_taken_for_a_lost_ledger() {
  sluice serve >"$scratch/served" 2>&1 &
  holder=$!
  until [[ -e .sluice/broker.json ]]; do sleep 0.02; done
  prepare
  mv app.db-wal elsewhere
  exits 1 sluice doctor --json
  finds files problem "app.db-wal was removed, moved or replaced while the broker"
  has_not "$out" "compared with the audit"
  has_not "$out" "--repair"
  exits 0 sluice query app.db "SELECT count(*) FROM t" --csv
  has "$out" 1
  exits 0 sluice doctor
  lets_go
}

test_a_clock_of_the_keys_that_was_set_is_reported() {
  prepare
  exits 0 sluice exec app.db "INSERT INTO t VALUES (2)" --key k
  sluice stop >/dev/null
  exits 0 sluice doctor
  cp app.db good
  local day=86400000000 begun undated seen rest
  read -r begun undated seen rest <<<"$(sqlite3 app.db "SELECT value FROM _sluice_meta WHERE name = 'key_clock'")"
  for change in "UPDATE _sluice_keys SET created_us = created_us - 2 * $day" \
    "UPDATE _sluice_meta SET value = '$begun $undated $((seen + 2 * day)) $rest' WHERE name = 'key_clock'"; do
    cp good app.db
    sqlite3 app.db "$change"
    exits 1 sluice doctor --json
    finds ledger problem "h older than their commits: they would be forgotten early"
  done
}

test_a_trigger_that_would_write_to_the_ledger_is_reported() {
  prepare
  sluice stop >/dev/null
  sqlite3 app.db "CREATE TRIGGER innocent AFTER INSERT ON t BEGIN SELECT '_sluices'; END"
  exits 0 sluice doctor
  sqlite3 app.db "CREATE TRIGGER evil AFTER INSERT ON t BEGIN DELETE FROM _Sluice_keys; END"
  exits 1 sluice doctor --json
  finds ledger warning "the trigger evil on t has a table of the ledger in its text"
  has_not "$out" innocent
}

test_a_hard_link_and_a_folder_that_all_users_may_write_are_reported() {
  prepare
  ln app.db other-name
  exits 1 sluice query app.db "SELECT 1"
  exits 1 sluice doctor --json
  finds permissions problem "app.db has another hard link"
  rm other-name
  exits 0 sluice doctor
  chmod 1777 .
  exits 1 sluice doctor --json
  finds permissions warning "the folder has the mode 1777"
}

test_a_look_leaves_no_trace() {
  prepare
  sluice stop >/dev/null
  state_of . >"$scratch/before"
  exits 0 sluice doctor
  exits 0 sluice doctor --deep
  state_of . >"$scratch/after"
  diff "$scratch/before" "$scratch/after"
}

test_no_broker_is_started_and_no_folder_made_a_store() {
  fails_with unknown_database sluice doctor
  fails_with unknown_database sluice doctor nowhere
  exits 1 sluice doctor --json
  is "$(json '$.error.code')" unknown_database
  is "$(ls -A)" ""
  exits 2 sluice doctor a b
  exits 2 sluice doctor --frob
}

test_a_process_that_pins_the_log_is_named() {
  prepare
  holds_open app.db "BEGIN" "SELECT * FROM t"
  exits 0 sluice exec app.db "INSERT INTO t VALUES (2)"
  exits 1 sluice doctor --json
  finds wal note "process $holder ("
  finds wal note "reads an old snapshot"
  finds foreign_openers warning "process $holder ("
  lets_go
  exits 0 sluice exec app.db "INSERT INTO t VALUES (2)"
  exits 0 sluice doctor --json
}

test_a_process_that_only_reads_is_noted() {
  prepare
  holds_open "file:app.db?mode=ro" "SELECT * FROM t"
  exits 0 sluice doctor --json
  finds foreign_openers note "process $holder ("
  lets_go
}

test_external_commits_are_reported() {
  prepare
  sqlite3 app.db "INSERT INTO t VALUES (3)"
  exits 0 sluice exec app.db "INSERT INTO t VALUES (4)"
  exits 1 sluice doctor --json
  finds foreign_commits warning "1 external commit since the broker started"
}

test_a_database_in_another_journal_mode_is_explained() {
  prepare
  sqlite3 old.db "CREATE TABLE t (x)"
  exits 0 sluice doctor --json
  finds journal_mode note "rollback journal"
  holds_open old.db "SELECT * FROM t"
  exits 1 sluice doctor --json
  finds journal_mode warning "rollback journal"
  lets_go
}

test_a_damaged_database_is_a_problem() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  exits 0 sluice exec app.db "INSERT INTO t VALUES (randomblob(100000))"
  sluice stop >/dev/null
  dd if=/dev/urandom of=app.db bs=4096 seek=3 count=8 conv=notrunc status=none
  exits 1 sluice doctor --json
  finds integrity problem "damaged"
  is "$(json '$.healthy') $(json '$.findings[0].severity')" "0 problem"
  echo "this is no database, but it once was" >app.db
  exits 1 sluice doctor . --json
  finds journal_mode problem "does not begin as SQLite databases do"
  mkdir sub
  mv app.db sub
  exits 0 sluice doctor . --json
  finds journal_mode note "it is not there"
}

test_a_changed_ledger_is_a_problem() {
  prepare
  sluice stop >/dev/null
  sqlite3 app.db "UPDATE _sluice_commits SET ts_us = 1 WHERE commit_seq = 1"
  exits 1 sluice doctor --json
  finds ledger problem "commit 1 in its ledger is broken"
  sqlite3 app.db "DELETE FROM _sluice_commits WHERE commit_seq = 1"
  exits 1 sluice doctor --json
  finds ledger problem "commit 2 in its ledger is broken: records before it are missing"
}

test_a_changed_audit_is_a_problem() {
  prepare
  exits 0 sluice audit verify
  sqlite3 .sluice/audit.db "DROP TRIGGER segments_update; UPDATE segments SET records = x''"
  exits 1 sluice doctor --json
  finds audit problem "record 1 does not match its hash"
  sluice stop >/dev/null
  exits 1 sluice doctor --json
  finds audit problem "record 1 does not match its hash"
}

test_rejected_rows_are_reported() {
  prepare
  sluice stop >/dev/null
  [[ -e .sluice/buffer.db ]] || sqlite3 .sluice/buffer.db "CREATE TABLE rejected(id INTEGER PRIMARY KEY AUTOINCREMENT,
    ts_us INTEGER NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, content BLOB NOT NULL) STRICT"
  chmod 600 .sluice/buffer.db
  sqlite3 .sluice/buffer.db "INSERT INTO rejected(ts_us, code, message, content) VALUES (1, 'constraint', 'm', x'00')"
  exits 1 sluice doctor --json
  finds buffer warning "refused 1 buffered row;"
}

test_bad_settings_are_named() {
  prepare
  sluice stop >/dev/null
  echo "cahce = true" >sluice.toml
  exits 1 sluice doctor --json
  finds settings problem "cahce"
  echo "readers = 0" >sluice.toml
  exits 1 sluice doctor
  has "$out" "sluice.toml: line 1: readers = 0"
  rm sluice.toml
  SLUICE_READERS=0 exits 1 sluice doctor
  has "$out" "environment: SLUICE_READERS=0"
}

test_modes_and_owners_are_looked_at() {
  prepare
  sluice stop >/dev/null
  chmod 755 .sluice
  chmod 644 .sluice/audit.db
  exits 1 sluice doctor --json
  finds permissions warning "mode 755"
  finds permissions warning ".sluice/audit.db has the mode 644"
  is "$(stat -c %a .sluice)" 755
  chmod 700 .sluice
  chmod 600 .sluice/audit.db
  if [[ $(id -u) == 0 ]]; then
    # Root may do everything, and gets the findings of the store's owner.
    chown 65534 .sluice .sluice/*
    exits 1 sluice doctor --json
    finds permissions problem "may not be read and written by uid 65534"
    chown 0 .sluice .sluice/*
  else
    chmod 400 app.db
    exits 1 sluice doctor --json
    finds permissions problem "may not be read and written"
  fi
}

test_files_left_by_a_killed_leader_are_harmless() {
  prepare
  local pid
  pid=$(sqlite3 :memory: "SELECT json_extract(readfile('.sluice/broker.json'), '\$.pid')")
  kill -9 "$pid"
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.02
  done
  exits 0 sluice doctor --json
  finds leader note "left over"
  finds ledger ok "(2 commits) is whole"
}

test_a_leader_that_does_not_answer_is_a_problem() {
  prepare
  sluice stop >/dev/null
  # Holds the locks of a leader, and has no socket.
  python3 -u - <<'PYTHON' >"$scratch/held" &
import fcntl, os, socket, time
fd = os.open(".sluice/broker.lock", os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(fd, fcntl.LOCK_EX)
folder = os.stat(".")
claim = socket.socket(socket.AF_UNIX)
claim.bind(f"\0sluice/{os.geteuid()}/{folder.st_dev}/{folder.st_ino}/0")
claim.listen()
listener = socket.socket(socket.AF_UNIX)
listener.bind(".sluice/broker.sock")
print("ready", flush=True)
time.sleep(600)
PYTHON
  holder=$!
  touch "$scratch/held"
  until grep -q ready "$scratch/held"; do sleep 0.02; done
  exits 1 sluice doctor --json
  finds leader problem "process $holder ("
  rm .sluice/broker.sock
  exits 0 sluice doctor --json
  finds leader note "without a socket"
  lets_go
}

test_two_leaders_are_a_problem() {
  prepare
  sluice stop >/dev/null
  touch .sluice/broker.lock
  chmod 600 .sluice/broker.lock
  flock .sluice/broker.lock sleep 600 &
  local first=$!
  claims_folder
  until ! flock -n .sluice/broker.lock true; do
    sleep 0.02
  done
  local second=$holder
  exits 1 sluice doctor --json
  finds leader problem "two processes hold the lock and the claim"
  kill "$first" "$second"
}

test_a_broker_of_a_store_further_up_is_named() {
  prepare
  sluice stop >/dev/null
  touch .sluice/broker.lock
  chmod 600 .sluice/broker.lock
  claims_folder
  exits 1 sluice doctor --json
  finds leader warning "process $holder ("
  finds leader warning "as part of a store further up"
  lets_go
}

test_nested_stores_are_reported() {
  prepare
  mkdir -p sub/deep
  exits 0 sluice exec sub/deep/b.db "CREATE TABLE t (x)"
  exits 0 sluice doctor --json
  finds nested_stores note "a store of its own"
  exits 0 sluice doctor sub/deep --json
  finds nested_stores note "a folder above it is a store"
  sluice stop sub/deep >/dev/null
}

test_a_database_that_lies_in_an_inner_store_by_now_is_reported() {
  prepare
  mkdir inner
  python3 - <<'PYTHON'
import json, socket
link = socket.socket(socket.AF_UNIX)
link.connect(".sluice/broker.sock")
link.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "write",
                         "params": {"db": "inner/c.db", "statements": [{"sql": "CREATE TABLE t (x)"}]}}).encode() + b"\n")
assert b"committed" in link.recv(65536)
PYTHON
  sluice stop >/dev/null
  exits 0 sluice exec inner/c.db "INSERT INTO t VALUES (1)"
  sluice stop inner >/dev/null
  exits 1 sluice doctor --json
  finds nested_stores warning "a store of its own: requests for it are refused here"
}

test_strange_names_of_processes_break_no_terminal() {
  prepare
  holds_open "file:app.db?mode=ro" "SELECT '$(printf '\033[2J')'"
  exits 0 sluice doctor
  has_not "$out" "$(printf '\033')"
  exits 0 sluice doctor --json
  is "$(json '$.healthy')" 1
  lets_go
}

run_tests
