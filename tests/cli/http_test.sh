#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# serve ARGUMENT... : a broker with HTTP in the background; $http is its address, $token its token.
serve() {
  sluice serve . --http 127.0.0.1:0 "$@" 2>serve.log &
  broker=$!
  trap 'kill $broker 2>/dev/null || true; wait $broker || true' EXIT
  local tries=0
  until [[ -e .sluice/broker.json ]]; do
    ((++tries < 600)) || give_up "the broker does not start" "$(cat serve.log)"
    sleep 0.05
  done
  http=$(sed -n 's/.*"http":"\([^"]*\)".*/\1/p' .sluice/broker.json)
  token=$(cat .sluice/token)
}

# get PATH ARGUMENT... : the status on the last line, the body before it.
get() {
  local path=$1
  shift
  curl --silent --write-out '\n%{http_code}' "http://$http$path" "$@"
}

with_token() { get "$@" --header "Authorization: Bearer $token"; }

status() { tail -n 1 <<<"$out"; }

write='{"jsonrpc":"2.0","id":1,"method":"write","params":{"db":"app.db","agent":"web","statements":[{"sql":"CREATE TABLE t (x)"}]}}'

test_http_answers_json_rpc_to_clients_with_the_token() {
  serve
  exits 0 get /rpc --json "$write"
  is "$(status)" 401
  exits 0 with_token /rpc --json "$write"
  is "$(status)" 200
  has "$out" '"outcome":"committed"'
  exits 0 sluice audit list --jsonl
  has "$out" '"agent":"web"'
  is "$(stat -c %a .sluice/token)" 600
}

test_a_write_of_one_statement_may_be_given_in_short() {
  serve
  exits 0 with_token /rpc --json "$write"
  local params='"db":"app.db","agent":"web","idempotency_key":"k"'
  exits 0 with_token /rpc --json '{"jsonrpc":"2.0","id":1,"method":"write","params":{'"$params"',
    "sql":"INSERT INTO t VALUES (?)","params":[5]}}'
  has "$out" '"replayed":false'
  exits 0 with_token /rpc --json '{"jsonrpc":"2.0","id":1,"method":"write","params":{'"$params"',
    "statements":[{"sql":"INSERT INTO t VALUES (?)","params":[5]}]}}'
  has "$out" '"replayed":true'
  gives $'x\n-\n5' sluice query app.db "SELECT x FROM t"
}

test_http_refuses_requests_of_other_origins() {
  serve
  exits 0 with_token /rpc --json "$write" --header "Host: evil.example"
  is "$(status)" 403
  exits 0 with_token /rpc --json "$write" --header "Origin: http://evil.example"
  is "$(status)" 403
  exits 0 with_token /rpc --header "Content-Type: text/plain" --data "$write"
  is "$(status)" 415
  is "$(find . -name app.db)" ""
  mkdir other
  exits 1 sluice serve other --http 0.0.0.0:0
  has "$err" "sluice: invalid_request: "
}

test_requests_that_lead_out_of_the_store_are_refused_and_audited() {
  serve
  exits 0 with_token /rpc --json '{"jsonrpc":"2.0","id":1,"method":"read","params":{"db":"../x.db","sql":"SELECT 1","agent":"eve"}}'
  has "$out" '"code":-32602'
  exits 0 sluice audit list --agent eve --json
  is "$(json '$.records[0].status') $(json '$.records[0].request_type') $(json '$.records[0].db')" "invalid_request read "
}

test_health_needs_no_token_and_tells_whether_a_write_would_do() {
  serve
  exits 0 get /healthz
  is "$(status)" 200
  has "$out" '"ready"'
}

test_metrics_tell_of_requests_databases_and_the_cache() {
  serve
  exits 0 with_token /rpc --json "$write"
  exits 0 sluice query app.db "SELECT count(*) FROM t"
  exits 1 sluice query none.db "SELECT 1"
  exits 0 get /metrics
  is "$(status)" 401
  exits 0 with_token /metrics
  is "$(status)" 200
  has "$out" "# HELP sluice_"
  has "$out" 'database="app.db"'
  has "$out" 'sluice_requests_total{code="ok",method="write"} 1'
  has "$out" 'sluice_requests_total{code="unknown_database",method="read"} 1'
  has "$out" "sluice_connections"
  has "$out" 'le="+Inf"'
  if command -v promtool >/dev/null; then
    sed '$d' <<<"$out" | promtool check metrics
  fi
}

test_an_agent_that_speaks_mcp_over_http_lists_the_tools() {
  serve
  exits 0 with_token /mcp --json '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
  is "$(status)" 200
  has "$out" '"sluice_read"'
  has "$out" '"sluice_write"'
  exits 0 with_token /mcp
  is "$(status)" 405
}

test_a_broker_with_an_idle_time_stays_while_http_is_used() {
  serve --idle 2
  local end=$((SECONDS + 4))
  while ((SECONDS < end)); do
    exits 0 get /healthz
    is "$(status)" 200
    sleep 0.1
  done
  wait $broker
  has "$(cat serve.log)" "it is idle"
}

run_tests
