"""The exceptions of DB-API 2.0."""

from __future__ import annotations

import contextlib
from typing import Dict, Iterator, Optional, Type

from ..errors import SluiceError


class Warning(Exception):  # noqa: A001
    """Of the standard; never raised."""


class Error(Exception):
    """The base of all others. `code` and `outcome` are those of the SluiceError that is its `__cause__`."""

    code: Optional[str] = None
    outcome: Optional[str] = None


class InterfaceError(Error):
    """The module is used wrongly: a cursor or a connection that is closed."""


class DatabaseError(Error):
    pass


class DataError(DatabaseError):
    """A value that SQLite does not have, or one that is too large."""


class OperationalError(DatabaseError):
    """The broker, the disk or a deadline."""


class IntegrityError(DatabaseError):
    """A constraint."""


class InternalError(DatabaseError):
    """A bug of the broker, or a damaged file."""


class ProgrammingError(DatabaseError):
    """Wrong SQL or wrong parameters."""


class NotSupportedError(DatabaseError):
    """What a connection that sends each statement, or each transaction, as one request cannot do."""


_BY_CODE: Dict[str, Type[DatabaseError]] = {
    "constraint": IntegrityError,
    "conflict": IntegrityError,
    "payload_mismatch": IntegrityError,
    "sql_error": ProgrammingError,
    "invalid_request": ProgrammingError,
    "unknown_database": ProgrammingError,
    "too_large": DataError,
    "internal": InternalError,
    "corrupt": InternalError,
    "ledger_damaged": InternalError,
}


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raises the errors of the client as those of the standard."""
    try:
        yield
    except SluiceError as failed:
        error = _BY_CODE.get(failed.code, OperationalError)(str(failed))
        error.code, error.outcome = failed.code, failed.outcome
        raise error from failed
    except (OverflowError, ValueError) as wrong:
        raise DataError(str(wrong)) from wrong
    except TypeError as wrong:
        raise ProgrammingError(str(wrong)) from wrong
