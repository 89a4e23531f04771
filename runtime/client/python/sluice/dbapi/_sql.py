"""What the text of a statement shows: whether it reads, writes, or is about a transaction."""

from __future__ import annotations

import re
from typing import Iterator

# Comments, literals, quoted names, words, and anything else a character at a time.
_TOKEN = re.compile(r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\w+|\S""",
                    re.DOTALL)
_READS = {"SELECT", "VALUES", "EXPLAIN"}
_WRITES = {"INSERT", "UPDATE", "DELETE", "REPLACE"}
_TRANSACTION = {"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"}


def _words(sql: str) -> Iterator[str]:
    """The words outside of parentheses, in capitals; punctuation as it is."""
    depth = 0
    for found in _TOKEN.finditer(sql):
        token = found.group()
        if token.startswith(("--", "/*")):
            continue
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0 and token != ")":
            yield token.upper()


def kind_of(sql: str) -> str:
    """`read`, `write`, or `transaction`. SQLite has the last word: the broker refuses a write that is sent as a read."""
    words = _words(sql)
    first = next(words, "")
    if first == "WITH":
        first = next((word for word in words if word in _READS or word in _WRITES), "SELECT")
    if first == "PRAGMA":
        return "write" if "=" in words else "read"
    if first in _TRANSACTION:
        return "transaction"
    return "read" if first in _READS else "write"


def has_returning(sql: str) -> bool:
    """Whether a write answers rows."""
    return "RETURNING" in _words(sql)
