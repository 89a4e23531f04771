"""Histories of concurrent runs: the calls and answers with their times, for a checker.

A history is a file, or several, of JSON lines. An operation has two of them: one written before it is asked for

    {"process": "w1", "id": 7, "start": NS, "object": "register:a", "do": "write", "value": 5}

and one when its outcome is known

    {"process": "w1", "id": 7, "end": NS, "outcome": "ok", "result": ..., "seq": COMMIT}

Times are nanoseconds of the machine's monotonic clock, which all of its processes share. `outcome` is `ok`, `failed`
(it certainly had no effect) or `unknown`; an operation without a second line is unknown too, its process died. What
`do` may be is told by the checkers, in objects.py. `seq` is the commit that holds a write.
"""

import dataclasses
import json
import math
import time


@dataclasses.dataclass(frozen=True)
class Operation:
    """One call of one process. `end` is infinite while it may still take effect."""

    process: str
    object: str
    do: str
    value: object
    start: float
    end: float
    outcome: str
    result: object = None
    seq: object = None

    @property
    def ok(self):
        return self.outcome == "ok"

    @property
    def may_have_happened(self):
        return self.outcome != "failed"

    def __str__(self):
        end = "..." if self.end == math.inf else f"{self.end / 1e9:.6f}"
        asked = self.do if self.value is None else f"{self.do} {json.dumps(self.value)}"
        got = "" if self.result is None else f" -> {json.dumps(self.result)}"
        at = "" if self.seq is None else f" (commit {self.seq})"
        return f"[{self.start / 1e9:.6f} .. {end}] {self.process}: {self.object} {asked} {self.outcome}{got}{at}"


class Recorder:
    """Writes one process's part of a history. Not thread-safe."""

    def __init__(self, path, process):
        self.process = process
        self.last_id = 0
        # Each line goes to the system at once, so that the history of a killed process has the calls that it began.
        self.file = open(path, "a", buffering=1)

    def begin(self, of, do, value=None):
        self.last_id += 1
        self._write(id=self.last_id, start=time.monotonic_ns(), object=of, do=do, value=value)

    def done(self, outcome, result=None, seq=None):
        end = time.monotonic_ns()
        self._write(id=self.last_id, end=end, outcome=outcome, result=result, seq=seq)

    def _write(self, **what):
        self.file.write(json.dumps({"process": self.process, **what}) + "\n")


class BadHistory(Exception):
    """The file is not a history; the text has the place."""


def load(paths):
    """The operations of all files, in the order of their beginnings."""
    begun, ended = {}, {}
    for path in paths:
        with open(path) as lines:
            for number, line in enumerate(lines, 1):
                # The last line of a killed process may be incomplete.
                if not line.endswith("\n"):
                    continue
                try:
                    x = json.loads(line)
                    which = (x["process"], x["id"])
                    half = begun if "start" in x else ended
                    if which in half:
                        raise KeyError(f"{which} occurs twice")
                    half[which] = x
                except (ValueError, KeyError, TypeError) as error:
                    raise BadHistory(f"{path}:{number}: {error!r}") from None
    if orphans := ended.keys() - begun.keys():
        raise BadHistory(f"these ended and had not begun: {sorted(orphans)[:3]}")
    result = []
    for which, x in begun.items():
        ending = ended.get(which, {"outcome": "unknown"})
        if ending["outcome"] not in ("ok", "failed", "unknown"):
            raise BadHistory(f"{which} has the outcome {ending['outcome']!r}")
        end = math.inf if ending["outcome"] == "unknown" else ending["end"]
        if end < x["start"]:
            raise BadHistory(f"{which} ended before it began")
        result.append(Operation(x["process"], x["object"], x["do"], x.get("value"), x["start"], end, ending["outcome"],
                                ending.get("result"), ending.get("seq")))
    return sorted(result, key=lambda x: x.start)
