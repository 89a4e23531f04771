#!/usr/bin/env bash
# Every block of README.md that is marked `<!-- run: NAME -->` works when pasted, in their order.
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readme=$source_folder/README.md
build_folder=$(cd "$(dirname "$SLUICE")/.." && pwd)
source "$source_folder/tests/support/install.sh"

# block MARK : prints the lines of the fenced block after each `<!-- MARK -->`.
block() {
  awk -v mark="<!-- $1 -->" '
    $0 == mark { wanted = 1; next }
    wanted && /^```/ { inside = !inside; if (!inside) wanted = 0; next }
    inside { print }' "$readme"
}

# pastes NAME : runs the block in a shell whose PATH has sluice, as a user's has.
pastes() {
  block "run: $1" >"$scratch/pasted"
  [[ -s "$scratch/pasted" ]] || give_up "README.md has no block to run with the name $1"
  PATH=$(dirname "$SLUICE"):$PATH exits 0 bash -euo pipefail "$scratch/pasted"
}

test_every_block_of_shell_lines_in_the_readme_is_run() {
  is "$(grep -c '^```sh' "$readme")" "$(grep -c '^<!-- run: ' "$readme")"
  is "$(grep '^<!-- run: ' "$readme")" "$(printf '<!-- run: %s -->\n' "first result" install "more commands" leave)"
  # shellcheck disable=SC2016
  is "$(grep -A 1 '^<!-- run: ' "$readme" | grep -c '^```sh$')" 4
}

test_the_lines_of_the_readme_work_when_pasted_in_their_order() {
  pastes "first result"
  is "$out" "$(block prints)"
  pastes "more commands"
  has "$out" "(replayed)"
  has "$out" "intact: "
  has "$out" "healthy"
  has "$out" "stopped"
  gives 1 sqlite3 -readonly app.db "SELECT count(*) FROM notes WHERE text = 'paid'"
  has "$(cat notes.csv)" "note 20"
  pastes "leave"
  gives notes sqlite3 app.db .tables
  gives delete sqlite3 app.db "PRAGMA journal_mode"
  is "$(ls -A)" "$(printf '%s\n' app.db notes.csv)"
}

test_the_recorded_terminal_shows_the_lines_of_the_readme_and_their_output() {
  exits 0 python3 -B "$source_folder/tests/support/record_terminal.py" --check
}

test_the_readme_names_the_packages_that_the_build_needs() {
  local named needed
  named=$(block "run: install" | sed -n '/apt-get install/,/[^\\]$/p' | tr -d '\\\n' | sed 's/.*--no-install-recommends//')
  needed=$(printf '%s\n' "${build_packages[@]%%|*}" | sort)
  is "$(tr -s ' ' '\n' <<<"$named" | sed '/^$/d' | sort)" "$needed"
}

# The build takes minutes, so the test configures, lists the commands of the build, and installs the existing build.
test_the_lines_of_the_readme_that_build_and_install_work() {
  local lines
  lines=$(block "run: install" | grep -E '^(sudo )?cmake ')
  is "$(wc -l <<<"$lines")" 3
  cd "$source_folder"
  exits 0 bash -euo pipefail -c "$(sed -n 1p <<<"$lines") -B '$scratch/build'"
  is "$(sed -n 2p <<<"$lines")" "cmake --build --preset release --target sluice"
  exits 0 ninja -C "$scratch/build" -t commands sluice
  has "$out" " -o bin/sluice "
  DESTDIR=$scratch/root exits 0 \
    bash -euo pipefail -c "$(sed -n 3p <<<"$lines" | sed "s|^sudo ||; s|build/release|'$build_folder'|")"
  exits 0 "$scratch/root/usr/local/bin/sluice" --version
}

run_tests
