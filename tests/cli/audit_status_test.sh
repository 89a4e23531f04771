#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# A store with a commit by alice, one by bob, and a failure of bob's.
prepare() {
  exits 0 sluice exec app.db "CREATE TABLE t (x INTEGER NOT NULL)" --agent alice
  exits 0 sluice exec app.db "INSERT INTO t VALUES (1)" --agent bob --key k1
  exits 1 sluice exec app.db "INSERT INTO t VALUES (NULL)" --agent bob
  # Records are written after their requests were answered, and verify waits for them.
  exits 0 sluice audit verify
}

# Changes the audit without the broker. Records are written after their requests were answered, and verify waits for
# them.
tamper() {
  exits 0 sluice audit verify
  sqlite3 .sluice/audit.db "DROP TRIGGER segments_update; DROP TRIGGER segments_delete; $1"
}

test_the_audit_lists_requests_with_their_agents() {
  prepare
  exits 0 sluice audit list --agent bob --json
  is "$(json '$.records[0].agent') $(json '$.records[0].status') $(json '$.records[0].commit_seq')" "bob committed 2"
  is "$(json '$.records[0].idempotency_key') $(json '$.records[0].tables[0]')" "k1 t"
  is "$(json '$.records[1].status')" "constraint"
  is "$(json '$.records[2]') $(json '$.truncated')" " 0"
  exits 0 sluice audit . list --status committed --db app.db --jsonl
  is "$(wc -l <"$scratch/out")" 2
  exits 0 sluice audit list
  has "$out" "alice"
  has "$out" "constraint"
}

test_a_status_that_no_record_can_have_is_refused() {
  prepare
  for command in list export; do
    exits 2 sluice audit $command --status comitted
    has "$err" "sluice: invalid_request: "
    has "$err" "comitted is not a status; use one of committed, replayed, ok, "
    for status in log_restored constraint ledger_damaged; do
      has "$err" ", $status"
    done
    is "$out" ""
  done
  for status in ok replayed touched internal; do
    exits 0 sluice audit list --status "$status"
  done
}

test_counts_of_one_have_a_singular_noun() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  exits 0 sluice audit verify
  has "$out" "intact: 1 record, head"
  exits 0 sluice audit prune --before 1h
  has "$out" "removed 0 records"
  exits 0 sluice status
  has "$out" "0 requests over the limits"
  exits 4 sluice query app.db "VALUES (1), (2)" --max-rows 1
  has "$err" "the output ends after 1 row;"
}

test_the_audit_can_be_cut_and_says_so() {
  prepare
  exits 0 sluice audit list --limit 1 --json
  is "$(json '$.records[0].status') $(json '$.truncated')" "constraint 1"
  has "$err" "truncated"
}

test_the_audit_is_filtered_by_time() {
  prepare
  exits 0 sluice audit list --since 1h --jsonl
  is "$(wc -l <"$scratch/out")" 3
  exits 0 sluice audit list --since 2000-01-01 --jsonl
  is "$(wc -l <"$scratch/out")" 3
  exits 0 sluice audit list --since 2999-01-01T00:00:00.5+02:00 --jsonl
  is "$(wc -l <"$scratch/out")" 0
  for wrong in yesterday 2000-13-01 2000-02-30 10 h 10w 2000-01-01T25:00 "2000-01-01T10:00+2" 2000-01-01x; do
    exits 2 sluice audit list --since "$wrong"
  done
}

test_everything_can_be_exported() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)" --agent first
  local i
  for i in {1..5}; do
    exits 0 sluice exec app.db "INSERT INTO t VALUES ($i)"
  done
  exits 0 sluice audit export
  is "$(wc -l <"$scratch/out")" 6
  is "$(head -n 1 "$scratch/out" | grep -c '"agent":"first"')" 1
  is "$err" ""
  exits 0 sluice audit export --agent first --json
  is "$(json '$.records[0].agent')" first
}

test_an_intact_audit_verifies() {
  prepare
  exits 0 sluice audit verify
  has "$out" "intact: 3 records"
  exits 0 sluice audit verify --json
  is "$(json '$.intact') $(json '$.records')" "1 3"
}

# begins_anew WHY : the next use of the store replaces the audit, and all tools report it until a repair.
begins_anew() {
  exits 1 sluice doctor
  has "$out" "problem  audit            .sluice/audit.db: it"
  has "$out" "$1"
  exits 0 sluice exec app.db "INSERT INTO t VALUES (1)"
  exits 0 sluice audit list --json
  is "$(json '$.records[0].request_type')" "audit_gap"
  has "$out" '"commit_seq":1,'
  fails_with ledger_damaged sluice audit verify
  exits 0 sluice logs --json
  has "$out" "the audit file cannot be used"
  exits 0 sluice status --json
  is "$(json '$.audit.files_set_aside')" "1"
  exits 1 sluice doctor
  exits 0 sluice doctor --repair
  exits 0 sluice audit verify
}

