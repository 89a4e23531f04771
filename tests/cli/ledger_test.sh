#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# A store with four commits, the newest with a key, without a leader.
prepare() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  for x in 1 2 3; do
    exits 0 sluice exec app.db "INSERT INTO t VALUES ($x)" --key "k$x"
  done
  sluice stop >/dev/null
}

# repairs : doctor names the damage and the command; after the repair writes work again, with new commit numbers.
repairs() {
  exits 1 sluice doctor
  has "$out" "sluice doctor ROOT --repair"
  exits 0 sluice doctor --repair
  has "$out" "began epoch"
  has "$out" "healthy"
  [[ ! -e app.db-wal && ! -e .sluice/audit.db-wal ]]
  exits 0 sluice exec app.db "INSERT INTO t VALUES (9)" --json
  [[ "$(json '$.commit_seq')" -ge 5 ]] || give_up "given twice: $out"
  exits 0 sluice audit verify
  has "$(sluice audit list)" "repair"
  sluice stop >/dev/null
  exits 0 sluice doctor --repair
  has "$out" "nothing to repair"
}

refused() {
  fails_with ledger_damaged sluice exec app.db "INSERT INTO t VALUES (4)" --key k4
  has "$err" "sluice doctor ROOT --repair"
  exits 0 sluice query app.db "SELECT count(*) FROM t" --csv
  has "$out" 3
  fails_with ledger_damaged sluice audit verify
  has "$err" app.db
  sluice stop >/dev/null
}

test_a_trigger_on_the_ledger_in_capitals_is_refused_named_and_repaired() {
  prepare
  sqlite3 app.db "CREATE TRIGGER evil AFTER INSERT ON _SLUICE_KEYS BEGIN DELETE FROM _sluice_keys WHERE id = NEW.id; END"
  refused
  exits 1 sluice doctor
  has "$out" evil
  repairs
}

test_an_index_or_a_view_on_the_ledger_is_refused_and_repaired() {
  prepare
  sqlite3 app.db "CREATE INDEX x ON _SLUICE_COMMITS(abs(-9223372036854775807 - ts_us)); CREATE VIEW _sluice_v AS SELECT 1"
  refused
  repairs
}

test_a_ledger_that_was_emptied_is_refused_and_repaired() {
  prepare
  sqlite3 app.db "DELETE FROM _sluice_commits; DELETE FROM _sluice_keys; DELETE FROM _sluice_meta"
  refused
  repairs
}

test_a_ledger_without_its_newest_commits_is_refused_and_repaired() {
  prepare
  sqlite3 app.db "DELETE FROM _sluice_commits WHERE commit_seq > 2; DELETE FROM _sluice_keys WHERE commit_seq > 2"
  refused
  repairs
}

test_a_ledger_without_its_keys_is_refused_and_repaired() {
  prepare
  sqlite3 app.db "DELETE FROM _sluice_keys"
  refused
  repairs
}

test_a_ledger_without_an_older_commit_is_reported_by_doctor_and_verify_and_repaired() {
  prepare
  for ((x = 0; x < 20; x++)); do
    exits 0 sluice exec app.db "INSERT INTO t VALUES (0)"
  done
  sluice stop >/dev/null
  sqlite3 app.db "DELETE FROM _sluice_commits WHERE commit_seq = 2"
  exits 1 sluice audit verify
  has "$err" app.db
  sluice stop >/dev/null
  repairs
}

test_keys_that_are_missing_far_back_are_reported_by_doctor_and_verify_and_repaired() {
  prepare
  for ((x = 0; x < 20; x++)); do
    exits 0 sluice exec app.db "INSERT INTO t VALUES (0)"
  done
  exits 0 sluice audit verify
  sluice stop >/dev/null
  sqlite3 app.db "DELETE FROM _sluice_keys WHERE key = 'k1'"
  exits 1 sluice audit verify
  has "$err" "app.db: commit 2 in it is broken: its idempotency keys are missing"
  sluice stop >/dev/null
  repairs
}

test_an_older_copy_is_refused_and_repaired_and_its_numbers_are_not_given_again() {
  prepare
  cp app.db copy
  exits 0 sluice exec app.db "INSERT INTO t VALUES (0)" --json
  is "$(json '$.commit_seq')" 5
  sluice stop >/dev/null
  mv copy app.db
  refused
  repairs
  exits 0 sluice query app.db "SELECT max(commit_seq), min(commit_seq) FROM _sluice_commits" --csv
  has "$out" "6,1"
}

