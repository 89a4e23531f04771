#!/usr/bin/env bash
# The same store from the shell, three ways: the program, the socket and HTTP. Needs sluice in PATH, socat and curl.
set -euo pipefail

sluice exec notes.db "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)" --agent shell
sluice exec notes.db "INSERT INTO notes (text) VALUES (:text)" -p text="from the shell" --agent shell --key shell-note-1

# One JSON document per line goes to the socket, and one comes back. The first says which store is meant: the broker
# of another one, whose socket is in a copied folder, then refuses the next line.
sluice serve . --http 127.0.0.1:0 2>serve.log &
trap 'kill $! && wait' EXIT
until grep -q '"http":"1' .sluice/broker.json; do sleep 0.05; done
{
  stat -c '{"jsonrpc": "2.0", "id": 0, "method": "hello", "params": {"protocol": 1, "root": {"device": %d, "inode": %i}}}' .
  echo '{"jsonrpc": "2.0", "id": 1, "method": "read", "params": {"db": "notes.db", "sql": "SELECT text FROM notes"}}'
} | socat - UNIX-CONNECT:.sluice/broker.sock

# Over HTTP the token of this store is needed.
http=$(sed -n 's/.*"http":"\([^"]*\)".*/\1/p' .sluice/broker.json)
curl --silent --show-error "http://$http/rpc" \
  --header "Authorization: Bearer $(cat .sluice/token)" --json \
  '{"jsonrpc": "2.0", "id": 2, "method": "write", "params": {"db": "notes.db", "agent": "curl",
    "statements": [{"sql": "INSERT INTO notes (text) VALUES (?)", "params": ["from curl"]}]}}'
sluice query notes.db "SELECT id, text FROM notes"