test_an_audit_that_was_emptied_removed_or_exchanged_without_a_broker_is_reported() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  exits 0 sluice stop
  cp .sluice/audit.db older.db
  exits 0 sluice exec app.db "INSERT INTO t VALUES (1)"
  exits 0 sluice stop
  cp older.db .sluice/audit.db
  begins_anew "an older copy"
  exits 0 sluice stop
  rm .sluice/audit.db
  begins_anew "it was emptied or deleted"
  exits 0 sluice stop
  : >.sluice/audit.db
  exits 0 sluice doctor --repair
  has "$out" "it was damaged"
  exits 0 sluice audit list --json
  has "$out" '"request_type":"audit_gap"'
}

test_the_audit_refuses_to_be_changed() {
  prepare
  for change in "UPDATE segments SET records = x''" "DELETE FROM segments" \
    "INSERT OR REPLACE INTO segments SELECT * FROM segments"; do
    if sqlite3 .sluice/audit.db "$change" 2>"$scratch/err"; then
      give_up "not refused: $change"
    fi
    has "$(<"$scratch/err")" "append-only"
  done
  exits 0 sluice audit verify
}

test_a_changed_record_is_found_by_name() {
  prepare
  # Records that were written together are in one segment.
  local first
  first=$(sqlite3 .sluice/audit.db "SELECT max(first_seq) FROM segments WHERE first_seq <= 2")
  tamper "UPDATE segments SET records = CAST(records || x'00' AS BLOB) WHERE first_seq = $first"
  fails_with corrupt sluice audit verify
  has "$err" "audit record $first is broken"
  is "$(wc -l <"$scratch/err")" 1
  exits 1 sluice audit verify --json
  is "$(json '$.intact') $(json '$.first_broken') $(json '$.error.code')" "0 $first corrupt"
}

test_a_removed_record_is_found() {
  prepare
  # Each check ends a segment, so that others are left on both sides.
  exits 0 sluice exec app.db "INSERT INTO t VALUES (2)" --agent alice
  exits 0 sluice audit verify
  exits 0 sluice exec app.db "INSERT INTO t VALUES (3)" --agent alice
  tamper "DELETE FROM segments WHERE first_seq = (SELECT first_seq FROM segments ORDER BY first_seq LIMIT 1 OFFSET 1)"
  fails_with corrupt sluice audit verify
}

test_old_records_are_removed_and_the_rest_still_verifies() {
  prepare
  exits 0 sluice audit verify
  exits 0 sluice exec app.db "INSERT INTO t VALUES (2)" --agent carol
  exits 0 sluice audit verify
  exits 2 sluice audit prune
  exits 2 sluice audit prune --before yesterday
  has "$err" "--before"
  exits 0 sluice audit prune --before 1h
  has "$out" "removed 0 records"
  exits 0 sluice audit prune --before 0s --json
  [[ "$(json '$.removed')" -ge 3 ]] || give_up "too few were removed: $out"
  [[ "$(json '$.first_seq')" -ge 4 ]] || give_up "the wrong ones are left: $out"
  exits 0 sluice audit verify --json
  is "$(json '$.intact')" "1"
  [[ "$(json '$.pruned')" -ge 3 ]] || give_up "the verdict does not count them: $out"
  is "$(stat -c %a .sluice/audit.key)" 600
  # Another broker continues the audit, and recognizes it.
  exits 0 sluice stop
  exits 0 sluice exec app.db "INSERT INTO t VALUES (3)" --agent dora
  exits 0 sluice audit verify
  exits 0 sluice audit list --json
  has_not "$out" "audit_gap"
  has_not "$out" '"agent":"alice"'
  has "$out" '"agent":"dora"'
  has "$out" '"request_type":"audit.prune"'
  exits 0 sluice doctor
  rm .sluice/audit.key
  fails_with ledger_damaged sluice audit verify
  has "$err" "audit.key is missing"
}

test_a_folder_that_is_no_store_stays_so() {
  fails_with unknown_database sluice status
  fails_with unknown_database sluice audit list
  exits 1 sluice status --json
  is "$(json '$.error.code')" unknown_database
  exits 1 sluice status nowhere
  is "$(ls -A)" ""
}

test_the_status_is_readable_and_complete() {
  prepare
  sqlite3 foreign.db "CREATE TABLE t (x)"
  echo "no database" >notes.db
  exits 0 sluice status
  has "$out" "app.db"
  has "$out" "foreign.db"
  has_not "$out" "notes.db"
  exits 0 sluice status . --json
  is "$(json '$.databases[0].name') $(json '$.databases[0].last_commit_seq')" "app.db 2"
  (($(json '$.databases[0].file_bytes') >= 4096))
  is "$(json '$.leader.in_process') $(json '$.cache.enabled')" "0 1"
  is "$(json '$.totals.commits') $(json '$.totals.committed_requests') $(json '$.slow_warnings')" "2 2 0"
  is "$(json '$.databases[0].time_us.commit.count') $(json '$.databases[0].time_us.execution.count')" "2 3"
  for part in audit buffer log retry host_retry uptime_ms; do
    [[ -n "$(json "$.$part")" ]]
  done
  (($(json '$.uptime_ms') > 0))
  is "$(json '$.leader.pid')" "$(sqlite3 :memory: "SELECT json_extract(readfile('.sluice/broker.json'), '$.pid')")"
  gives "stopped" sluice stop
  exits 0 sluice status --json
  is "$(json '$.leader.in_process')" 1
  is "$(json '$.databases[0].name') $(json '$.databases[0].last_commit_seq')" "app.db 2"
}

