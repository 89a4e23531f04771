"""Writes docs/performance.md, its plots' links and the table of the README from the figures of `sluice bench`:

    sluice bench --json --plots docs/plots >results.json
    sluice bench --growth --json --plots docs/plots >growth.json
    python3 tests/support/performance_document.py results.json --growth growth.json

Either file may be left out: the section "Cost over size" is written from the second, all else from the first, and what
has no figures is kept as it stands. So are the texts between `<!-- by hand -->` and `<!-- end by hand -->`; in "Cost
over size" each family has its own, named in the marker. With --check, nothing is written: the exit status says whether
both documents have the form that would be written. Figures may differ, and what follows from them; so may the sizes of
a family.
"""

import argparse
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/performance.md"
README = ROOT / "README.md"
BY_HAND = ("<!-- by hand -->\n", "<!-- end by hand -->\n")
GROWTH = ("<!-- cost over size -->\n", "<!-- end of cost over size -->\n")
TABLE = ("<!-- figures of sluice bench -->\n", "<!-- end of figures -->\n")

# Rows of the README: workload, what it is compared with, case, contender, reference, and the p99.9 if it matters.
README_ROWS = [
    ("64 agents in one process, a durable row each", "a mutex around one connection",
     "agents-64-full", "sluice, actors", "threads, a mutex around one connection"),
    ("16 processes, a durable row each", "a connection per process, WAL, `busy_timeout` 5 s",
     "processes-16-full", "sluice, write", "a connection each, WAL, busy_timeout 5 s"),
    ("16 processes, a row each, `synchronous=NORMAL`", "the same",
     "processes-16-normal", "sluice, write", "a connection each, WAL, busy_timeout 5 s"),
    ("1 process, a durable row at a time", "the same",
     "processes-1-full", "sluice, write", "a connection each, WAL, busy_timeout 5 s"),
    ("the same read again, within one process", "a prepared statement",
     "cached-read", "sluice, hit table", "prepared statement"),
    ("16 processes, single-row reads that miss the cache", "a connection and a prepared statement per process",
     "process-reads-16", "sluice, uncached", "a connection and a prepared statement each"),
    ("`sluice exec` with a running broker", "`sqlite3` with the same INSERT",
     "command-exec", "sluice exec, broker running", "sqlite3"),
]


def number(value, digits=3):
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def rate(per_second):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if per_second >= size:
            return f"{per_second / size:.3g}{unit}/s"
    return f"{per_second:.0f}/s"


def time(latencies, name):
    if latencies is None:
        return "-"
    value = latencies[name]
    if value >= 1e6:
        return f"{value / 1e6:.3g} s"
    return f"{value / 1e3:.3g} ms" if value >= 1e3 else f"{value:.3g} us"


def shares(x):
    """Broker + clients, or the process that has both."""
    parts = [x[name] for name in ("broker", "clients") if x[name] is not None]
    return " + ".join(number(part) for part in parts) or number(x["process"])


def stored(x):
    return "-" if x is None else f"{x['database']:.0f} + {x['audit']:.0f}"


def ratio_text(spread):
    text = f"{number(spread['median'])}x"
    if spread["median"] < 1:
        text = f"**{text}**"
    return f"{text} ({number(spread['min'])} to {number(spread['max'])})"


def beside(case, contender, kind):
    """The ratio to the first reference of a kind."""
    for ratio in case["ratios"]:
        if ratio["contender"] == contender["contender"] and ratio["reference_kind"] == kind:
            return ratio_text(ratio["rate"])
    return "-"


def table(heads, rows):
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def case_section(case):
    yield f"### {case['case']}"
    yield ""
    yield f"{case['title'][0].upper()}{case['title'][1:]}."
    yield ""
    yield from table(
        ["contender", "rate", "beside direct", "beside the bound", "p50", "p99", "p99.9", "max"],
        [[x["contender"], rate(x["per_second"]), beside(case, x, "direct"), beside(case, x, "bound"),
          *(time(x["latency_us"], name) for name in ("p50", "p99", "p99_9", "max"))] for x in case["contenders"]])
    yield from table(
        ["contender", "rows per COMMIT", "least share", "CPU us per request", "context switches per request",
         "bytes written per row", "bytes kept per row", "errors"],
        [[x["contender"], number(x["rows_per_commit"]), number(x["fairness"]), shares(x["cpu_us_per_request"]),
          shares(x["context_switches_per_request"]), number(x["written_bytes_per_row"]),
          stored(x["stored_bytes_per_row"]), str(x["errors"])] for x in case["contenders"]])


