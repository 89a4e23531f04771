#!/usr/bin/env bash
# The figures of `sluice bench` are of no interest here: rounds last a millisecond.
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

test_bench_lists_its_cases() {
  exits 0 sluice bench --list --processes 1,7 --agents 3
  for name in agents-3-full agents-3x4-full agents-3-normal cached-read uncached-reads-16 processes-7-full \
    processes-1-normal process-reads-7 command-exec command-query audit-cost; do
    has "$out" "$name "
  done
  has_not "$out" "agents-64-full"
  exits 0 sluice bench --list --processes 0
  has_not "$out" "processes-"
  has_not "$out" "command-"
}

test_bench_refuses_a_case_that_does_not_exist_and_names_those_that_do() {
  exits 2 sluice bench --case agents-2-full
  has "$err" "no case 'agents-2-full'"
  has "$err" "agents-1-full, agents-16-full, "
  has "$err" "flushed-rows"
  is "$out" ""
}

test_bench_refuses_wrong_arguments() {
  exits 2 sluice bench --seconds 1 --duration-ms 5
  exits 2 sluice bench --duration-ms 0
  exits 2 sluice bench --rounds 0
  exits 2 sluice bench --processes many
  exits 2 sluice bench --case
}

test_bench_runs_the_cases_that_are_named_and_says_what_is_left_out() {
  exits 0 sluice bench --duration-ms 1 --rounds 2 --case cached-read --case agents-1-full
  has "$out" "agents-1-full: 1 agent in one process"
  has "$out" "cached-read: the same point read"
  has "$out" "sluice, hit table"
  has "$out" "goal: at most 0.05 of the time of a prepared point read"
  has "$out" "2 rounds of 1 ms per contender"
  has "$out" "left out (other cases were asked for): agents-16-full, agents-64-full, "
  has "$out" "Slower than direct SQLite: "
}

test_a_case_that_fails_is_named_and_fails_the_run() {
  exits 1 sluice bench --duration-ms 1 --rounds 1 --case cached-read --folder no/such/folder --json
  has "$err" "cases failed: cached-read (cannot make a folder in no/such/folder)"
  is "$(json '$.failed[0].case')" cached-read
  printf '#!/bin/sh\nexit 1\n' >sqlite3
  chmod +x sqlite3
  PATH=$PWD:$PATH exits 1 sluice bench --duration-ms 1 --rounds 1 --case command-exec --case cached-read
  has "$out" "FAILED: sqlite3 "
  has "$out" "FAILED cases: command-exec"
  has "$out" "cached-read: "
  has "$err" "cases failed: command-exec (sqlite3 "
}

test_quick_says_which_cases_it_leaves_out() {
  [[ -z "${SLUICE_SANITIZED:-}" ]] || return 0
  exits 0 sluice bench --quick --rounds 1 --duration-ms 1 --processes 0 --json
  is "$(json '$.quick')" 1
  is "$(json '$.rounds')" 1
  has "$out" '"agents-16-full"'
  has "$out" '"why": "fewer sizes, by --quick or as asked for"'
}

