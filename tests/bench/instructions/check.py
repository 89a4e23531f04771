"""Counts the instructions of hot paths under callgrind, and compares them with a baseline.

    check.py PROGRAM            compares: a path that takes more than the baseline and the tolerance fails
    check.py PROGRAM --renew    writes the baseline

PROGRAM is `instruction_counts` of an optimized build (g++ 12, -O2). Each path runs twice with different numbers of
operations; the difference is what an operation takes, in all threads of the process, without start and end. Libraries
choose code by the features of the processor, and timers run while an operation waits, so that the counts vary by a few
per cent. Renew the baseline on purpose only, in the commit that changes a hot path, and say there why.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

BASELINE = pathlib.Path(__file__).with_name("baseline.json")
TOLERANCE = 0.15
# For each path, how often: enough that the rest of the process does not matter.
COUNTS = {
    "in_process_write": (50, 350),
    "cached_read": (500, 20_500),
    "uncached_read": (100, 1_100),
    "socket_write": (50, 350),
    "socket_read": (50, 550),
}
COMMAND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--fair-sched=yes"]


def instructions(program, path, count):
    done = subprocess.run([*COMMAND, program, path, str(count)], capture_output=True, text=True, check=False)
    found = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise RuntimeError(f"{path}: valgrind ended with {done.returncode}:\n{done.stderr}")
    return int(found.group(1))


def measure(program):
    runs = [(path, count) for path, counts in COUNTS.items() for count in counts]
    with ThreadPoolExecutor(2) as pool:
        totals = dict(zip(runs, pool.map(lambda run: instructions(program, *run), runs)))
    return {path: round((totals[path, many] - totals[path, few]) / (many - few)) for path, (few, many) in COUNTS.items()}


def verdict(path, found, wanted):
    """A line for people, and whether the path has passed."""
    change = found / wanted - 1
    line = f"{path}: {found} instructions per operation, baseline {wanted} ({change:+.1%})"
    if change > TOLERANCE:
        return f"{line}: MORE than the tolerance of {TOLERANCE:.0%}", False
    if change < -TOLERANCE:
        line += ": fewer than the tolerance; renew the baseline (check.py PROGRAM --renew)"
    return line, True


def main(program, *options):
    if not shutil.which("valgrind"):
        print("valgrind is missing; tests/run installs it")
        return 1
    found = measure(program)
    if options == ("--renew",):
        BASELINE.write_text(json.dumps({"instructions_per_operation": found}, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {BASELINE}")
        return 0
    wanted = json.loads(BASELINE.read_text(encoding="utf-8"))["instructions_per_operation"]
    if found.keys() != wanted.keys():
        print("the baseline has other paths; renew it (check.py PROGRAM --renew)")
        return 1
    verdicts = [verdict(path, found[path], wanted[path]) for path in found]
    print("\n".join(line for line, _ in verdicts))
    return 0 if all(passed for _, passed in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
