"""A subset of DB-API 2.0 (PEP 249): a statement at a time, or the writes of a transaction as one request.

    import sluice.dbapi

    connection = sluice.dbapi.connect("/path/to/folder/app.db")
    with connection:
        connection.execute("INSERT INTO notes (text) VALUES (?)", ["hello"])

A transaction that waits for its client would block all others, so there is none across requests: no query sees what
waits for `commit`, and there are no savepoints. `docs/guides/python.md` lists what cannot be.
"""

from __future__ import annotations

import datetime
import os
from typing import Any, Optional

from .._retry import DEFAULT_SECONDS
from ..client import Client
from ..rows import tuple_row
from ._connection import Connection, Cursor
from ._errors import (DatabaseError, DataError, Error, IntegrityError, InterfaceError, InternalError, NotSupportedError,
                      OperationalError, ProgrammingError, Warning, translated)

apilevel = "2.0"
# Threads may share the module; each has its own connection.
threadsafety = 1
# Named parameters (`:name`, with a dict) work as well.
paramstyle = "qmark"

# The oldest that brokers are built with.
sqlite_version_info = (3, 40, 0)
sqlite_version = "3.40.0"

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
DateFromTicks = datetime.date.fromtimestamp
TimestampFromTicks = datetime.datetime.fromtimestamp
Binary = bytes


def TimeFromTicks(ticks: float) -> datetime.time:  # noqa: N802
    return datetime.datetime.fromtimestamp(ticks).time()


# SQLite's columns have no types that a description could name: these compare equal to nothing.
STRING = BINARY = NUMBER = DATETIME = ROWID = object()


def connect(database: Any, *, root: Optional[str] = None, autocommit: bool = False, agent: Optional[str] = None,
            timeout: float = DEFAULT_SECONDS, endpoint: Optional[str] = None, program: Optional[str] = None,
            start: Optional[bool] = None, capsule: Optional[str] = None) -> Connection:
    """Connects to a database: its folder is the store, or `root` is and `database` is relative to it.

    The other parameters are those of `sluice.connect`.
    """
    path = os.fspath(database)
    if root is None:
        root, path = os.path.split(os.path.abspath(path))
    with translated():
        client = Client(root, agent, timeout=timeout, row_factory=tuple_row, endpoint=endpoint, program=program,
                        start=start, capsule=capsule)
    return Connection(client, path, autocommit)


__all__ = ["apilevel", "threadsafety", "paramstyle", "connect", "Connection", "Cursor", "Date", "Time", "Timestamp",
           "DateFromTicks", "TimeFromTicks", "TimestampFromTicks", "Binary", "STRING", "BINARY", "NUMBER", "DATETIME",
           "ROWID", "Warning", "Error", "InterfaceError", "DatabaseError", "DataError", "OperationalError",
           "IntegrityError", "InternalError", "ProgrammingError", "NotSupportedError"]