def goal_rows(results):
    for case in results["cases"]:
        for goal in case["goals"]:
            bound = "at most" if goal["direction"] == "at_most" else "at least"
            unit = f" {goal['unit']}" if goal["unit"] else ""
            yield [f"`{case['case']}`", goal["text"], f"{bound} {goal['wanted']:g}{unit}",
                   f"{number(goal['ratio'])}{unit} ({number(goal['min'])} to {number(goal['max'])})",
                   "met" if goal["met"] else "**missed**"]


def families_of(results):
    families = {}
    for case in results["cases"]:
        if case["family"]:
            families.setdefault(case["family"], []).append(case)
    return {name: cases for name, cases in families.items() if len(cases) > 1}


def plots_of(family):
    yield f"![Rate, {family}](plots/rate-{family}.svg)"
    yield f"![p99, {family}](plots/p99-{family}.svg)"
    yield ""


def plots(results):
    for name in sorted(families_of(results)):
        yield from plots_of(name)


def figures_of(case, contender):
    """Rate and p99.9 in one cell."""
    for x in case["contenders"]:
        if x["contender"] == contender:
            return f"{rate(x['per_second'])}, {time(x['latency_us'], 'p99_9')}"
    return "-, -"


def family_section(name, cases, old):
    contenders = list(dict.fromkeys(x["contender"] for case in cases for x in case["contenders"]))
    yield f"### {name}"
    yield ""
    yield from plots_of(name)
    yield from table([cases[0]["size_label"], *contenders],
                     [[f"{case['size']:,}", *(figures_of(case, x) for x in contenders)] for case in cases])
    marks = (f"<!-- by hand: {name} -->\n", f"<!-- end by hand: {name} -->\n")
    yield marks[0] + text_between(old, marks) + marks[1]


def growth(results, old):
    """The section "Cost over size". @param old the document, for what was written by hand"""
    yield "## Cost over size"
    yield ""
    yield "How the cost of a request grows with what it works beside: `sluice bench --growth`. A cell has the rate and the p99.9 of"
    yield "one operation; a contender that does not bear a size has none."
    yield ""
    yield (f"{results['rounds']} rounds of {results['duration_ms']} ms for each contender, on {results['cores']} cores; the load "
           f"average before the run was {results['load_average']:.1f}.")
    yield ""
    for name, cases in families_of(results).items():
        yield from family_section(name, cases, old)
    alone = [case for case in results["cases"] if not case["family"]]
    for case in alone:
        yield from case_section(case)
    yield from table(["case", "what", "goal", "got", ""], goal_rows({"cases": alone}))
    yield ""


def introduction(results):
    yield "# Performance"
    yield ""
    yield "How fast sluice is beside direct SQLite, where it is slower, and what bounds it. `tests/support/performance_document.py`"
    yield "writes this document from the figures of `sluice bench`; measure your machine with `sluice bench`. How the cost of a"
    yield "request grows with agents, processes, rows, databases, cached answers and the write-ahead log is under"
    yield "[Cost over size](#cost-over-size)."
    yield ""
    yield (f"Figures are of one run on a machine with {results['cores']} cores: {results['rounds']} rounds of "
           f"{results['duration_ms']} ms for each contender.")
    yield (f"The load average before the run was {results['load_average']:.1f}. Other work on the machine makes the spread of "
           "a ratio wide, and")
    yield "a ratio with a wide spread says little."
    yield ""
    yield "- **Contenders of a case run in turn** (A B C, A B C, ...). A ratio is the median of the ratios of the rounds, with the"
    yield "  least and the greatest in brackets. Above 1x sluice is faster; **bold** ratios are slower."
    yield "- **Direct** is SQLite as programs use it without sluice. **The bound** is what SQLite or a socket can do at best: raw SQLite"
    yield "  with as many rows per COMMIT, or a server of one thread that parses, audits and checks nothing."
    yield "- **CPU and context switches** are those of the broker + those of its clients, or of the one process that has both."
    yield "- **Bytes written** are what the kernel sent to the storage layer (`write_bytes` of `/proc/self/io`): log, database, audit."
    yield "  **Bytes kept** are the growth of the database + that of the audit, once the log is empty. A row has about 100 bytes."
    yield "- All features are on: ledger, idempotency keys through the socket, audit, invalidation, metrics."
    yield ""


