#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

library=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scenarios" && pwd)

# The broker of a scenario ends with it.
nobody_is_left() {
  local pid
  for pid in /proc/[0-9]*; do
    [[ "$(tr '\0' ' ' <"$pid/cmdline" 2>/dev/null)" != *"$scratch"* ]] || give_up "left: $(tr '\0' ' ' <"$pid/cmdline")"
  done
}

scenario() { printf 'name: %s\ndatabases: {app.db: [CREATE TABLE t (a)]}\nsteps:\n%s\n' "$1" "$2" >"$1.yaml"; }

test_the_library_of_scenarios_is_true() {
  export TMPDIR=$scratch
  exits 0 sluice scenario "$library"/*.yaml
  has_not "$out" "not ok"
  has "$out" "skipped - A key is forgotten after a day: needs clock.advance"
  is "$(grep -c '^ok - ' <<<"$out")" "$(($(ls "$library"/*.yaml | wc -l) - $(grep -l 'clock\.' "$library"/*.yaml | wc -l)))"
  is "$(find "$scratch" -maxdepth 1 -name 'sluice-scenario-*')" ""
  nobody_is_left
}

test_failed_expectations_are_reported_with_their_position() {
  scenario good '  - ping:'
  scenario bad '  - read: {db: app.db, sql: "SELECT 1 FROM t"}
    expect: {rows: [[1]]}'
  scenario refused '  - write: {db: app.db, sql: INSERT INTO missing VALUES (1)}'
  exits 1 sluice scenario bad.yaml good.yaml refused.yaml
  is "$out" 'not ok - bad
  bad.yaml:5:20: read by someone: expected rows to have 1 item, got 0: []
ok - good
not ok - refused
  refused.yaml:4:5: write by someone failed: sql_error: no such table: missing (not_committed)
1 passed, 2 failed'
  is "$err" ""
}

test_results_are_given_as_one_document() {
  scenario good '  - ping:'
  scenario bad '  - {ping: , expect: {pong: false}}'
  echo "name: x" >wrong.yaml
  exits 2 sluice scenario --json good.yaml bad.yaml wrong.yaml
  is "$(json '$.passed') $(json '$.failed') $(json '$.skipped') $(json '$.wrong')" "1 1 0 1"
  is "$(json '$.scenarios[0].status') $(json '$.scenarios[1].status') $(json '$.scenarios[2].status')" \
    "passed failed wrong"
  is "$(json '$.scenarios[1].complaints[0].line') $(json '$.scenarios[1].complaints[0].column')" "4 29"
  has "$(json '$.scenarios[2].complaints[0].message')" "a scenario needs steps"
}

test_a_file_that_is_no_scenario_is_a_wrong_usage() {
  scenario good '  - ping:'
  printf 'name: x\nsteps:\n  - wirte: {db: app.db}\n' >typo.yaml
  exits 2 sluice scenario typo.yaml good.yaml
  has "$err" "sluice: invalid_request: typo.yaml:3:5: there is no step wirte; did you mean write?"
  has "$out" "ok - good"
  exits 2 sluice scenario nowhere.yaml
  has "$err" "nowhere.yaml: there is no such file"
  exits 2 sluice scenario
  exits 2 sluice scenario --time-limit 0 good.yaml
  head -c 3000000 /dev/zero | tr '\0' 'a' >huge.yaml
  exits 2 sluice scenario huge.yaml
  has "$err" "a scenario may have 1048576"
  exits 0 sluice scenario --check good.yaml
  is "$out" ""
}

test_databases_and_settings_that_cannot_be_used_are_said_to_be_wrong() {
  printf 'name: x\ndatabases:\n  app.db:\n    - CREATE TABLE t (a)\n    - CREATE TBALE u (a)\nsteps: [ping: ]\n' >sql.yaml
  exits 2 sluice scenario sql.yaml
  has "$out" "sql.yaml:5:7: sql_error: app.db: near \"TBALE\": syntax error"
  printf 'name: x\nsettings: {readers: 1000}\nsteps: [ping: ]\n' >setting.yaml
  exits 2 sluice scenario --check setting.yaml
  has "$err" "setting.yaml:2:21: readers = 1000 cannot be used"
}

test_the_folder_is_kept_if_asked_for() {
  export TMPDIR=$scratch
  scenario good '  - write: {db: app.db, sql: INSERT INTO t VALUES (5)}'
  exits 0 sluice scenario --keep good.yaml
  has "$out" "  kept in $scratch/sluice-scenario-"
  is "$(sqlite3 "$scratch"/sluice-scenario-*/store/app.db "SELECT a FROM t")" 5
}

test_the_settings_of_the_shell_do_not_count() {
  export SLUICE_CACHE=off SLUICE_ENDPOINT=/nowhere SLUICE_READERS=nonsense
  scenario good '  - status:
    expect: {cache: {enabled: true}}'
  exits 0 sluice scenario good.yaml
}

test_a_scenario_that_hangs_is_ended() {
  export TMPDIR=$scratch
  scenario hangs '  - wait: {for_ms: 3600000}'
  exits 1 sluice scenario --time-limit 0.3 hangs.yaml
  has "$out" "not at its end after 300 ms"
  nobody_is_left
}

test_each_step_is_printed_on_request() {
  scenario good '  - {agent: alice, ping: }'
  exits 0 sluice scenario --verbose good.yaml
  has "$err" '  line 4: ping by alice: {"pid":'
}

run_tests
