#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

create() { gives "0 rows changed, commit 1" sluice exec app.db "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"; }

test_a_write_prints_its_changes_and_its_commit() {
  create
  gives "1 row changed, commit 2" sluice exec app.db "INSERT INTO t (name) VALUES ('a')"
  gives "2 rows changed, commit 3" sluice exec app.db "INSERT INTO t (name) VALUES ('b'), ('c')"
  gives $'count(*)\n--------\n       3' sluice query app.db "SELECT count(*) FROM t"
}

test_several_statements_are_applied_as_a_whole() {
  create
  gives "2 rows changed, commit 2" sluice exec app.db "INSERT INTO t VALUES (1, 'a;b'); INSERT INTO t VALUES (2, 'c');"
  fails_with constraint sluice exec app.db "INSERT INTO t VALUES (3, 'd'); INSERT INTO t VALUES (1, 'again')"
  sluice query app.db "SELECT count(*) AS n FROM t" --json >"$scratch/out"
  is "$(json '$.rows[0][0]')" 2
}

test_a_trigger_is_one_statement() {
  create
  exits 0 sluice exec app.db "CREATE TABLE log (x); CREATE TRIGGER after_t AFTER INSERT ON t BEGIN
    INSERT INTO log VALUES ('one;'); INSERT INTO log VALUES (2); END; INSERT INTO t VALUES (1, 'a')"
  gives $'n\n-\n2' sluice query app.db "SELECT count(*) AS n FROM log"
}

test_sql_comes_from_stdin_too() {
  echo "CREATE TABLE t (x); -- a comment; with semicolon
        INSERT INTO t VALUES (1);" | sluice exec app.db - >"$scratch/out"
  is "$(<"$scratch/out")" "1 row changed, commit 1"
}

test_sql_comes_from_a_file_too() {
  printf 'BEGIN IMMEDIATE;\nCREATE TABLE t (x);\nINSERT INTO t VALUES (1);\nCOMMIT;\n' >script.sql
  gives "1 row changed, commit 1" sluice exec app.db -f script.sql
  echo "SELECT x FROM t WHERE x = ?" >read.sql
  gives $'x\n-\n1' sluice query app.db -f read.sql -p 1
  exits 2 sluice query app.db "SELECT 1" -f read.sql
  exits 2 sluice query app.db
  has "$err" "is required"
  exits 2 sluice query app.db -f no-such-file.sql
  has "$err" "no-such-file.sql"
  # Within a request there is no other transaction.
  fails_with invalid_request sluice exec app.db "BEGIN; INSERT INTO t VALUES (2); COMMIT; INSERT INTO t VALUES (3)"
  fails_with invalid_request sluice exec app.db "BEGIN; ROLLBACK; COMMIT"
  # Without its semicolon the word is a part of the statement behind it.
  exits 1 sluice exec app.db $'BEGIN\nINSERT INTO t VALUES (2);\nINSERT INTO t VALUES (3);\nCOMMIT;'
  exits 1 sluice exec app.db "BEGIN; INSERT INTO t VALUES (2); COMMIT INSERT INTO t VALUES (3)"
  exits 1 sluice exec app.db "BEGIN DROP TABLE t; INSERT INTO t VALUES (2); END"
  gives $'n\n-\n1' sluice query app.db "SELECT count(*) AS n FROM t"
}

