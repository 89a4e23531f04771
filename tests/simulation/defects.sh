#!/usr/bin/env bash
# The sources with deliberate defects (docs/internals/simulation.md).
#
#   defects.sh apply ROOT FOLDER   copies the sources named in defects.patch from ROOT to FOLDER, and patches the copies
#   defects.sh save ROOT FOLDER    writes defects.patch anew: how the sources in FOLDER differ from those in ROOT
#
# `apply` touches only what has changed in FOLDER. It fails, and leaves FOLDER as it is, if a hunk does not apply exactly.

set -euo pipefail

include='#include "tests/simulation/defect.hpp"'
patch_file=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/defects.patch

apply() {
  local root=$1 to=$2 fresh file
  fresh=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$fresh'" EXIT
  while IFS= read -r file; do
    [[ -f "$root/$file" ]] || {
      echo "error: tests/simulation/defects.patch changes $file, which does not exist: name its new place there" >&2
      return 1
    }
    mkdir -p "$fresh/$(dirname "$file")" "$to/$(dirname "$file")"
    cp "$root/$file" "$fresh/$file"
  done < <(sed -n 's,^+++ b/\([^[:space:]]*\).*,\1,p' "$patch_file")
  patch --quiet --batch --forward --fuzz=0 --no-backup-if-mismatch -p1 -d "$fresh" <"$patch_file" >&2 || {
    find "$fresh" -name '*.rej' -exec cat {} + >&2
    echo "error: tests/simulation/defects.patch does not apply to the sources any more: change it with them, or" \
      "write it anew ('Adding a defect' in docs/internals/simulation.md)" >&2
    return 1
  }
  (cd "$fresh" && find . -name '*.cpp') | while IFS= read -r file; do
    sed -i "1i $include" "$fresh/$file"
    cmp -s "$fresh/$file" "$to/$file" || cp "$fresh/$file" "$to/$file"
  done
}

save() {
  local root=$1 from=$2 file result
  result=$(mktemp)
  while IFS= read -r file; do
    [[ -f "$root/$file" ]] || {
      echo "error: $from/$file belongs to no source in $root" >&2
      return 1
    }
    diff -U2 --label "a/$file" --label "b/$file" "$root/$file" <(sed "1{/^#include .*defect\.hpp/d}" "$from/$file") \
      >>"$result" || (($? == 1))
  done < <(cd "$from" && find . -name '*.cpp' | sed 's,^\./,,' | LC_ALL=C sort)
  mv "$result" "$patch_file"
  chmod 644 "$patch_file"
}

if (($# != 3)) || [[ "$1" != apply && "$1" != save ]]; then
  sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
"$@"
