#!/usr/bin/env bash
# The launcher (`sluice`) runs exec and query itself when a broker runs, and else starts the main program.
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

main() { "${SLUICE%/*}/sluice-main" "$@"; }

# The launcher without the main program, so that all output is its own.
alone() { "$scratch/alone/sluice" "$@"; }

create() {
  exits 0 main exec app.db "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'a'), (2, 'NULL'),
    (3, NULL), (4, 1.5), (5, 2.0), (6, 9007199254740993), (7, x'00ff'), (8, 'é, \"x\"'), (9, CAST(x'61ff' AS TEXT)),
    (10, 9e999), (11, ''), (12, x'$(printf '%080d' 0)'), (13, char(27) || '[1m')"
}

# Without what differs from one request to the next. Where a time-out strikes depends on the machine.
comparable() {
  sed -E -e 's/commit [0-9]+|_seq":[0-9]+|"request_id":"[^"]*"|"source":"[a-z]*"/N/g' \
    -e 's/the time-out passed while the read waited for a reader/the request ran past its deadline/' \
    -e 's/the broker did not answer within the time-out of the read/the request ran past its deadline/' "$1"
}

both_say_the_same() {
  local got_status=0 got_out got_err
  sluice "$@" >"$scratch/out1" 2>"$scratch/err1" || got_status=$?
  got_out=$(comparable "$scratch/out1")
  got_err=$(<"$scratch/err1")
  exits "$got_status" main "$@"
  is "$got_out" "$(comparable "$scratch/out")"
  is "$got_err" "$err"
}

test_the_launcher_prints_what_the_main_program_prints() {
  create
  exits 0 main exec app.db "UPDATE t SET a = a" --key k
  for form in "" --json --csv; do
    # shellcheck disable=SC2086
    both_say_the_same query app.db "SELECT id, a, a IS NULL FROM t ORDER BY id" $form
    # shellcheck disable=SC2086
    both_say_the_same query app.db "SELECT a FROM t WHERE id = 0" $form
    # shellcheck disable=SC2086
    both_say_the_same query app.db "SELECT ?, ?2, ?3, ?4, ?5" -p 1 -p 1.5 -p null -p text:7 --param blob:AP8= --fresh $form
    # shellcheck disable=SC2086
    both_say_the_same query app.db "SELECT wrong" $form
  done
  for form in "" --json; do
    for sql in "UPDATE t SET a = a WHERE id < 9;" "UPDATE t SET a = a WHERE id < 4 RETURNING id, a" "SELECT 1" \
      "INSERT INTO t VALUES (1, 2)" "UPDATE nothing SET a = 1" "UPDATE t SET a = a; UPDATE t SET a = a" " -- nothing" \
      "UPDATE t SET a = 1 WHERE id = ?" "VACUUM"; do
      # shellcheck disable=SC2086
      both_say_the_same exec app.db "$sql" $form
    done
    # shellcheck disable=SC2086
    both_say_the_same exec app.db "UPDATE t SET a = ? WHERE id = 1" -p x --agent alice $form
    # shellcheck disable=SC2086
    both_say_the_same exec app.db "UPDATE t SET a = a" --key k $form
    # shellcheck disable=SC2086
    both_say_the_same exec app.db "UPDATE t SET a = 1" --key k $form
    # shellcheck disable=SC2086
    both_say_the_same exec . "SELECT 1" $form
    # shellcheck disable=SC2086
    both_say_the_same exec absent/app.db "SELECT 1" $form
    # shellcheck disable=SC2086
    both_say_the_same exec app.db "SELECT 1" -p 99999999999999999999 $form
    # shellcheck disable=SC2086
    both_say_the_same exec app.db "SELECT ?" -p blob:x $form
    # shellcheck disable=SC2086
    both_say_the_same exec app.db "SELECT :a" -p a=1 $form
    # shellcheck disable=SC2086
    both_say_the_same exec app.db-wal "SELECT 1" $form
  done
  both_say_the_same query app.db "SELECT 1" --agent "$(printf 'a\xff')"
  both_say_the_same query app.db "SELECT 1" --agent
  both_say_the_same exec
  both_say_the_same exec app.db "SELECT 1" --no-such-option
  both_say_the_same query app.db "SELECT 1" --json --csv
  both_say_the_same query app.db "SELECT id FROM t" --max-rows 2
  both_say_the_same query app.db "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c"
  both_say_the_same query app.db "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c" --csv
  local endless="WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
  both_say_the_same query app.db "$endless" --timeout 300 --json
  both_say_the_same exec app.db "UPDATE t SET a = ($endless)" --deadline 300
  both_say_the_same exec app.db "UPDATE t SET a = 1 /* ; -- */ WHERE id = 1"
  both_say_the_same exec app.db "UPDATE t SET a = '; -- ' WHERE id = 2"
  both_say_the_same help exec
  both_say_the_same --version
}

