#!/usr/bin/env bash
# Every block of a guide that is marked `<!-- run: NAME -->` works when pasted, in a store with the files of the blocks that
# are marked `<!-- file: PATH -->`.
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

guides=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../docs/guides" && pwd)
# As a user's shell finds the program.
PATH=$(dirname "$SLUICE"):$PATH

# block GUIDE MARK : prints the lines of the fenced block after `<!-- MARK -->`.
block() {
  awk -v mark="<!-- $2 -->" '
    $0 == mark { wanted = 1; next }
    wanted && /^```/ { inside = !inside; if (!inside) wanted = 0; next }
    inside { print }' "$guides/$1.md"
}

# pastes STATUS GUIDE NAME : runs the block in a shell, which has to end with that status.
pastes() {
  block "$2" "run: $3" >"$scratch/pasted"
  [[ -s "$scratch/pasted" ]] || give_up "$2.md has no block to run with the name $3"
  exits "$1" bash -euo pipefail "$scratch/pasted"
}

# saves GUIDE PATH : writes the file of the block.
saves() {
  mkdir -p "$(dirname "$2")"
  block "$1" "file: $2" >"$2"
  [[ -s "$2" ]] || give_up "$1.md has no block for the file $2"
}

store_of_the_operations() {
  saves operations operations/notes.sql
  saves operations operations/tags.sql
  pastes 0 operations tables
}

test_the_lines_of_the_guide_on_operations_work_when_pasted() {
  store_of_the_operations
  pastes 0 operations calls
  has "$out" '"rows":[{"id":1,"text":"hello"}]'
  has_not "$out" "does_not_fit"
  has_not "$out" "not_checked"
  python3 -B -c 'import ast; ast.parse(open("operations.py").read())'
  gives "a b" sqlite3 -readonly -separator ' ' app.db "SELECT min(word), max(word) FROM words"
  sluice call add_note_with_tag -p text=tagged -p tag=new >"$scratch/out"
  gives "2|new" sqlite3 -readonly app.db "SELECT note, tag FROM tags"
}

test_a_parameter_that_is_left_out_has_the_default_of_the_guide() {
  store_of_the_operations
  sluice exec app.db "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 150)
    INSERT INTO notes(text) SELECT 'note ' || x FROM n" >"$scratch/out"
  exits 0 sluice call find_notes -p text=note --json
  is "$(json "$.rows[#-1].id")" 100
  exits 0 sluice call find_notes -p text=note -p limit=7 --json
  is "$(json "$.rows[#-1].id")" 7
}

test_the_lines_of_the_guide_on_policy_work_when_pasted() {
  store_of_the_operations
  saves policy sluice.toml
  # A broker that still runs notices the file soon after the next request.
  until [[ $(sluice status) == *"2 rules"* ]]; do :; done
  pastes 0 policy allowed
  has "$out" hello
  has "$out" "2 rules"
  pastes 1 policy refused
  is "$err" "$(block policy prints)"
}

test_the_lines_of_the_guide_on_capsules_work_when_pasted() {
  store_of_the_operations
  pastes 0 capsules capsules
  has "$out" "commit 2"
  exits 0 sluice promote --list
  has "$out" app.db
}

test_the_lines_of_the_guide_on_migrations_work_when_pasted() {
  saves migrations migrations/0001_notes.sql
  saves migrations migrations/0002_stars.sql
  pastes 0 migrations migrate
  has "$out" "0002_stars.sql"
  gives 2 sqlite3 -readonly app.db "SELECT count(*) FROM _sluice_migrations"
  # The other spelling that the guide names.
  # shellcheck disable=SC2016
  has "$(cat "$guides/migrations.md")" '`foreign_keys: off` is the same'
  printf -- '-- foreign_keys: off\nALTER TABLE notes ADD COLUMN seen INTEGER;\n' >migrations/0003_seen.sql
  exits 0 sluice migrate app.db migrations
}

test_each_block_of_shell_lines_of_these_guides_is_run() {
  local guide
  for guide in operations policy capsules migrations; do
    is "$guide $(grep -c '^```sh' "$guides/$guide.md")" "$guide $(grep -c '^<!-- run: ' "$guides/$guide.md")"
  done
}

run_tests
