"""Connections and cursors of DB-API 2.0."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

from ..client import Client
from ..rows import Statement
from ..values import Params, encode_params
from . import _errors
from ._errors import InterfaceError, NotSupportedError, translated
from ._sql import has_returning, kind_of

# Seconds that the rest of a large answer may wait for a slow reader; the broker bounds it by its own setting.
SLOWEST_FETCH = 300.0

Row = Tuple[Any, ...]
Description = Tuple[Tuple[str, None, None, None, None, None, None], ...]


def _description(columns: Sequence[str]) -> Optional[Description]:
    return tuple((name, None, None, None, None, None, None) for name in columns) or None


class Connection:
    """A database of a store. Used by one thread at a time.

    Without `autocommit` statements that write wait for `commit`, which sends them as one request: all are applied, or
    none. `rollback` drops them. Until then no query is possible (NotSupportedError), because it could not see them, and
    they have neither `rowcount` nor `lastrowid`. When `commit` fails, the statements stay: `commit` again, under the same
    key, or `rollback`. With `autocommit` each statement is a request of its own.
    """

    Warning = _errors.Warning
    Error = _errors.Error
    InterfaceError = _errors.InterfaceError
    DatabaseError = _errors.DatabaseError
    DataError = _errors.DataError
    OperationalError = _errors.OperationalError
    IntegrityError = _errors.IntegrityError
    InternalError = _errors.InternalError
    ProgrammingError = _errors.ProgrammingError
    NotSupportedError = _errors.NotSupportedError

    def __init__(self, client: Client, db: str, autocommit: bool) -> None:
        self._client: Optional[Client] = client
        # The name of the database in its store.
        self.database = db
        # Whether a statement was committed by itself since the last commit() or rollback().
        self.has_written = False
        self._autocommit = autocommit
        self._waiting: List[Statement] = []
        # Of a commit that has failed.
        self._key: Optional[str] = None

    @property
    def client(self) -> Client:
        """The client, for what the standard does not have."""
        if self._client is None:
            raise InterfaceError("the connection is closed")
        return self._client

    @property
    def in_transaction(self) -> bool:
        """Whether statements wait for `commit`."""
        return bool(self._waiting)

    @property
    def autocommit(self) -> bool:
        return self._autocommit

    @autocommit.setter
    def autocommit(self, wanted: bool) -> None:
        if self._waiting:
            raise _errors.ProgrammingError("statements wait for commit() or rollback()")
        self._autocommit = wanted

    def cursor(self) -> Cursor:
        return Cursor(self)

    def execute(self, sql: str, params: Params = ()) -> Cursor:
        """As sqlite3 has it: a new cursor that has executed the statement."""
        return self.cursor().execute(sql, params)

    def executemany(self, sql: str, sets: Sequence[Params]) -> Cursor:
        return self.cursor().executemany(sql, sets)

    def commit(self) -> None:
        client = self.client
        if self._waiting:
            self._key = self._key or client.keys.next()
            with translated():
                client.write(self.database, *self._waiting, key=self._key)
        self._forget()

    def rollback(self) -> None:
        """Drops the statements that wait for `commit`. What was sent is committed, and stays."""
        assert self.client
        self._forget()

    def close(self) -> None:
        """Drops the statements that wait for `commit`."""
        if self._client:
            self._client.close()
        self._client = None
        self._forget()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()

    def _forget(self) -> None:
        self._waiting, self._key, self.has_written = [], None, False


class Cursor:
    """Executes statements, and fetches the rows of the last one, which are tuples. Used by one thread at a time."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.description: Optional[Description] = None
        self.rowcount = -1
        self.lastrowid: Optional[int] = None
        self._rows: Optional[Iterator[Row]] = None
        self._close_rows: Callable[[], None] = lambda: None
        self._is_closed = False

    def execute(self, sql: str, params: Params = ()) -> Cursor:
        self._start(sql)
        with translated():
            if kind_of(sql) == "read":
                self._read(sql, params)
            else:
                self._write(sql, [params])
        return self

    def executemany(self, sql: str, sets: Sequence[Params]) -> Cursor:
        """Executes a statement that writes with each of the parameters, as one request."""
        self._start(sql)
        if kind_of(sql) == "read" or has_returning(sql):
            raise _errors.ProgrammingError("executemany is for statements that write and answer no rows")
        batch = list(sets)
        if batch:
            with translated():
                self._write(sql, batch)
        return self

    def fetchone(self) -> Optional[Row]:
        with translated():
            return next(self._answer(), None)

    def fetchmany(self, size: Optional[int] = None) -> List[Row]:
        rows = self._answer()
        result: List[Row] = []
        with translated():
            for _ in range(self.arraysize if size is None else size):
                row = next(rows, None)
                if row is None:
                    break
                result.append(row)
        return result

    def fetchall(self) -> List[Row]:
        with translated():
            return list(self._answer())

    def __iter__(self) -> Cursor:
        return self

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def setinputsizes(self, sizes: Any) -> None:
        """Of the standard; without an effect."""

    def setoutputsize(self, size: Any, column: Any = None) -> None:
        """Of the standard; without an effect."""

    def close(self) -> None:
        self._close_rows()
        self._rows, self._is_closed = None, True

    def _start(self, sql: str) -> None:
        if self._is_closed:
            raise InterfaceError("the cursor is closed")
        if not isinstance(sql, str):
            raise _errors.ProgrammingError("a statement is text")
        assert self.connection.client
        self._close_rows()
        self.description, self.rowcount, self.lastrowid = None, -1, None
        self._rows, self._close_rows = None, lambda: None
        if kind_of(sql) == "transaction":
            raise NotSupportedError("a transaction is not a statement here: the first statement begins it, and commit() or "
                                    "rollback() of the connection end it; there are no savepoints")

    def _read(self, sql: str, params: Params) -> None:
        connection = self.connection
        if connection.in_transaction:
            raise NotSupportedError(f"a query cannot see the {len(connection._waiting)} statements that wait for commit(): "
                                    "commit or roll back first, or use autocommit")
        result = connection.client.read(connection.database, sql, params)
        self.description = _description(result.columns)
        if not result.truncated:
            self._rows = iter(result.rows)
            return
        # Nothing was given out yet, so the rows of a later snapshot are as good.
        stream = connection.client.stream(connection.database, sql, params, idle=SLOWEST_FETCH)
        self._rows, self._close_rows = stream, stream.close

    def _write(self, sql: str, sets: List[Any]) -> None:
        connection = self.connection
        statements = [Statement(sql, params) for params in sets]
        if not connection.autocommit:
            if has_returning(sql):
                raise NotSupportedError("RETURNING has no rows before commit(): use autocommit")
            if connection._key:
                raise NotSupportedError("commit() has failed: commit() again, or rollback(), before more statements")
            for params in sets:
                # Now, and not in commit().
                encode_params(params)
            connection._waiting += statements
            return
        result = connection.client.write(connection.database, *statements)
        connection.has_written = True
        self.rowcount = result.changes
        self.lastrowid = result.last_insert_rowid if len(sets) == 1 else None
        self.description = _description(result.results[-1].columns)
        self._rows = iter(result.rows) if self.description else None

    def _answer(self) -> Iterator[Row]:
        if self._is_closed:
            raise InterfaceError("the cursor is closed")
        if self._rows is None:
            raise _errors.ProgrammingError("there are no rows to fetch: the last statement was no query")
        return self._rows