test_with_a_broker_the_launcher_needs_nothing_of_the_main_program() {
  create
  mkdir "$scratch/alone"
  cp "$SLUICE" "$scratch/alone/sluice"
  exits 0 alone exec app.db "INSERT INTO t VALUES (20, 'x')"
  gives $' n\n--\n14' alone query app.db "SELECT count(*) AS n FROM t"
  fails_with constraint alone exec app.db "INSERT INTO t VALUES (20, 'x')"
  exits 1 alone status
  has "$err" "the rest of the program cannot be run (sluice-main)"
}

test_a_failed_request_of_the_launcher_is_on_record_once() {
  create
  exits 1 sluice exec app.db "INSERT INTO t VALUES (1, 'x')" --agent alice
  exits 4 sluice query app.db "SELECT * FROM t WHERE id < 99" --agent alice --fresh --max-rows 1
  local endless="WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
  exits 1 sluice query app.db "$endless" --agent alice --timeout 100
  # Then all requests are audited.
  exits 0 sluice stop .
  exits 0 sluice audit . list --agent alice --json
  is "$(json '$.records[0].status') $(json '$.records[1].status')" "constraint ok"
  is "$(json '$.records[2].status') $(json '$.records[3].status')" "deadline_exceeded "
}

test_a_longer_request_is_awaited() {
  create
  gives $'      n\n-------\n3000000' sluice query app.db \
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000) SELECT max(n) AS n FROM c" --fresh
}

# A launcher beside a main program that notes its starts. `$1` is what a candidate does first.
note_starts() {
  create
  exits 0 sluice stop .
  mkdir "$scratch/noted"
  cp "$SLUICE" "$scratch/noted/sluice"
  cat >"$scratch/noted/sluice-main" <<END
#!/bin/bash
echo "\$1" >>"$scratch/starts"
case " \$* " in *" --candidate "*) ${1:-:} ;; esac
exec "${SLUICE%/*}/sluice-main" "\$@"
END
  chmod +x "$scratch/noted/sluice-main"
}

noted() { "$scratch/noted/sluice" "$@"; }

starts() { tr '\n' ' ' <"$scratch/starts"; }

test_without_a_broker_the_launcher_starts_one_and_needs_nothing_else_of_the_main_program() {
  note_starts
  exits 0 noted exec app.db "INSERT INTO t VALUES (20, 'x')"
  is "$out" "1 row changed, commit 2"
  is "$(starts)" "serve "
  exits 0 noted query app.db "SELECT 1"
  is "$(starts)" "serve "
  exits 0 sluice stop .
  exits 0 noted query app.db "SELECT 1" --timeout 60000
  is "$(starts)" "serve serve "
}

test_a_broker_that_a_killed_one_left_nothing_to_is_started_by_the_launcher_too() {
  note_starts
  exits 0 sluice exec app.db "SELECT 1"
  kill -9 "$(sqlite3 :memory: "SELECT json_extract(readfile('.sluice/broker.json'), '$.pid')")"
  exits 0 noted exec app.db "INSERT INTO t VALUES (20, 'x')"
  gives $' n\n--\n14' noted query app.db "SELECT count(*) AS n FROM t"
}

test_when_the_broker_that_the_launcher_started_ends_the_main_program_goes_on() {
  note_starts "kill -9 \$\$"
  exits 0 noted exec app.db "INSERT INTO t VALUES (20, 'x')"
  is "$(starts)" "serve exec "
  gives $' n\n--\n14' noted query app.db "SELECT count(*) AS n FROM t"
}

test_when_the_broker_that_the_launcher_started_says_nothing_the_main_program_goes_on() {
  note_starts "echo \$\$ >$scratch/silent; exec sleep 600"
  exits 0 noted exec app.db "INSERT INTO t VALUES (20, 'x')"
  kill "$(<"$scratch/silent")"
  is "$(starts)" "serve exec "
  gives $' n\n--\n14' noted query app.db "SELECT count(*) AS n FROM t"
}

test_the_main_program_starts_the_broker_where_the_launcher_cannot_be_certain() {
  note_starts
  mv .sluice/broker.log .sluice/other
  exits 0 noted exec app.db "INSERT INTO t VALUES (20, 'x')"
  is "$(starts)" "exec "
  exits 0 sluice stop .
  chmod 644 .sluice/broker.log
  exits 0 noted exec app.db "INSERT INTO t VALUES (21, 'x')"
  is "$(starts)" "exec exec "
  exits 0 sluice stop .
  exits 1 noted query absent.db "SELECT 1"
  is "$(starts)" "exec exec query "
}

test_of_many_launchers_at_once_each_is_answered_once() {
  note_starts
  local all=()
  for i in {20..35}; do
    noted exec app.db "INSERT INTO t VALUES ($i, 'x')" >"$scratch/out$i" 2>&1 &
    all+=($!)
  done
  local failures=0
  for pid in "${all[@]}"; do wait "$pid" || failures=$((failures + 1)); done
  is "$failures" 0
  gives $' n\n--\n29' noted query app.db "SELECT count(*) AS n FROM t"
}

run_tests
