# shellcheck shell=bash
# Sourced by the tests of the program. A test is a function whose name begins with test_ and continues as a sentence; it
# runs in a shell and a folder of its own, and fails with the first command in it that fails.

: "${SLUICE:?names the program to test}"
: "${FILTER:=}"
# Long times, because sanitizers are slow and machines busy.
export SLUICE_LOCK_WAIT_MS=${SLUICE_LOCK_WAIT_MS:-60000} SLUICE_READ_TIMEOUT_MS=600000 SLUICE_WRITE_DEADLINE_MS=600000
unset SLUICE_AGENT SLUICE_CAPSULE

sluice() { "$SLUICE" "$@"; }

# exits STATUS COMMAND... : runs it, expects the exit status, and stores its output in $out and $err.
exits() {
  local want=$1 got=0
  shift
  "$@" >"$scratch/out" 2>"$scratch/err" || got=$?
  out=$(tr -d '\0' <"$scratch/out")
  err=$(tr -d '\0' <"$scratch/err")
  [[ $got == "$want" ]] || give_up "exit status $got, not $want: $*" "$out" "$err"
}

# gives EXPECTED COMMAND... : runs it, expects success and exactly this on stdout.
gives() {
  local want=$1
  shift
  exits 0 "$@"
  is "$out" "$want"
}

is() { [[ "$1" == "$2" ]] || give_up "got:" "$1" "wanted:" "$2"; }

has() { [[ "$1" == *"$2"* ]] || give_up "got:" "$1" "wanted somewhere in it:" "$2"; }

has_not() { [[ "$1" != *"$2"* ]] || give_up "got:" "$1" "not wanted in it:" "$2"; }

# json PATH : that part of the last output, which has to be one JSON document.
json() {
  sqlite3 :memory: "SELECT CASE WHEN json_valid(x) THEN json_extract(x, '$1') ELSE 'no JSON: ' || x END
                    FROM (SELECT CAST(readfile('$scratch/out') AS TEXT) AS x)"
}

# fails_with CODE COMMAND... : expects the typed error on stderr, nothing on stdout, and exit status 1.
fails_with() {
  local code=$1
  shift
  exits 1 "$@"
  has "$err" "sluice: $code: "
  is "$out" ""
}

give_up() {
  printf '%s\n' "$@"
  exit 1
}

run_tests() {
  local test name log status
  for test in $(compgen -A function test_); do
    name=${test#test_}
    name="cli: ${name//_/ }"
    [[ -z "$FILTER" || "$name" =~ $FILTER ]] || continue
    scratch=$(mktemp -d)
    mkdir "$scratch/store"
    (
      set -euE
      trap 'echo "line $LINENO: $BASH_COMMAND"' ERR
      cd "$scratch/store"
      "$test"
    ) >"$scratch/log" 2>&1
    status=$?
    if ((status == 0)); then
      echo "ok - $name"
    else
      sed 's/^/  /' "$scratch/log"
      echo "not ok - $name"
    fi
    # A transient broker would end by itself, but only after its folder is removed.
    [[ ! -d "$scratch/store/.sluice" ]] || sluice stop "$scratch/store" >/dev/null 2>&1
    rm -rf "$scratch"
  done
  echo "done"
}
