#!/usr/bin/env python3
"""Records the terminal that README.md shows: docs/terminal.svg.

    SLUICE=PATH_OF_SLUICE tests/support/record_terminal.py [--check]

It runs lines of README.md in a new folder and draws them with their output. With --check it compares the picture with
docs/terminal.svg instead of writing it, and exits with status 1 if they differ. It does not compare commit numbers,
because concurrent writes share a commit.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
from xml.sax.saxutils import escape

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PICTURE = SOURCE / "docs" / "terminal.svg"
CHARACTER = 8.0
LINE = 19
MARGIN = 16

STYLE = """
  rect { fill: #f6f8fa; stroke: #d0d7de }
  text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }
  .prompt { fill: #6e7781 }
  .command { fill: #0550ae }
  .output { fill: #24292f }
  @media (prefers-color-scheme: dark) {
    rect { fill: #161b22; stroke: #30363d }
    .prompt { fill: #8b949e }
    .command { fill: #79c0ff }
    .output { fill: #e6edf3 }
  }
"""


def block(name):
    """The shell lines behind the mark `<!-- run: NAME -->` of README.md."""
    text = (SOURCE / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- run: {name} -->\n```sh\n(.*?)```", text, re.DOTALL)
    if not found:
        sys.exit(f"README.md has no block to run with the name {name}")
    return found.group(1).splitlines()


def commands():
    """The first result, and a write that is sent twice under one key."""
    lines = block("first result") + block("more commands")[:2]
    return [re.sub(r"\s+# .*", "", line) for line in lines]


def recorded(program):
    """The lines of the terminal, each with the class that colours it."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, PATH=f"{program.parent}:{os.environ['PATH']}")
        environment.pop("SLUICE_AGENT", None)
        try:
            for command in commands():
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
                lines.append(("command", re.sub(r"^sluice (exec|query)  ", r"sluice \1 ", command)))
                lines += [("output", line) for line in done.stdout.splitlines()]
        except subprocess.CalledProcessError as failed:
            sys.exit(f"{failed.cmd[-1]}\n{failed.stdout}")
        finally:
            subprocess.run([program, "stop", folder], stdout=subprocess.DEVNULL, check=False)
    return lines


def drawn(lines):
    width = round((max(len(text) for _, text in lines) + 2) * CHARACTER + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    result = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
              'role="img" aria-label="A terminal with the first commands of sluice and their output">',
              f"<style>{STYLE}</style>",
              f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6"/>']
    for number, (kind, text) in enumerate(lines, 1):
        prompt = '<tspan class="prompt">$ </tspan>' if kind == "command" else ""
        result.append(f'<text xml:space="preserve" x="{MARGIN}" y="{MARGIN + number * LINE - 5}">{prompt}'
                      f'<tspan class="{kind}">{escape(text)}</tspan></text>')
    return "\n".join(result + ["</svg>", ""])


def comparable(picture):
    return re.sub(r"commit \d+", "commit N", picture)


def main():
    program = pathlib.Path(os.environ.get("SLUICE") or sys.exit("SLUICE names the program to record")).resolve()
    picture = drawn(recorded(program))
    if sys.argv[1:] == ["--check"]:
        if not PICTURE.exists() or comparable(PICTURE.read_text(encoding="utf-8")) != comparable(picture):
            sys.exit("docs/terminal.svg is out of date: run tests/support/record_terminal.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        PICTURE.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