test_values_come_from_files_and_from_json() {
  create
  printf 'a=b\n' >value.txt
  head -c 300 /dev/urandom >value.bin
  exits 0 sluice exec app.db "INSERT INTO t VALUES (1, ?)" -p text:@value.txt
  exits 0 sluice exec app.db "INSERT INTO t VALUES (2, :name)" -p name=blob:@value.bin
  gives $'a\n-\n1' sluice query app.db "SELECT count(*) AS a FROM t WHERE id = 1 AND name = 'a=b' || char(10)"
  is "$(sluice query app.db "SELECT hex(name) AS h FROM t WHERE id = 2" --csv | tail -n 1 | tr -d '\r')" \
    "$(od -An -v -tx1 value.bin | tr -d ' \n' | tr a-f A-F)"
  exits 2 sluice exec app.db "INSERT INTO t VALUES (3, ?)" -p text:@no-such-file
  has "$err" "no-such-file"
  exits 0 sluice exec app.db "INSERT INTO t VALUES (?, ?)" --params '[4, "text"]'
  exits 0 sluice exec app.db "INSERT INTO t VALUES (:id, :name)" --params '{"id": 5, "name": {"$blob": "AAE="}}'
  gives $'n\n-\n2' sluice query app.db "SELECT count(*) AS n FROM t WHERE id > :least AND typeof(name) IN ('text', 'blob')" \
    --params '{"least": 3}'
  exits 2 sluice query app.db "SELECT ?" --params '[1' --json
  has "$out" "--params"
  exits 2 sluice query app.db "SELECT ?" --params '[true]'
  has "$err" "--params[0]"
  exits 2 sluice query app.db "SELECT ?" --params '[1]' -p 1
  exits 2 sluice query app.db "SELECT 1" --params ''
}

test_returning_rows_come_before_the_line() {
  create
  gives $'id  name\n--  ----\n 1  a\n1 row changed, commit 2' \
    sluice exec app.db "INSERT INTO t (name) VALUES (?) RETURNING id, name" -p a
}

test_parameters_keep_their_types() {
  create
  exits 0 sluice query app.db "SELECT typeof(?1), typeof(?2), typeof(?3), typeof(?4), typeof(?5), ?6, ?7, ?8" --json \
    -p -5 -p 1.5 -p null -p text:5 -p blob:AAE= -p '{}' -p '[1,2]' -p ''
  is "$(json '$.rows[0]')" '["integer","real","null","text","blob","{}","[1,2]",""]'
  exits 0 sluice query app.db "SELECT :a, @b, \$c_1" --json -p a=1 -p b=x=y -p c_1=text:5
  is "$(json '$.rows[0]')" '[1,"x=y","5"]'
  exits 0 sluice query app.db "SELECT ?" --json -p text:a=b
  is "$(json '$.rows[0][0]')" 'a=b'
  exits 0 sluice query app.db "SELECT ?" --json -p '1=b'
  is "$(json '$.rows[0][0]')" '1=b'
}

test_parameters_that_cannot_be_read_are_wrong_usage() {
  exits 2 sluice query app.db "SELECT ?, :a" -p 1 -p a=1
  has "$err" "sluice: invalid_request: -p is given both"
  exits 2 sluice query app.db "SELECT ?" -p 99999999999999999999
  has "$err" "sluice: invalid_request: -p 99999999999999999999: "
  exits 2 sluice query app.db "SELECT ?" -p 'blob:!'
  exits 2 sluice exec app.db "SELECT ?; SELECT 1" -p 1
  [[ ! -e .sluice ]]
}

