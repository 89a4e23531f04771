#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# A broker that stays as long as the test.
start_broker() {
  "$SLUICE" serve . 2>"$scratch/broker.err" &
  broker=$!
  trap 'kill $broker 2>/dev/null || true; wait $broker || true' EXIT
  until [[ -S .sluice/broker.sock ]]; do
    kill -0 "$broker" || give_up "the broker ended" "$(<"$scratch/broker.err")"
    sleep 0.02
  done
}

# rpc METHOD PARAMS : one call on the socket; its answer.
rpc() { echo '{"jsonrpc":"2.0","id":1,"method":"'"$1"'","params":'"$2"'}' | socat - UNIX-CONNECT:.sluice/broker.sock; }

# say LEVEL SOURCE AGENT MESSAGE
say() { has "$(rpc log '{"level":"'"$1"'","source":"'"$2"'","agent":"'"$3"'","message":"'"$4"'"}')" '"logged":true'; }

prepare() {
  start_broker
  say debug disk alice "one apple"
  say warning net bob "two"
  say error disk bob 'three Apple\nsecond line'
}

# wait_for TEXT FILE : waits until the file has the text.
wait_for() {
  for _ in {1..600}; do
    ! grep -qF -- "$1" "$2" || return 0
    sleep 0.05
  done
  give_up "never seen: $1" "$(<"$2")"
}

test_logs_are_lines_with_time_level_agent_source_and_message() {
  prepare
  exits 0 sluice logs
  is "$(wc -l <"$scratch/out")" 4
  # The broker logs to the same file.
  [[ "$(sed -n 1p "$scratch/out")" =~ ^20[0-9-]+T[0-9:.]+Z\ info\ +sluice:\ sluice\ .*\ serves\  ]]
  [[ "$(sed -n 3p "$scratch/out")" =~ ^20[0-9-]+T[0-9:.]+Z\ warning\ +\[bob\]\ net:\ two$ ]]
  has "$(sed -n 4p "$scratch/out")" '[bob] disk: three Apple\nsecond line'
}

test_logs_are_filtered() {
  prepare
  exits 0 sluice logs --level warning
  is "$(wc -l <"$scratch/out")" 2
  exits 0 sluice logs . --source disk --jsonl
  is "$(wc -l <"$scratch/out")" 2
  exits 0 sluice logs --agent alice
  has "$out" "one apple"
  is "$(wc -l <"$scratch/out")" 1
  exits 0 sluice logs --contains Apple
  is "$(wc -l <"$scratch/out")" 1
  has "$out" "three"
  exits 0 sluice logs --limit 1
  is "$(wc -l <"$scratch/out")" 1
  has "$out" "three"
  exits 0 sluice logs --since 1h --agent bob
  is "$(wc -l <"$scratch/out")" 2
  gives "no entries" sluice logs --since 2999-01-01
  gives "" sluice logs --since 2999-01-01 --jsonl
}

test_logs_are_one_document_or_one_per_line() {
  prepare
  exits 0 sluice logs --json --source disk
  is "$(json '$.entries[0].message') $(json '$.entries[0].level') $(json '$.entries[0].agent')" "one apple debug alice"
  is "$(json '$.entries[1].message')" $'three Apple\nsecond line'
  is "$(json '$.entries[1].id') $(json '$.entries[2]')" "4 "
  (($(json '$.entries[0].ts_us') > 1700000000000000))
  exits 0 sluice logs --jsonl --limit 1
  is "$(json '$.source')" disk
  exits 0 sluice logs --json --since 2999-01-01
  is "$(json '$.entries')" "[]"
}

test_wrong_usage_of_logs_is_reported() {
  for wrong in "--level loud" "--limit 0" "--limit 10001" "--since yesterday" "--json --jsonl" "--json -f" "a b"; do
    # shellcheck disable=SC2086
    exits 2 sluice logs $wrong
    has "$err" "sluice: invalid_request: "
  done
  fails_with unknown_database sluice logs
  exits 1 sluice logs --json
  is "$(json '$.error.code')" unknown_database
  is "$(ls -A)" ""
}

test_logs_can_be_read_without_a_broker_and_reading_them_makes_no_file() {
  SLUICE_PROGRAM=/no/such/program sluice exec app.db "CREATE TABLE t (x)" 2>"$scratch/err"
  gives "no entries" sluice logs
  [[ ! -e .sluice/logs.db ]]
  exits 3 sluice logs --follow
  has "$err" route_required
  prepare
  kill "$broker"
  wait "$broker"
  exits 0 sluice logs --contains apple
  has "$out" "one apple"
  exits 0 sluice logs --contains stopping
  has "$out" "signal 15"
  is "$(ls .sluice/logs.db*)" ".sluice/logs.db"
  is "$(stat -c %a .sluice/logs.db)" 600
}

