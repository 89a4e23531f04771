"""A client of sluice: many writers, one SQLite file, no "database is locked".

    import sluice

    with sluice.connect("/path/to/folder", agent="alice") as store:
        store.write("app.db", "INSERT INTO notes (text) VALUES (?)", ["hello"])
        for (text,) in store.read("app.db", "SELECT text FROM notes"):
            print(text)

`sluice.aio` has the same for asyncio, `sluice.dbapi` a subset of DB-API 2.0. `docs/guides/python.md` is the guide.
"""

from .client import Client, connect
from .errors import (BrokerSilentWarning, BusyError, CapsuleInvalidError, ConflictError, ConstraintError, CorruptError,
                     DeadlineExceededError, DiskFullError, FileReplacedError, InternalError, InvalidRequestError,
                     IoError, LedgerDamagedError, NotAuthorizedError, OverloadedError, PayloadMismatchError,
                     ProtocolMismatchError, ReadOnlyError, RequestCancelledError, RouteRequiredError, RowFactoryError,
                     SluiceError, SqlError, TooLargeError, UnavailableError, UnknownDatabaseError, UnknownOperationError,
                     WrongStoreError)
from .handler import LogHandler
from .rows import (Change, ReadResult, RowFactory, Statement, StatementResult, WriteResult, dict_row, named_row,
                   tuple_row)
from .streams import RowStream
from .subscriptions import Subscription

__version__ = "0.1.0"

__all__ = ["BrokerSilentWarning", "BusyError", "CapsuleInvalidError", "Change", "Client", "ConflictError",
           "ConstraintError", "CorruptError", "DeadlineExceededError", "DiskFullError", "FileReplacedError",
           "InternalError", "InvalidRequestError", "IoError", "LedgerDamagedError", "LogHandler", "NotAuthorizedError",
           "OverloadedError", "PayloadMismatchError", "ProtocolMismatchError", "ReadOnlyError", "ReadResult",
           "RequestCancelledError", "RouteRequiredError", "RowFactory", "RowFactoryError", "RowStream", "SluiceError",
           "SqlError", "Statement", "StatementResult", "Subscription", "TooLargeError", "UnavailableError",
           "UnknownDatabaseError", "UnknownOperationError", "WriteResult", "WrongStoreError", "connect", "dict_row",
           "named_row", "tuple_row"]