test_a_repair_is_not_taken_for_the_write_of_another_program() {
  for way in mv cp; do
    prepare
    cp app.db copy
    exits 0 sluice exec app.db "INSERT INTO t VALUES (0)"
    sluice stop >/dev/null
    "$way" copy app.db
    exits 0 sluice doctor --repair
    has "$out" "it was changed by another program while no broker ran"
    exits 0 sluice exec app.db "INSERT INTO t VALUES (9)"
    exits 0 sluice status --json
    is "$(json '$.databases[0].foreign_commits')" 0
    exits 0 sluice doctor
    exits 0 sluice audit list --json
    is "$(grep -o '"status":"changed_while_closed"' <<<"$out" | wc -l)" 1
    sluice stop >/dev/null
    rm -rf app.db* .sluice copy
  done
}

test_a_ledger_that_was_dropped_whole_is_reported_and_goes_on_behind_the_issued_numbers() {
  prepare
  sqlite3 app.db "DROP TABLE _sluice_commits; DROP TABLE _sluice_keys; DROP TABLE _sluice_meta"
  exits 1 sluice doctor
  has "$out" "app.db"
  exits 1 sluice audit verify
  exits 0 sluice exec app.db "INSERT INTO t VALUES (9)" --json
  is "$(json '$.commit_seq')" 5
  has "$(sluice audit list)" ledger_epoch
  sluice stop >/dev/null
  exits 0 sluice doctor
}

test_a_file_that_takes_the_place_of_another_is_written_at_once_with_numbers_of_its_own() {
  prepare
  rm app.db
  sqlite3 app.db "CREATE TABLE t (x)"
  exits 0 sluice exec app.db "INSERT INTO t VALUES (9)" --json
  is "$(json '$.commit_seq')" 5
  sluice stop >/dev/null
  exits 0 sluice exec app.db "INSERT INTO t VALUES (9)" --json
  is "$(json '$.commit_seq')" 6
}

test_a_repair_prints_one_document_and_needs_the_lead() {
  fails_with unknown_database sluice doctor --repair
  prepare
  sqlite3 app.db "DELETE FROM _sluice_keys"
  sluice serve >/dev/null 2>&1 &
  until sluice status >/dev/null 2>&1; do sleep 0.05; done
  exits 1 sluice doctor --repair --json
  is "$(json '$.error.code')" busy
  has "$out" "sluice stop ROOT"
  sluice stop >/dev/null
  wait
  exits 0 sluice doctor --repair --json
  is "$(json '$.healthy')" 1
  is "$(json '$.repairs[0].subject')" app.db
  exits 0 sluice doctor --repair --json
  is "$(json '$.repairs')" "[]"
}

test_a_damaged_audit_is_renamed_and_reported_until_a_repair_acknowledges_it() {
  prepare
  printf 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' | dd of=.sluice/audit.db conv=notrunc 2>/dev/null
  exits 1 sluice doctor
  exits 0 sluice exec app.db "INSERT INTO t VALUES (4)" --agent after
  has "$(sluice audit list --agent after)" committed
  exits 1 sluice audit verify
  has "$err" audit.db.damaged-
  has "$(sluice status --json)" '"files_set_aside":1'
  sluice stop >/dev/null
  exits 1 sluice doctor
  has "$out" audit.db.damaged-
  exits 0 sluice doctor --repair
  exits 0 sluice audit verify
  [[ -e $(echo .sluice/audit.db.kept-*) ]]
}

test_lost_commits_are_reported_and_no_ok_stands_beside_a_problem() {
  sluice exec app.db "CREATE TABLE t (x)" >/dev/null
  sluice exec app.db "INSERT INTO t VALUES (1)" >/dev/null
  sluice stop >/dev/null
  sqlite3 other.db "CREATE TABLE t (x); INSERT INTO t VALUES (7)"
  mv other.db app.db
  exits 1 sluice doctor
  has "$out" "problem  ledger           app.db: compared with the audit"
  has_not "$out" "ok       ledger           app.db"
  sluice doctor --repair >/dev/null || true
  gives "1 row changed, commit 3" sluice exec app.db "INSERT INTO t VALUES (2)"
  exits 0 sluice doctor
  has "$out" "note     ledger           app.db"
  has "$out" "epoch began with commit 3"
}

run_tests