test_a_table_is_aligned_and_cannot_break_the_terminal() {
  create
  exits 0 sluice exec app.db "INSERT INTO t VALUES (1, 'é'), (10, NULL), (100, 'NULL'),
    (1000, char(27) || '[31m' || char(10) || char(0x202e) || 'x'), (10000, x'00ff')"
  gives "\
   id  name
-----  -----------------
    1  é
   10  NULL
  100  'NULL'
 1000  \\x1b[31m\\n\\u202ex
10000  x'00ff'" sluice query app.db "SELECT id, name FROM t"
}

test_csv_is_quoted_where_needed() {
  create
  exits 0 sluice exec app.db "INSERT INTO t VALUES (1, 'a,b'), (2, 'say \"x\"'), (3, NULL), (4, ''), (5, 'l' || char(10))"
  sluice query app.db "SELECT id, name FROM t" --csv >"$scratch/out"
  printf 'id,name\r\n1,"a,b"\r\n2,"say ""x"""\r\n3,\r\n4,""\r\n5,"l\n"\r\n' | cmp - "$scratch/out"
}

test_a_cut_answer_says_so() {
  create
  exits 0 sluice exec app.db "INSERT INTO t (name) VALUES ('a'), ('b'), ('c')"
  exits 4 sluice query app.db "SELECT name FROM t" --max-rows 2
  has "$err" "truncated: the output ends after 2 rows"
  has "$err" "--max-rows"
  exits 4 sluice query app.db "SELECT name FROM t" --max-rows 2 --json
  is "$(json '$.truncated')" 1
  exits 0 sluice query app.db "SELECT name FROM t" --max-rows 3
  is "$err" ""
}

test_every_row_is_printed_if_all_are_wanted() {
  local numbers="WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 120000)"
  exits 0 sluice exec app.db "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"
  exits 0 sluice exec app.db "$numbers INSERT INTO t SELECT x, printf('%0100d', x) FROM n"
  exits 4 sluice query app.db "SELECT * FROM t" --csv
  exits 0 sluice query app.db "SELECT * FROM t ORDER BY a" --csv --all
  is "$(wc -l <"$scratch/out")" 120001
  has "$(tail -n 1 "$scratch/out")" "120000,"
  exits 0 sluice query app.db "SELECT a FROM t" --json --all
  is "$(json '$.truncated')" 0
  is "$(json '$.rows[119999][0]')" 120000
  exits 2 sluice query app.db "SELECT a FROM t" --all --max-rows 5
}

test_reads_can_ask_for_freshness() {
  create
  exits 0 sluice query app.db "SELECT 1" --fresh
  exits 0 sluice query app.db "SELECT 1" --min-seq 1
  fails_with invalid_request sluice query app.db "SELECT 1" --min-seq 7
  exits 2 sluice query app.db "SELECT 1" --min-seq 1 --fresh
}

test_an_empty_key_is_wrong_usage() {
  exits 2 sluice exec app.db "CREATE TABLE t (x)" --key ""
  has "$err" "sluice: invalid_request: --key: an idempotency key must not be empty; leave it out"
  [[ ! -e app.db ]]
}

test_rows_for_a_closed_output_are_a_failure() {
  create
  for command in 'query app.db "SELECT 1"' 'query app.db "SELECT 1" --all' 'query app.db "SELECT 1" --json' 'status .' \
    'audit . list'; do
    exits 1 sh -c "\"\$0\" $command >&-" "$SLUICE"
    has "$err" "sluice: io_error: cannot write the output: standard output is closed"
  done
  exits 1 sh -c '"$0" serve . --stdio </dev/null >&-' "$SLUICE"
  has "$err" "sluice: io_error: the answers cannot be written: standard output is closed"
}

test_sql_with_a_zero_byte_is_refused_as_such() {
  create
  exits 1 sh -c 'printf "SELECT 1\0, 2" | "$0" query app.db -' "$SLUICE"
  has "$err" "sluice: invalid_request: the SQL holds a zero byte"
}

test_names_that_sqlite_cannot_open_are_refused_as_too_long() {
  local name
  name=$(printf 'a%.0s' {1..248})
  exits 1 sluice exec "$name" "CREATE TABLE t (x)"
  has "$err" "sluice: invalid_request: db "
  has "$err" "name is too long: it has 248 bytes; at most 247 are allowed"
  exits 0 sluice exec "${name%a}" "CREATE TABLE t (x)"
}

test_a_store_root_that_may_not_be_entered_is_named_as_the_reason() {
  ((EUID == 0)) && command -v setpriv >/dev/null || return 0
  mkdir closed
  chmod 711 "$scratch" .
  cp "$SLUICE" ./program
  cp "${SLUICE%/*}/sluice-main" .
  chmod 600 closed
  for command in "exec closed/app.db x" "query closed/app.db x" "serve closed" "status closed" "stop closed" "audit closed list"; do
    # shellcheck disable=SC2086
    exits 1 setpriv --reuid=65534 --regid=65534 --clear-groups ./program $command
    has "$err" "sluice: not_authorized: "
    has "$err" "enter"
  done
}

test_the_same_key_is_applied_once() {
  create
  gives "1 row changed, commit 2" sluice exec app.db "INSERT INTO t (name) VALUES ('a')" --key k
  gives "1 row changed, commit 2 (replayed)" sluice exec app.db "INSERT INTO t (name) VALUES ('a')" --key k
  exits 0 sluice exec app.db "INSERT INTO t (name) VALUES ('a')" --key k --json
  is "$(json '$.replayed') $(json '$.outcome') $(json '$.commit_seq')" "1 committed 2"
  fails_with payload_mismatch sluice exec app.db "INSERT INTO t (name) VALUES ('b')" --key k
  gives $'n\n-\n1' sluice query app.db "SELECT count(*) AS n FROM t"
}

test_with_json_a_failure_is_one_document_too() {
  create
  exits 1 sluice exec app.db "INSERT INTO nowhere VALUES (1)" --json
  is "$(json '$.error.code') $(json '$.error.outcome')" "sql_error not_committed"
  has "$err" "sluice: sql_error: "
  exits 1 sluice query app.db "SELEC" --json
  is "$(json '$.error.code')" "sql_error"
  exits 2 sluice exec app.db --json
  is "$(json '$.error.code')" "invalid_request"
  exits 2 sluice query app.db "SELECT ?" --json -p 99999999999999999999
  is "$(json '$.error.code')" "invalid_request"
}

test_statements_reserved_for_the_broker_are_refused() {
  create
  for sql in "ATTACH 'x.db' AS x" "DETACH x" "PRAGMA journal_mode = DELETE" "BEGIN" "COMMIT" "ROLLBACK" "SAVEPOINT a" \
    "VACUUM INTO 'copy.db'" "SELECT load_extension('x')" "DROP TABLE _sluice_commits" "DELETE FROM _sluice_keys"; do
    exits 1 sluice exec app.db "$sql"
  done
  exits 1 sluice query app.db "INSERT INTO t VALUES (1, 'x')"
  exits 1 sluice query app.db "SELECT 1; SELECT 2"
  exits 2 sluice exec app.db "  ; -- nothing"
  [[ ! -e x.db && ! -e copy.db ]]
  gives "1 row changed, commit 2" sluice exec app.db "INSERT INTO t (name) VALUES ('a')"
}

test_a_host_can_stop_reading_at_any_time() {
  create
  exits 0 sluice exec app.db "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
    INSERT INTO t SELECT i, printf('%0100d', i) FROM n"
  local statuses
  set +e
  sluice query app.db "SELECT * FROM t" 2>"$scratch/err" | head -n 1 >"$scratch/out"
  statuses=("${PIPESTATUS[@]}")
  set -e
  is "${statuses[0]}" 0
  is "$(<"$scratch/err")" ""
  exits 1 sh -c '"$0" query app.db "SELECT 1" >/dev/full' "$SLUICE"
  has "$err" "sluice: io_error: "
}

test_the_deadline_is_kept() {
  create
  fails_with deadline_exceeded sluice exec app.db --deadline 50 "WITH RECURSIVE n(i) AS
    (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) INSERT INTO t SELECT NULL, max(i) FROM n"
  exits 2 sluice exec app.db "SELECT 1" --deadline 0
  exits 2 sluice exec app.db "SELECT 1" --deadline soon
}

test_the_time_of_a_read_is_bounded_and_can_be_chosen() {
  create
  local endless="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
  fails_with deadline_exceeded sluice query app.db "$endless" --timeout 50
  has_not "$err" "--timeout"
  exits 2 sluice query app.db "SELECT 1" --timeout 0
  exits 2 sluice query app.db "SELECT 1" --timeout 5 --all
  gives "stopped" sluice stop
  export SLUICE_READ_TIMEOUT_MS=50
  fails_with deadline_exceeded sluice query app.db "$endless"
  has "$err" "--timeout MS"
}

test_wrong_usage_names_the_help_that_has_the_answer() {
  exits 2 sluice exce app.db "SELECT 1"
  is "$err" "sluice: invalid_request: there is no command 'exce'; sluice --help lists them"
  exits 2 sluice exce app.db --json
  is "$(json '$.error.code')" "invalid_request"
  exits 2 sluice exec app.db
  has "$err" "see sluice exec --help"
  exits 2 sluice audit list --no-such-option
  has "$err" "see sluice audit list --help"
  exits 2 sluice
  has "$err" "see sluice --help"
  exits 2 sluice ""
}

test_help_is_a_command_too() {
  exits 0 sluice help
  has "$out" "Usage: sluice [OPTIONS] SUBCOMMAND"
  exits 0 sluice help exec
  has "$out" "Usage: sluice exec"
  exits 0 sluice help audit list
  has "$out" "Usage: sluice audit list"
  exits 2 sluice help exce
  has "$err" "there is no command 'exce'"
}

test_errors_name_the_remedy() {
  fails_with unknown_database sluice exec nowhere/app.db "SELECT 1"
  has "$err" "the folder of the store does not exist; create it first"
  create
  fails_with sql_error sluice exec app.db 'INSERT INTO t (name) VALUES ("a")'
  has "$err" "no such column: a; double quotes are for names"
  gives "stopped" sluice stop
  exits 3 sluice cancel some-request
  has "$err" "sluice serve"
}

test_a_table_is_rebuilt_and_its_children_stay() {
  exits 0 sluice exec app.db "CREATE TABLE parent (id INTEGER PRIMARY KEY, n TEXT);
    CREATE TABLE child (pid INT REFERENCES parent (id) ON DELETE CASCADE);
    INSERT INTO parent VALUES (1, 'a'), (2, 'b'); INSERT INTO child VALUES (1), (2)"
  local rebuild="CREATE TABLE p2 (id INTEGER PRIMARY KEY, n TEXT NOT NULL); INSERT INTO p2 SELECT * FROM parent;
    DROP TABLE parent; ALTER TABLE p2 RENAME TO parent"
  fails_with constraint sluice exec app.db "$rebuild"
  has "$err" "statement 3: DROP TABLE parent deletes its rows first"
  has "$err" "rows of child"
  has "$err" "--foreign-keys off"
  exits 0 sluice exec app.db "$rebuild" --foreign-keys off
  gives $'n\n-\n2' sluice query app.db "SELECT count(*) AS n FROM child"
  fails_with constraint sluice exec app.db "DELETE FROM parent WHERE id = 1" --foreign-keys off
  has "$err" "row 1 of table child refers to no row of parent"
  exits 2 sluice exec app.db "SELECT 1" --foreign-keys maybe
}

test_the_user_version_is_set_and_read() {
  exits 0 sluice exec app.db "CREATE TABLE t (a); PRAGMA user_version = 3"
  gives $'user_version\n------------\n           3' sluice query app.db "PRAGMA user_version"
  fails_with invalid_request sluice query app.db "PRAGMA user_version = 4"
  fails_with invalid_request sluice exec app.db "PRAGMA journal_mode = DELETE"
}

test_a_database_has_settings_of_its_own() {
  printf '[[database]]\ndb = "small.db"\nread_max_rows = 2\nmax_value_bytes = 65536\n' >sluice.toml
  for db in small.db other.db; do
    exits 0 sluice exec $db "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3)"
  done
  exits 4 sluice query small.db "SELECT a FROM t"
  exits 0 sluice query other.db "SELECT a FROM t"
  fails_with too_large sluice exec small.db "INSERT INTO t VALUES (zeroblob(100000))"
  exits 0 sluice exec other.db "INSERT INTO t VALUES (zeroblob(100000))"
}

test_databases_are_for_their_owner_alone() {
  umask 0
  create
  is "$(stat -c %a app.db)" 600
}

run_tests
