"""Rows, and the answers of reads and writes."""

from __future__ import annotations

import collections
import functools
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .errors import InvalidRequestError, RowFactoryError

# Makes the rows of one answer: a function that takes the tuple of column names and returns a function from a row's values
# to the row, `lambda columns: lambda values: Note(**dict(zip(columns, values)))`. It is not the factory of sqlite3
# (cursor, row).
RowFactory = Callable[[Tuple[str, ...]], Callable[[Sequence[Any]], Any]]


def make_rows(factory: RowFactory, columns: Tuple[str, ...], rows: Sequence[Any],
              commit: Optional[Dict[str, Any]] = None) -> List[Any]:
    """Rows of the factory. `commit` is the answer of the write that they are of: its outcome must not be lost."""
    if not rows:
        return []
    try:
        return list(map(factory(columns), rows))
    except Exception as failed:
        if commit is None:
            raise
        seq = commit["commit_seq"]
        raise RowFactoryError(f"the row factory failed ({type(failed).__name__}: {failed}); the write is committed "
                              f"(commit {seq})", {"code": "invalid_request", "outcome": "committed", "commit_seq": seq,
                                                  "request_id": commit.get("request_id")}) from failed


def tuple_row(columns: Tuple[str, ...]) -> Callable[[Sequence[Any]], Tuple[Any, ...]]:
    """Rows as tuples: the default."""
    return tuple


def dict_row(columns: Tuple[str, ...]) -> Callable[[Sequence[Any]], Dict[str, Any]]:
    """Rows as dicts. Of columns with the same name the last one counts."""
    return lambda row: dict(zip(columns, row))


@functools.lru_cache(maxsize=256)
def named_row(columns: Tuple[str, ...]) -> Callable[[Sequence[Any]], Any]:
    """Rows as named tuples. A column whose name is no identifier, or comes twice, is named _N after its position."""
    make: Callable[[Sequence[Any]], Any] = getattr(collections.namedtuple("Row", columns, rename=True), "_make")
    return make


class Statement(NamedTuple):
    """One statement of a write or of a snapshot. `expect` is the number of rows that it must change (ConflictError)."""

    sql: str
    params: Any = ()
    expect: Optional[int] = None


class Change(NamedTuple):
    """A commit, as a subscription has it.

    `tables` are the changed ones; with `everything` any table may have changed. `commit_seq` is None for a commit by a
    program that bypasses the broker.
    """

    db: str
    commit_seq: Optional[int]
    tables: Tuple[str, ...]
    everything: bool


class ReadResult:
    """The rows of a query.

    `truncated` says that a bound cut them. `source` is `cache`, `joined` or `database`; the rows include the commit
    `as_of_seq` and all before it. It iterates over its rows, has a length, and takes an index.
    """

    __slots__ = ("columns", "rows", "truncated", "source", "as_of_seq")

    def __init__(self, answer: Dict[str, Any], factory: RowFactory) -> None:
        self.columns: Tuple[str, ...] = tuple(answer["columns"])
        self.rows: List[Any] = make_rows(factory, self.columns, answer["rows"])
        self.truncated: bool = answer["truncated"]
        self.source: str = answer["source"]
        self.as_of_seq: int = answer["as_of_seq"]

    def one(self) -> Any:
        """The only row; InvalidRequestError if there are none or more."""
        if len(self.rows) != 1:
            raise InvalidRequestError(f"one row is wanted, and the query has {len(self.rows)}")
        return self.rows[0]

    def first(self) -> Any:
        """The first row; None if there is none."""
        return self.rows[0] if self.rows else None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any) -> Any:
        return self.rows[at]

    def __repr__(self) -> str:
        return f"<{len(self.rows)} rows of {', '.join(self.columns)}{', truncated' if self.truncated else ''}>"


class StatementResult:
    """What one statement of a write did: `changes`, `last_insert_rowid`, and the rows of RETURNING."""

    __slots__ = ("changes", "last_insert_rowid", "columns", "rows")

    def __init__(self, answer: Dict[str, Any], factory: RowFactory, commit: Dict[str, Any]) -> None:
        self.changes: int = answer["changes"]
        self.last_insert_rowid: int = answer["last_insert_rowid"]
        self.columns: Tuple[str, ...] = tuple(answer["columns"])
        self.rows: List[Any] = make_rows(factory, self.columns, answer["rows"], commit)

    def __repr__(self) -> str:
        return f"<{self.changes} changes, {len(self.rows)} rows>"


class WriteResult:
    """A committed write.

    `commit_seq` numbers the commits of the database; `replayed` says that the key was known and nothing was done again.
    `results` has one entry for each statement; `rows` and `last_insert_rowid` are those of the last one, `changes` the
    sum of all.
    """

    __slots__ = ("commit_seq", "replayed", "request_id", "results")

    def __init__(self, answer: Dict[str, Any], factory: RowFactory) -> None:
        self.commit_seq: int = answer["commit_seq"]
        self.replayed: bool = answer["replayed"]
        self.request_id: str = answer["request_id"]
        self.results: List[StatementResult] = [StatementResult(x, factory, answer) for x in answer["results"]]

    @property
    def changes(self) -> int:
        return sum(x.changes for x in self.results)

    @property
    def rows(self) -> List[Any]:
        return self.results[-1].rows

    @property
    def last_insert_rowid(self) -> int:
        return self.results[-1].last_insert_rowid

    def __repr__(self) -> str:
        return f"<commit {self.commit_seq}, {self.changes} changes{', replayed' if self.replayed else ''}>"