# POSIX drops a process's locks on a file when any descriptor of it is closed; SQLite would then
# treat an external process as the last one, and delete the WAL that the broker still uses.
test_a_look_at_the_status_takes_no_lock_from_the_writer() {
  prepare
  local log
  log=$(stat -c %i app.db-wal)
  exits 0 sluice status
  is "$(sqlite3 app.db "SELECT count(*) FROM t")" 1
  is "$(stat -c %i app.db-wal)" "$log"
}

test_the_status_shows_the_slowest_requests() {
  prepare
  exits 0 sluice query app.db --agent slow -p text:secret "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000)
    SELECT count(*) FROM c WHERE ?1 <> ''"
  exits 0 sluice status --json
  is "$(json '$.slow[0].agent') $(json '$.slow[0].operation') $(json '$.slow[0].db')" "slow read app.db"
  has "$(json '$.slow[0].sql')" "WITH RECURSIVE"
  has "$(json '$.slow[0].plan')" "SCAN c"
  (($(json '$.slow[0].execute_us') >= 1000))
  (($(json '$.slow[0].total_us') >= $(json '$.slow[0].execute_us')))
  has_not "$out" secret
  exits 0 sluice status
  has "$out" "WITH RECURSIVE"
  has_not "$out" secret
}

test_requests_beyond_the_limits_are_warned_about() {
  # Warnings are at most one a second, so nothing else may be as slow.
  printf "%s\n" "slow_execution_ms = 100" >sluice.toml
  prepare
  exits 0 sluice query app.db --agent slow "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000)
    SELECT count(*) FROM c"
  exits 0 sluice status --json
  (($(json '$.slow_warnings') >= 1))
  grep -q "slow read by slow on app.db: .* in execution" .sluice/broker.log
  exits 0 sluice logs --level warning
  has "$out" "slow read by slow on app.db"
  has_not "$(<.sluice/broker.log)" "WITH RECURSIVE"
}

test_the_default_agent_is_the_user_and_the_process() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  SLUICE_AGENT=env sluice exec app.db "INSERT INTO t VALUES (1)"
  SLUICE_AGENT=env sluice exec app.db "INSERT INTO t VALUES (1)" --agent given
  exits 0 sluice audit list --json
  [[ "$(json '$.records[0].agent')" == "$(id -un)"@* ]]
  is "$(json '$.records[1].agent') $(json '$.records[2].agent')" "env given"
}

# An unset variable must not take a restriction away.
test_an_empty_agent_capsule_or_key_is_wrong_usage() {
  prepare
  for words in "query app.db SELECT" "exec app.db DROP" "call x" "migrate app.db ." "buffer get app.db t -k k=1" "logs" "audit list"; do
    # shellcheck disable=SC2086
    exits 2 sluice $words --agent ""
    has "$err" "--agent: an agent must not be empty; leave it out"
  done
  exits 2 sluice exec app.db "DROP TABLE t" --capsule ""
  has "$err" "--capsule: a capsule must not be empty; leave it out"
  exits 2 sluice call x --capsule=
  exits 2 sluice call x --key ""
  has "$err" "--key: an idempotency key must not be empty; leave it out"
  exits 2 sluice serve --stdio --agent ""
  exits 2 sluice proof --verify x --key ""
  for words in "query app.db SELECT" "exec app.db DROP --agent me" "call x" status stop "audit list" "capsule show x"; do
    # shellcheck disable=SC2086
    SLUICE_AGENT="" exits 2 sluice $words
    has "$err" "SLUICE_AGENT is empty; unset it"
    # shellcheck disable=SC2086
    SLUICE_CAPSULE="" exits 2 sluice $words
    has "$err" "SLUICE_CAPSULE is empty; unset it"
  done
  exits 2 env SLUICE_AGENT= "$SLUICE" status --json
  is "$(json '$.error.code')" "invalid_request"
}

test_usage_is_explained() {
  exits 0 sluice --help
  has "$out" "exec"
  has "$out" "serve"
  # The usage does not list commands that only programs start.
  has_not "$out" "bench-worker"
  exits 0 sluice exec --help
  has "$out" "--key"
  exits 0 sluice --version
  has "$out" "sluice "
  for wrong in "" "frobnicate" "exec" "exec app.db" "query app.db SELECT --json --csv" "audit" "audit . frob" \
    "query app.db SELECT --max-rows -1" "exec app.db SELECT --frob" "audit list --limit 0" "status a b"; do
    # shellcheck disable=SC2086
    exits 2 sluice $wrong
    has "$err" "sluice: invalid_request: "
  done
  is "$(ls -A)" ""
}

run_tests
