#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# Puts stay pending until a flush, or the end of the broker.
export SLUICE_BUFFER_INTERVAL_MS=3600000
export SLUICE_LINGER_MS=60000

prepare() {
  trap 'sluice stop >/dev/null' EXIT
  gives "0 rows changed, commit 1" sluice exec app.db "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b DEFAULT 'none')"
}

put() { exits 0 sluice buffer put app.db t "$@"; }

in_database() { sqlite3 app.db "SELECT id, a, b FROM t ORDER BY id"; }

test_a_row_that_is_put_is_written_when_the_buffer_is_flushed() {
  prepare
  gives "taken, 1 row pending" sluice buffer put app.db t -k id=1 -v a=x
  gives "taken, 1 row pending" sluice buffer put app.db t -k id=1 -v b=y
  gives "taken, 2 rows pending" sluice buffer put app.db t -k id=2 -v a=text:5
  is "$(in_database)" ""
  gives "2 rows written, 0 set aside, 0 kept" sluice flush
  is "$(in_database)" "$(printf '1|x|y\n2|5|none')"
  gives "0 rows written, 0 set aside, 0 kept" sluice flush .
}

test_updates_and_deletes_are_put_by_flag() {
  prepare
  gives "1 row changed, commit 2" sluice exec app.db "INSERT INTO t VALUES (1, 'x', 'y')"
  put -k id=1 -v a=z --update
  put -k id=2 -v a=z --update
  sluice flush >/dev/null
  is "$(in_database)" "1|z|y"
  put -k id=1 --delete
  sluice flush >/dev/null
  is "$(in_database)" ""
  exits 2 sluice buffer put app.db t -k id=1 --delete --update
}

test_a_pending_row_is_shown_as_it_will_be() {
  prepare
  sluice exec app.db "INSERT INTO t VALUES (1, 'x', 'y')" >/dev/null
  put -k id=1 -v a=null
  exits 0 sluice buffer get app.db t -k id=1
  has "$out" "NULL  y"
  exits 0 sluice buffer get app.db t -k id=1 --json
  is "$(json $.row.b) $(json $.found) $(json $.pending)" "y 1 1"
  gives "no such row" sluice buffer get app.db t -k id=2
}

test_the_journal_is_named_in_the_receipt() {
  export SLUICE_BUFFER_JOURNAL=true
  prepare
  gives "taken, 1 row pending, in the journal" sluice buffer put app.db t -k id=1 -v a=x
  exits 0 sluice buffer put app.db t -k id=2 --json
  is "$(json $.journaled) $(json $.pending)" "1 2"
}

test_a_row_that_the_database_refuses_is_listed_and_can_be_tried_again() {
  prepare
  sluice exec app.db "CREATE UNIQUE INDEX once ON t (a)" >/dev/null
  put -k id=1 -v a=same --agent alice
  put -k id=2 -v a=same --agent bob
  put -k id=3 -v a=other
  gives "2 rows written, 1 set aside, 0 kept" sluice flush
  exits 0 sluice buffer list
  has "$out" "constraint"
  has "$out" "id=2"
  has "$out" "bob"
  exits 0 sluice buffer . list --json
  is "$(json '$.rows[0].key.id') $(json '$.rows[0].values.a') $(json '$.rows[0].agent')" "2 same bob"
  gives "1 row requeued" sluice buffer requeue
  gives "0 rows written, 1 set aside, 0 kept" sluice flush
  sluice exec app.db "DROP INDEX once" >/dev/null
  gives "0 rows requeued" sluice buffer . requeue 4711
  has "$err" "sluice buffer list"
  exits 0 sluice buffer list --json
  gives "1 row requeued" sluice buffer . requeue "$(json '$.rows[0].id')"
  gives "1 row written, 0 set aside, 0 kept" sluice flush
  gives "no rows are set aside" sluice buffer list
  is "$(in_database)" "$(printf '1|same|none\n2|same|none\n3|other|none')"
}

test_rows_that_were_refused_can_be_forgotten() {
  prepare
  sluice exec app.db "CREATE UNIQUE INDEX once ON t (a)" >/dev/null
  for id in 1 2 3; do put -k id=$id -v a=same; done
  gives "1 row written, 2 set aside, 0 kept" sluice flush
  exits 0 sluice buffer list --json
  gives "1 row discarded" sluice buffer discard "$(json '$.rows[0].id')"
  exits 0 sluice buffer discard --json
  is "$(json $.discarded)" 1
  gives "0 rows discarded" sluice buffer discard
}