# The plots of a small run, and the fields of each case.
test_the_json_of_every_case_has_the_fields_that_are_promised() {
  exits 0 sluice bench --rounds 2 --duration-ms 1 --agents 1,2 --processes 1,2 --json --plots plots
  cp "$scratch/out" results.json
  exits 0 python3 -B - results.json <<'PYTHON'
import json, pathlib, sys
results = json.load(open(sys.argv[1], encoding="utf-8"))
assert results.keys() == {"folder", "quick", "rounds", "duration_ms", "cores", "load_average", "cases", "left_out",
                          "failed", "summary"}, results.keys()
assert results["rounds"] == 2 and results["duration_ms"] == 1 and results["quick"] is False
assert results["failed"] == [], results["failed"]
assert results["summary"].count(". ") == 2, results["summary"]
names = [case["case"] for case in results["cases"]]
assert len(names) == len(set(names)) == 19, names
for case in results["cases"]:
    assert case.keys() == {"case", "title", "family", "size", "size_label", "failure", "contenders", "ratios",
                           "goals"}, case
    assert (case["size_label"] is None) == (case["family"] is None), case["case"]
    kinds = [x["kind"] for x in case["contenders"]]
    assert kinds[0] == "sluice" and len(set(kinds)) > 1, (case["case"], kinds)
    assert len(case["ratios"]) == kinds.count("sluice") * (len(kinds) - kinds.count("sluice"))
    for ratio in case["ratios"]:
        assert ratio.keys() == {"contender", "reference", "reference_kind", "rate"}
        assert ratio["rate"]["min"] <= ratio["rate"]["median"] <= ratio["rate"]["max"]
    for goal in case["goals"]:
        assert goal.keys() == {"text", "ratio", "min", "max", "wanted", "unit", "direction", "met"}
    for x in case["contenders"]:
        assert x.keys() == {
            "contender", "kind", "operations", "errors", "seconds", "per_second", "mean_us", "latency_us",
            "rows_per_commit", "fairness", "cpu_us_per_request", "context_switches_per_request",
            "written_bytes_per_row", "stored_bytes_per_row", "rounds"}, x.keys()
        assert x["per_second"] > 0 and len(x["rounds"]) == 2, x
        assert x["latency_us"] is None or x["latency_us"].keys() == {"p50", "p99", "p99_9", "max"}
        used = x["cpu_us_per_request"]
        is_served = case["case"].startswith("process") and x["kind"] != "direct"
        assert (used["broker"] is not None and used["clients"] is not None) or not is_served, (case["case"], used)
    if case["case"].startswith(("processes-", "agents-")):
        stored = [x["stored_bytes_per_row"] for x in case["contenders"]]
        assert None not in stored and stored[0].keys() == {"database", "audit"}, case["case"]
PYTHON
  is "$(ls plots | wc -l)" 10
  exits 0 python3 -B -c "
import sys, xml.etree.ElementTree
for name in sys.argv[1:]:
    root = xml.etree.ElementTree.parse(name).getroot()
    assert root.tag == '{http://www.w3.org/2000/svg}svg', name
    assert len(root.findall('.//{*}polyline')) > 1, name" plots/*.svg
}

test_growth_lists_the_cases_of_each_family_with_their_sizes() {
  exits 0 sluice bench --growth --list
  for name in growth-agents-1 growth-agents-1024 growth-processes-1024 growth-rows-write-1000 growth-rows-read-10000000 \
    growth-databases-1000 growth-cache-read-80000 growth-cache-write-1 growth-wal-write-1000 growth-wal-read-1 \
    large-database; do
    has "$out" "$name "
  done
  has_not "$out" "audit-cost "
  exits 0 sluice bench --growth --list --agents 3,5 --processes 0
  has "$out" "growth-agents-5 "
  has_not "$out" "growth-agents-1 "
  has_not "$out" "growth-processes-"
  has_not "$out" "large-database"
  exits 2 sluice bench --case growth-agents-1
  exits 2 sluice bench --growth --case agents-1-full
}

test_growth_gives_a_rate_for_each_size_of_a_family() {
  exits 0 sluice bench --growth --rounds 1 --duration-ms 1 --json --plots plots --case growth-databases-1 \
    --case growth-databases-10
  local place size=1
  for place in 0 1; do
    is "$(json "$.cases[$place].family")" growth-databases
    is "$(json "$.cases[$place].size")" $size
    is "$(json "$.cases[$place].size_label")" "databases in one store"
    [[ $(json "$.cases[$place].contenders[0].per_second") != 0.0 ]]
    size=10
  done
  is "$(ls plots | tr '\n' ' ')" "p99-growth-databases.svg rate-growth-databases.svg "
  has "$(cat plots/rate-growth-databases.svg)" "databases in one store"
}

test_the_document_and_the_readme_have_the_form_that_the_generator_writes() {
  [[ -z "${SLUICE_SANITIZED:-}" ]] || return 0
  exits 0 sluice bench --rounds 1 --duration-ms 1 --json
  cp "$scratch/out" results.json
  # By their names, so that the time limit of --quick leaves none out.
  local cases
  mapfile -t cases < <(sluice bench --growth --quick --list | sed -n 's/^\([^ ]*\) .*/--case=\1/p')
  exits 0 sluice bench --growth --quick "${cases[@]}" --rounds 1 --duration-ms 1 --json
  cp "$scratch/out" growth.json
  is "$(json '$.cases[#-1].case')" large-database
  is "$(json '$.cases[#-1].goals[0].wanted')" 50.0
  is "$(json '$.cases[#-1].goals[0].unit')" ms
  local generator=$source_folder/tests/support/performance_document.py
  exits 0 python3 -B "$generator" results.json --check
  exits 0 python3 -B "$generator" results.json --growth growth.json --check
  exits 0 python3 -B "$generator" --growth growth.json --check
}

run_tests
