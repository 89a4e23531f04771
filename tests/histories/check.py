#!/usr/bin/env python3
"""Checks a recorded history: tests/histories/check.py FILE...

All files together are one history. Exit status 0: it keeps every promise; 1: it does not, and why is printed; 2: the
files are no history.
"""

import collections
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from history import BadHistory, load
from objects import check


def main(paths):
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        operations = load(paths)
    except (OSError, BadHistory) as why:
        print(why, file=sys.stderr)
        return 2
    outcomes = collections.Counter(x.outcome for x in operations)
    objects = len({x.object for x in operations})
    print(f"{len(operations)} operations on {objects} objects by {len({x.process for x in operations})} processes: "
          + ", ".join(f"{n} {word}" for word, n in outcomes.most_common()))
    wrong = check(operations)
    for x in wrong[:20]:
        print(x)
    if len(wrong) > 20:
        print(f"... and {len(wrong) - 20} more")
    return 1 if wrong or not operations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
