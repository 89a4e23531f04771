#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# Runs a command as a user who is not root, with a copy of the program that this user can read.
as_nobody() {
  if ((EUID != 0)); then
    "$SLUICE" "$@"
    return
  fi
  cp -u "$SLUICE" "${SLUICE%/*}/sluice-main" "$scratch"
  chmod 755 "$scratch" "$scratch/sluice" "$scratch/sluice-main"
  setpriv --reuid=65534 --regid=65534 --clear-groups "$scratch/sluice" "$@"
}

test_a_file_that_is_not_there_is_made_by_a_write_only() {
  fails_with unknown_database sluice query app.db "SELECT 1"
  [[ ! -e app.db ]]
  fails_with unknown_database sluice exec nowhere/app.db "CREATE TABLE t (x)"
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  exits 0 sluice query app.db "SELECT x FROM t"
}

test_the_folder_of_the_file_is_the_store() {
  mkdir sub
  exits 0 sluice exec sub/app.db "CREATE TABLE t (x)"
  [[ -e sub/app.db && -d sub/.sluice && ! -e .sluice ]]
  is "$(stat -c %a sub/.sluice)" 700
}

test_a_path_that_is_not_a_file_is_refused() {
  mkdir folder
  exits 2 sluice exec folder "CREATE TABLE t (x)"
  has "$err" "sluice: invalid_request: "
  exits 2 sluice exec folder/ "CREATE TABLE t (x)"
  exits 2 sluice exec . "CREATE TABLE t (x)"
  exits 2 sluice exec .. "CREATE TABLE t (x)"
  exits 2 sluice exec "" "CREATE TABLE t (x)"
}

test_a_text_file_is_left_alone() {
  printf 'this is no database, but a text that is longer than the head of a file\n%0200d\n' 0 >notes.db
  cp notes.db before
  fails_with corrupt sluice exec notes.db "CREATE TABLE t (x)"
  fails_with corrupt sluice query notes.db "SELECT 1"
  cmp notes.db before
}

test_the_stores_own_files_are_refused() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  exits 1 sluice query .sluice/audit.db "SELECT * FROM segments"
  [[ ! -e .sluice/.sluice ]]
  mkdir ../elsewhere
  exits 0 sluice exec ../elsewhere/other.db "CREATE TABLE t (x)"
  ln -s ../elsewhere/other.db link.db
  exits 1 sluice exec link.db "CREATE TABLE u (x)"
  has "$err" "sluice: invalid_request: "
}

test_a_folder_without_write_permission_is_a_typed_error() {
  exits 0 sluice exec app.db "CREATE TABLE t (x)"
  mkdir closed
  sqlite3 closed/app.db "CREATE TABLE t (x)"
  chmod 755 .. . closed
  chmod a-w closed
  exits 3 as_nobody exec closed/app.db "INSERT INTO t VALUES (1)"
  has "$err" "sluice: route_required: "
  has_not "$err" "$scratch"
  exits 3 as_nobody exec closed/app.db "INSERT INTO t VALUES (1)" --json
  is "$(json '$.error.outcome')" not_committed
}

test_a_database_made_elsewhere_can_be_used() {
  sqlite3 old.db "CREATE TABLE t (x); INSERT INTO t VALUES (1)"
  gives $'x\n-\n1' sluice query old.db "SELECT x FROM t"
  gives "1 row changed, commit 1" sluice exec old.db "INSERT INTO t VALUES (2)"
  is "$(sqlite3 old.db 'SELECT sum(x) FROM t')" 3
}

test_a_bad_configuration_is_named() {
  echo 'lock_wait_ms = "long"' >sluice.toml
  unset SLUICE_LOCK_WAIT_MS
  fails_with invalid_request sluice exec app.db "CREATE TABLE t (x)"
  has "$err" lock_wait_ms
}

test_twenty_processes_on_a_fresh_folder_all_succeed() {
  local i pids=()
  for i in {1..20}; do
    sluice exec app.db "CREATE TABLE IF NOT EXISTS t (x INTEGER); INSERT INTO t VALUES ($i)" >"$scratch/out.$i" 2>&1 &
    pids+=($!)
  done
  for i in {1..20}; do
    wait "${pids[i - 1]}" || give_up "process $i:" "$(<"$scratch/out.$i")"
  done
  gives $' n    s\n--  ---\n20  210' sluice query app.db "SELECT count(*) AS n, sum(x) AS s FROM t"
}

# Runs a command with a small file system that only this command sees.
test_a_disk_that_is_full_when_the_database_is_opened_is_called_full() {
  unshare -m mount -t tmpfs -o size=4m none . 2>/dev/null || return 0
  # shellcheck disable=SC2016
  exits 0 unshare -m bash -c 'mount -t tmpfs -o size=4m none . && cd "$PWD" || exit
    "$0" exec app.db "CREATE TABLE t (x)" && "$0" stop . || exit
    head -c 8M /dev/zero >filler 2>/dev/null
    "$0" exec app.db "INSERT INTO t VALUES (1)" 2>&1
    echo "status $?"
    "$0" query app.db "SELECT * FROM t" 2>&1
    echo "status $?"
    "$0" stop . >/dev/null; true' "$SLUICE"
  is "$(grep -c 'sluice: disk_full: the disk is full' <<<"$out") $(grep -c 'status 1' <<<"$out")" "2 2"
}

test_a_mistyped_query_does_not_make_a_folder_a_store() {
  fails_with unknown_database sluice query app.db "SELECT 1"
  mkdir folder
  exits 2 sluice query folder "SELECT 1"
  exits 2 sluice exec folder "CREATE TABLE t (x)"
  is "$(find . -mindepth 1)" "./folder"
}

run_tests
