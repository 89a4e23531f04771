"""The exceptions of this package: one class for each error code of the protocol."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Type


class SluiceError(Exception):
    """A request that was not done.

    `code` is the code of the protocol (`constraint`, `overloaded`, ...), the same for all objects of a subclass.
    `message` is for people. `outcome` is `not_committed`, or `unknown` when a write may have been applied: repeat it
    under the same key (only a RowFactoryError has `committed`). `retry_after_ms` is a number of milliseconds, or None;
    `request_id` that of the request, or None. `data` is everything that the broker said. Codes that this version does not
    know are a plain SluiceError.
    """

    code = "internal"

    def __init__(self, message: str, data: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(message)
        self.message = message
        self.data: Dict[str, Any] = dict(data or {})
        self.code = self.data.get("code", type(self).code)

    @property
    def outcome(self) -> str:
        return str(self.data.get("outcome", "not_committed"))

    @property
    def retry_after_ms(self) -> Optional[int]:
        return self.data.get("retry_after_ms")

    @property
    def request_id(self) -> Optional[str]:
        return self.data.get("request_id")

    def __str__(self) -> str:
        doubt = " (the outcome is unknown: repeat it under the same key)" if self.outcome == "unknown" else ""
        return f"{self.code}: {self.message}{doubt}"

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.data)


class InvalidRequestError(SluiceError):
    """The request is malformed, forbidden, or names something wrongly; also a client that is used after a fork."""

    code = "invalid_request"


class RowFactoryError(InvalidRequestError):
    """The row factory failed after the write was committed: `outcome` is `committed`, `commit_seq` its number.

    The error of the factory is the `__cause__`. Do not send the write again, but under the same key.
    """

    @property
    def commit_seq(self) -> int:
        return int(self.data["commit_seq"])


class UnknownDatabaseError(SluiceError):
    """There is no such file (for a read), or no such folder."""

    code = "unknown_database"


class UnknownOperationError(SluiceError):
    """There is no operation of this name in the catalogue."""

    code = "unknown_operation"


class SqlError(SluiceError):
    """SQLite does not understand the statement."""

    code = "sql_error"


class ConstraintError(SluiceError):
    """A constraint of the schema refused the request."""

    code = "constraint"


class BusyError(SluiceError):
    """A process outside of the broker kept the lock until the deadline. It may be tried again."""

    code = "busy"


class DeadlineExceededError(SluiceError):
    """The time of the request was over."""

    code = "deadline_exceeded"


class RequestCancelledError(SluiceError):
    """The request was cancelled, or the client was closed."""

    code = "cancelled"


class OverloadedError(SluiceError):
    """A queue or a bound of the broker is full: try again after `retry_after_ms`."""

    code = "overloaded"


class TooLargeError(SluiceError):
    """A request, an answer or a value is over a bound."""

    code = "too_large"


class NotAuthorizedError(SluiceError):
    """The file may not be opened, the statement is not allowed, or the broker is another user's."""

    code = "not_authorized"


class CapsuleInvalidError(SluiceError):
    """The capsule of the request is not valid."""

    code = "capsule_invalid"


class PayloadMismatchError(SluiceError):
    """The key was used for another request."""

    code = "payload_mismatch"


class UnavailableError(SluiceError):
    """The broker, or a part of it, does not answer, failed, or shuts down."""

    code = "unavailable"


class DiskFullError(SluiceError):
    """The disk is full."""

    code = "disk_full"


class IoError(SluiceError):
    """The disk failed."""

    code = "io_error"


class CorruptError(SluiceError):
    """The file is damaged, or no database."""

    code = "corrupt"


class FileReplacedError(SluiceError):
    """Another program replaced the file of the database during the request."""

    code = "file_replaced"


class LedgerDamagedError(SluiceError):
    """The ledger in the database was changed without the broker: `sluice doctor ROOT --repair`."""

    code = "ledger_damaged"


class ConflictError(SluiceError):
    """A statement changed another number of rows than its `expect` says; nothing of the request is applied."""

    code = "conflict"


class ReadOnlyError(SluiceError):
    """The file or folder may not be written."""

    code = "read_only"


class ProtocolMismatchError(SluiceError):
    """Broker and client, or the ledger of the file, are of different versions."""

    code = "protocol_mismatch"


class RouteRequiredError(SluiceError):
    """There is no broker, and none could or should be started."""

    code = "route_required"


class WrongStoreError(SluiceError):
    """The broker leads another folder, or the folder of the store was moved or replaced."""

    code = "wrong_store"


class InternalError(SluiceError):
    """A bug of the broker."""

    code = "internal"


class BrokerSilentWarning(RuntimeWarning):
    """The broker has been connected and silent for 2 s: its process is stopped, or stuck."""


BY_CODE: Dict[str, Type[SluiceError]] = {each.code: each for each in SluiceError.__subclasses__()}


def error_from(error: Any) -> SluiceError:
    """The exception for the member `error` of an answer."""
    found = error if isinstance(error, dict) else {}
    data = found.get("data")
    data = data if isinstance(data, dict) else {}
    message = str(found.get("message", "the broker answered an error without a message"))
    return BY_CODE.get(data.get("code", "internal"), SluiceError)(message, data)


def make_error(code: str, message: str, outcome: str = "not_committed", **more: Any) -> SluiceError:
    return BY_CODE[code](message, {"code": code, "outcome": outcome, **more})


def with_outcome(error: SluiceError, outcome: str) -> SluiceError:
    """The same error with another outcome."""
    return type(error)(error.message, {**error.data, "outcome": outcome})
