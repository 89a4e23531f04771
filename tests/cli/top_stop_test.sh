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

test_top_and_stop_say_when_there_is_no_broker() {
  exits 1 sluice top
  gives "no broker is running" sluice stop
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  gives "stopped" sluice stop
  gives "no broker is running" sluice stop
  exits 3 sluice top
  has "$err" "route_required"
}

test_a_stopped_broker_leaves_nothing_but_the_audit_and_its_log() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  gives "stopped" sluice stop
  is "$(ls -A .sluice | tr '\n' ' ')" "audit.db broker.log "
  is "$(ls)" "app.db"
}

test_a_broker_can_be_required() {
  export SLUICE_PROGRAM=/no/such/program
  exits 3 sluice exec app.db "CREATE TABLE t (x)" --require-broker --json
  is "$(json '$.error.code')" "route_required"
  is "$(ls)" ""
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  has "$err" "leads the store itself"
}

test_a_slow_request_is_in_the_log_with_its_agent_and_operation() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  gives "stopped" sluice stop
  has_not "$(cat .sluice/broker.log)" "slow:"
  export SLUICE_SLOW_AFTER_MS=1
  exits 0 sluice query app.db --agent alice "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000)
                                             SELECT count(*) FROM c"
  gives "stopped" sluice stop
  has "$(cat .sluice/broker.log)" "slow: read of alice took "
}

run_tests