test_a_flush_can_be_for_one_database_or_table() {
  prepare
  sluice exec app.db "CREATE TABLE u (id INTEGER PRIMARY KEY)" >/dev/null
  sluice exec other.db "CREATE TABLE t (id INTEGER PRIMARY KEY)" >/dev/null
  put -k id=1
  exits 0 sluice buffer put app.db u -k id=1
  exits 0 sluice buffer put other.db t -k id=1
  gives "1 row written, 0 set aside, 0 kept" sluice flush --db app.db --table u
  gives "1 row written, 0 set aside, 0 kept" sluice flush --db ./other.db
  exits 0 sluice flush --json
  is "$(json $.flushed) $(json $.kept)" "1 0"
}

test_a_flush_fails_while_an_external_lock_keeps_rows_from_being_written() {
  export SLUICE_RETRY_ATTEMPTS=0 SLUICE_BUSY_TIMEOUT_MS=10
  prepare
  put -k id=1 -v a=x
  coproc sqlite3 app.db
  echo "BEGIN EXCLUSIVE; SELECT 'locked';" >&"${COPROC[1]}"
  read -r line <&"${COPROC[0]}"
  is "$line" "locked"
  exits 1 sluice flush --json
  is "$(json $.flushed) $(json $.kept)" "0 1"
  has "$err" "rows were kept, and are tried again"
  printf 'ROLLBACK;\n.quit\n' >&"${COPROC[1]}"
  wait "$COPROC_PID" || true
  exits 0 sluice flush
  is "$(in_database)" "1|x|none"
}

test_an_invalid_row_is_refused_with_the_reason() {
  prepare
  fails_with sql_error sluice buffer put app.db nothing -k id=1
  fails_with invalid_request sluice buffer put app.db t -k a=1
  has "$err" "a"
  fails_with invalid_request sluice buffer put app.db t -k id=1 -v c=1
  has "$err" "c"
  fails_with invalid_request sluice buffer put app.db t -k id=1 -v ID=2
  has "$err" "names the column ID again"
  fails_with invalid_request sluice buffer put app.db t -k id=1 -v a=1 --delete
  fails_with invalid_request sluice buffer put app.db t -k id=1 --update
  exits 2 sluice buffer put app.db t
  exits 2 sluice buffer put app.db t -k id
  has "$err" "COLUMN=VALUE"
  exits 2 sluice buffer put app.db t -k =1
  exits 2 sluice buffer
  exits 1 sluice buffer put app.db nothing -k id=1 --json
  is "$(json $.error.code)" sql_error
}

test_a_folder_that_is_no_store_is_not_made_one() {
  mkdir plain
  fails_with unknown_database sluice flush plain
  fails_with unknown_database sluice buffer plain list
  [[ ! -e plain/.sluice ]]
}

test_no_broker_is_started_where_nothing_can_be_buffered() {
  prepare
  sluice stop >/dev/null
  gives "0 rows written, 0 set aside, 0 kept" sluice flush
  gives "no rows are set aside" sluice buffer list
  [[ ! -e .sluice/broker.sock ]]
  [[ ! -e .sluice/buffer.db ]]
}

test_rejected_rows_are_listed_without_a_broker() {
  prepare
  sluice exec app.db "CREATE UNIQUE INDEX once ON t (a)" >/dev/null
  put -k id=1 -v a=same
  put -k id=2 -v a=same
  sluice stop >/dev/null
  is "$(in_database)" "1|same|none"
  exits 0 sluice buffer list --json
  is "$(json '$.rows[0].key.id')" 2
  [[ ! -e .sluice/broker.sock ]]
  is "$(stat -c %a .sluice/buffer.db)" 600
  [[ ! -e .sluice/buffer.db-wal ]]
}

test_rows_that_a_broker_cannot_write_before_it_ends_are_kept_or_it_fails() {
  exits 0 sluice exec app.db "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"
  gives "stopped" sluice stop
  for kept in yes no; do
    "$SLUICE" serve 2>"$scratch/served" &
    until [[ -e .sluice/broker.json ]]; do
      sleep 0.02
    done
    exits 0 sluice buffer put app.db t -k id=7 -v v=1
    sqlite3 app.db "CREATE TRIGGER evil AFTER INSERT ON _sluice_keys BEGIN SELECT 1; END"
    [[ $kept == yes ]] || { mv .sluice/buffer.db "$scratch" && mkdir .sluice/buffer.db; }
    gives "stopped" sluice stop
    status=0
    wait $! || status=$?
    if [[ $kept == yes ]]; then
      is "$status" 0
      has "$(<"$scratch/served")" "1 buffered row could not be written before the broker ended"
      exits 0 sluice buffer list
      has "$out" "ledger_damaged"
    else
      is "$status" 1
      has "$(<"$scratch/served")" "sluice: unavailable: 1 buffered row was lost"
    fi
    sqlite3 app.db "DROP TRIGGER evil"
  done
  rmdir .sluice/buffer.db
  mv "$scratch/buffer.db" .sluice
  gives "1 row requeued" sluice buffer requeue
  exits 0 sluice flush
  is "$(sqlite3 app.db "SELECT count(*) FROM t")" 1
}

run_tests