test_logs_can_be_followed_until_ctrl_c() {
  prepare
  "$SLUICE" logs -f --level warning >"$scratch/followed" 2>"$scratch/follow.err" &
  local follower=$!
  wait_for "three" "$scratch/followed"
  say info disk alice "not of this level"
  say critical disk alice "four"
  wait_for "four" "$scratch/followed"
  say warning disk alice "five"
  wait_for "five" "$scratch/followed"
  kill -INT "$follower"
  wait "$follower"
  is "$(wc -l <"$scratch/followed")" 4
  is "$(<"$scratch/follow.err")" ""
}

test_following_goes_on_with_a_log_that_began_anew() {
  prepare
  "$SLUICE" logs -f --jsonl --limit 1 >"$scratch/followed" &
  local follower=$!
  wait_for "three" "$scratch/followed"
  rm .sluice/logs.db*
  say info disk alice "of the new log"
  wait_for "of the new log" "$scratch/followed"
  say info disk alice "and on"
  wait_for "and on" "$scratch/followed"
  kill -TERM "$follower"
  wait "$follower"
  is "$(wc -l <"$scratch/followed")" 3
}

test_a_reader_that_closes_the_output_ends_following_quietly() {
  prepare
  # The follower notices this without a new entry.
  local status=0
  timeout 20 bash -c '"$SLUICE" logs -f 2>"$1" | head -n 1 >"$2"; exit "${PIPESTATUS[0]}"' - "$scratch/pipe.err" "$scratch/pipe.out" ||
    status=$?
  is "$status" 0
  is "$(<"$scratch/pipe.err")" ""
  has "$(<"$scratch/pipe.out")" "serves"
}

test_logging_by_rpc_is_checked_and_may_be_a_notification() {
  start_broker
  echo '{"jsonrpc":"2.0","method":"log","params":{"level":"info","message":"a notification"}}' |
    socat - UNIX-CONNECT:.sluice/broker.sock >"$scratch/out"
  is "$(<"$scratch/out")" ""
  local answer
  answer=$(rpc logs.recent '{"contains":"a notification"}')
  # A client without an agent is named after its process.
  has "$answer" '"agent":"'"$(id -un)@"
  has "$answer" '"level":"info"'
  for wrong in '{"message":"x"}' '{"level":"info"}' '{"level":"loud","message":"x"}' '{"level":"info","message":5}' \
    '{"level":"info","message":"x","frob":1}'; do
    has "$(rpc log "$wrong")" "-32602"
  done
  has "$(rpc logs.recent '{"limit":0}')" '"field":"limit"'
  has "$(rpc logs.recent '{"since":"yesterday"}')" '"field":"since"'
  has "$(rpc logs.recent '{"since":"1h","after_id":1}')" '"a notification"'
  has "$(rpc logs.recent '{"since":4102444800000000}')" '"entries":[]'
}

test_retry_counters_can_be_reset_by_rpc() {
  start_broker
  is "$(rpc retry.reset '{}')" '{"id":1,"jsonrpc":"2.0","result":{"reset":true}}'
}

test_a_damaged_log_is_renamed_and_replaced_and_reported_once() {
  mkdir -m 700 .sluice
  printf 'not a database, whatever else it may be: %0100d' 0 >.sluice/logs.db
  # A file that others may read is replaced before it is used.
  chmod 600 .sluice/logs.db
  start_broker
  say info disk alice "after the damage"
  exits 0 sluice logs
  has "$out" "error    sluice: the log file could not be used"
  has "$out" "after the damage"
  is "$(find .sluice -name 'logs.db.damaged-*' | wc -l)" 1
  is "$(grep -c 'the log file could not be used' "$scratch/broker.err")" 1
  exits 0 sluice logs --contains "could not be used"
  is "$(wc -l <"$scratch/out")" 1
}

test_a_log_that_cannot_be_written_delays_no_client_and_is_reported_once() {
  # Even root cannot write where SQLite wants a file and there is a folder.
  mkdir -m 700 .sluice
  mkdir .sluice/logs.db-wal
  start_broker
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  for i in {1..60}; do say info disk alice "entry $i"; done
  wait_for "the log file cannot be written" "$scratch/broker.err"
  exits 1 sluice logs
  rmdir .sluice/logs.db-wal
  # The broker retries after a pause.
  for _ in {1..600}; do
    exits 0 sluice logs --contains "entry" --jsonl || true
    [[ "$(wc -l <"$scratch/out")" != 60 ]] || break
    sleep 0.1
  done
  is "$(wc -l <"$scratch/out")" 60
  is "$(grep -c 'the log file cannot be written' "$scratch/broker.err")" 1
}

run_tests