def document(results, by_hand, growth_text):
    yield from introduction(results)
    yield "## Summary"
    yield ""
    yield "\n".join(f"- {x.rstrip('.')}." for x in re.split(r"(?<=\.) (?=Slower|Of \d)", results["summary"]))
    yield ""
    yield "## Goals"
    yield ""
    yield from table(["case", "what", "goal", "got", ""], goal_rows(results))
    yield "## What bounds the goals that are missed"
    yield ""
    yield BY_HAND[0] + by_hand + BY_HAND[1]
    yield "## Over agents and processes"
    yield ""
    yield from plots(results)
    yield growth_text
    yield "## Cases"
    yield ""
    for case in results["cases"]:
        yield from case_section(case)


def readme_table(results):
    cases = {case["case"]: case for case in results["cases"]}

    def row(workload, other, case, contender, reference):
        found = next(x["rate"] for x in cases[case]["ratios"]
                     if (x["contender"], x["reference"]) == (contender, reference))
        median = found["median"]
        spread = f"{number(median, 2)}x the rate ({number(found['min'], 2)} to {number(found['max'], 2)})"
        return [workload, other, spread if median >= 1 else f"**slower**: {spread}"]

    return "\n".join(table(["workload", "compared with", "sluice"], (row(*x) for x in README_ROWS)))


def between(text, marks):
    begin = text.index(marks[0]) + len(marks[0])
    return begin, text.index(marks[1], begin)


def text_between(text, marks):
    """Empty if the marks are not there."""
    if marks[0] not in text:
        return ""
    begin, end = between(text, marks)
    return text[begin:end]


def form_of(text):
    """The text without what figures decide."""
    text = re.sub(r"(?m)^- (Faster|Slower|Of) .*$", r"- \1", text)
    text = text.replace("**slower**: ", "").replace("**missed**", "met")
    text = re.sub(r"\*\*(-?[\d.,e+-]+x)\*\*", r"\1", text)
    figure = r"-?\d[\d.,]*(e[+-]?\d+)?"
    text = re.sub(rf"(?<![\w-]){figure}([kM]?/s|x| ms| us| s)?(?![\w-])", "#", text)
    text = re.sub(r"\| - (?=\|)", "| # ", text)
    text = re.sub(r"([#-]), ([#-])(?= \|)", "#, #", text)
    text = re.sub(r"# \+ #", "#", text)
    text = re.sub(r"#( ms)? \(# to #\)", "#", text)
    # A family may have any number of sizes.
    return re.sub(r"(?m)^(\| # (\| #, # )+\|\n)\1+", r"\1", text)


def first_difference(name, there, wanted):
    for i, (a, b) in enumerate(zip(there.split("\n") + [None], wanted.split("\n") + [None]), 1):
        if a != b:
            return f"{name}: line {i} has another form than the generator writes:\n  there:  {a}\n  wanted: {b}"
    return None


def load(file):
    results = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
    if results["failed"]:
        sys.exit(f"cases failed, so their figures mean nothing: {results['failed']}")
    return results


def documents(options, old, readme):
    """Both documents as they are to be."""
    growth_text = text_between(old, GROWTH)
    if options.growth:
        growth_text = "\n".join(growth(load(options.growth), old))
    growth_text = GROWTH[0] + growth_text + GROWTH[1]
    if options.results:
        results = load(options.results)
        new = "\n".join(document(results, text_between(old, BY_HAND), growth_text)).rstrip("\n") + "\n"
        begin, end = between(readme, TABLE)
        return new, readme[:begin] + readme_table(results) + readme[end:]
    begin, end = between(old, GROWTH)
    return old[:begin - len(GROWTH[0])] + growth_text + old[end + len(GROWTH[1]):], readme


def main():
    parser = argparse.ArgumentParser(description="Writes docs/performance.md and the table of the README.")
    parser.add_argument("results", nargs="?", help="the figures of `sluice bench --json`")
    parser.add_argument("--growth", help="the figures of `sluice bench --growth --json`")
    parser.add_argument("--check", action="store_true", help="compare the form and write nothing")
    options = parser.parse_args()
    if not options.results and not options.growth:
        parser.error("no figures are given")
    old = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    readme = README.read_text(encoding="utf-8")
    new, new_readme = documents(options, old, readme)
    if options.check:
        found = [first_difference(name, form_of(a), form_of(b))
                 for name, a, b in (("docs/performance.md", old, new), ("README.md", readme, new_readme))]
        found = [x for x in found if x]
        print("\n".join(found))
        return 1 if found else 0
    DOCUMENT.write_text(new, encoding="utf-8")
    README.write_text(new_readme, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
