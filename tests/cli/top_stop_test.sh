#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

test_top_shows_what_a_broker_does() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)" --agent alice
  exits 0 sluice exec app.db "INSERT INTO t VALUES (1)" --agent bob
  exits 0 sluice top --count 2 --interval 0.1
  has "$out" "transient"
  has "$out" "app.db"
  has "$out" "alice"
  has "$out" "P99.9"
  is "$(grep -c '^sluice ' <<<"$out")" 2
}

test_a_command_whose_output_cannot_be_written_fails() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  for command in "top --count 1" "status" "logs" "audit list" "buffer list" "doctor" "--help" "--version" \
    "scenario --schema"; do
    # shellcheck disable=SC2086
    exits 1 to_a_full_disk sluice $command
    has "$err" "sluice: io_error: cannot write the output"
  done
}

to_a_full_disk() { "$@" >/dev/full; }

test_top_and_stop_say_when_there_is_no_broker() {
  exits 1 sluice top
  gives "no broker is running" sluice stop
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  gives "stopped" sluice stop
  gives "no broker is running" sluice stop
  exits 3 sluice top
  has "$err" "route_required"
}

test_a_stopped_broker_leaves_nothing_but_the_audit_and_its_logs() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  gives "stopped" sluice stop
  is "$(ls -A .sluice | tr '\n' ' ')" "audit.db broker.log files.json logs.db "
  is "$(ls)" "app.db"
}

test_a_broker_can_be_required() {
  export SLUICE_PROGRAM=/no/such/program
  exits 3 sluice exec app.db "CREATE TABLE t (x)" --require-broker --json
  is "$(json '$.error.code')" "route_required"
  is "$(ls)" ""
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  has "$err" "leads the store itself"
  has "$err" "set SLUICE_PROGRAM"
}

test_a_slow_request_is_in_the_log_with_its_agent_and_operation() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  gives "stopped" sluice stop
  has_not "$(cat .sluice/broker.log)" "slow"
  export SLUICE_SLOW_EXECUTION_MS=1
  exits 0 sluice exec app.db --agent alice "INSERT INTO t WITH RECURSIVE c(x) AS
    (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000) SELECT x FROM c"
  gives "stopped" sluice stop
  has "$(cat .sluice/broker.log)" "slow write by alice on app.db: "
  has "$(cat .sluice/broker.log)" "; ok, request "
}

test_the_wait_for_an_external_lock_is_shown_separately() {
  export SLUICE_RETRY_ATTEMPTS=100
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  mkfifo "$scratch/free"
  python3 -u - "$scratch/free" <<'PYTHON' >"$scratch/held" &
import sqlite3, sys
db = sqlite3.connect("app.db", isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("ready", flush=True)
open(sys.argv[1]).close()
db.execute("COMMIT")
PYTHON
  until grep -q ready "$scratch/held"; do
    sleep 0.02
  done
  sluice exec app.db --agent patient "INSERT INTO t VALUES (1)" >"$scratch/written" &
  until exits 0 sluice status --json && (($(json '$.databases[0].retry.retries') > 1)); do
    sleep 0.02
  done
  : >"$scratch/free"
  wait
  has "$(cat "$scratch/written")" "1 row changed"
  exits 0 sluice status --json
  is "$(json '$.slow[0].agent')" patient
  (($(json '$.slow[0].lock_us') > 50000))
  (($(json '$.slow[0].queue_us') < $(json '$.slow[0].lock_us')))
}

run_tests
