#!/usr/bin/env bash
# The official client of the Model Context Protocol against `sluice serve`. MCP_MODULES is the folder where `npm ci` put
# it; tests/run does that.
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$tests/cli/harness.sh"
: "${MCP_MODULES:=$tests/../build/mcp}"
export MCP_MODULES

# waits_for COMMAND... : waits until it succeeds, or the server has ended; the caller names it in $server.
waits_for() {
  until "$@" 2>/dev/null; do
    kill -0 "$server" || give_up "the server ended" "$(cat "$scratch/server.log")"
    sleep 0.05
  done
}

said_by_the_broker() {
  sqlite3 :memory: "SELECT json_extract(CAST(readfile('.sluice/broker.json') AS TEXT), '$.$1')"
}

http_address() {
  address=$(said_by_the_broker http) && [[ "$address" == *:* && -s .sluice/token ]]
}

write_operations() {
  mkdir operations
  cat >operations/notes.sql <<'EOF'
-- db: app.db

-- name: count_notes :one
-- Counts the notes that are at least so long.
-- param length integer?
SELECT count(*) AS n FROM notes WHERE length(text) >= coalesce(:length, 0);

-- name: note_twice :batch
-- Adds notes.
-- param text text (1..20)
INSERT INTO notes (text) VALUES (:text);

-- name: measure :one
-- Writes a value, whatever its type.
-- param value any?
-- column value integer
INSERT INTO measures VALUES (:value) RETURNING value;
EOF
}

test_the_official_client_works_over_stdio() {
  write_operations
  export SLUICE_LINGER_MS=3000
  node "$tests/mcp/client.mjs" stdio "$SLUICE" serve --stdio
  exits 0 sluice audit list --agent mcp-test --status replayed --json
  is "$(json '$.records[0].agent')" mcp-test
  # The broker that the two have started ends by itself, before its folder is removed.
  timeout 60 tail -s 0.05 --pid="$(said_by_the_broker pid)" -f /dev/null
}

test_the_official_client_works_over_http() {
  write_operations
  "$SLUICE" serve --http 127.0.0.1:0 >"$scratch/server.log" 2>&1 &
  server=$!
  waits_for http_address
  local worked=0
  node "$tests/mcp/client.mjs" http "http://$address/mcp" .sluice/token || worked=$?
  kill "$server"
  wait "$server"
  ((worked == 0)) || give_up "the client failed"
}

run_tests
