"""The synchronous client."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Optional, TypeVar, Union

from . import _requests
from ._bind import synchronous
from ._channel import Channel
from ._election import find_broker
from ._operations import Operations
from ._requests import LOG_PATIENCE, log_fields
from ._retry import AGAIN, DEFAULT_SECONDS, Attempts, Request
from ._settings import Settings, warn_of_silence
from ._wire import Call, Wire
from .errors import SluiceError, make_error
from .rows import RowFactory
from .streams import RowStream
from .subscriptions import Subscription
from .values import Params

R = TypeVar("R")


class Client(Settings):
    """A store: a folder of databases, whichever process leads it. Made by `sluice.connect`.

    Threads may share a client: they use one connection, and answers are matched by id. A forked process opens one of
    its own (InvalidRequestError). Every wait ends: a call gives up a second after its time, which is `timeout` seconds
    unless the call has its own. When the broker dies, calls are sent again: reads as they are, writes under the same key,
    so that they are applied once; calls that cannot be repeated (`buffer_put`, `log`) fail as UnavailableError.
    A broker that is silent for 2 s is reported by a BrokerSilentWarning; with `fail_on_silence` calls then end.
    """

    def __init__(self, root: Union[str, os.PathLike[str]] = ".", agent: Optional[str] = None, *,
                 timeout: float = DEFAULT_SECONDS, row_factory: Optional[RowFactory] = None,
                 endpoint: Optional[str] = None, program: Optional[str] = None, start: Optional[bool] = None,
                 fail_on_silence: bool = False, capsule: Optional[str] = None) -> None:
        super().__init__(os.fspath(root), agent, timeout, row_factory, endpoint, program, start, fail_on_silence, capsule)
        self._searching = threading.Lock()
        self._channel: Optional[Channel] = None
        self.operations = Operations(self)
        # Where no broker is started, waiting for one would only delay the error.
        self._channel = self._search(time.monotonic() + timeout, tries=1)

    write = synchronous(_requests.write)
    read = synchronous(_requests.read)
    read_snapshot = synchronous(_requests.read_snapshot)
    call = synchronous(_requests.call)
    list_operations = synchronous(_requests.list_operations)
    ping = synchronous(_requests.ping)
    status = synchronous(_requests.status)
    cancel = synchronous(_requests.cancel)
    audit = synchronous(_requests.audit)
    audit_verify = synchronous(_requests.audit_verify)
    buffer_put = synchronous(_requests.buffer_put)
    buffer_get = synchronous(_requests.buffer_get)
    flush = synchronous(_requests.flush)
    buffer_rejected = synchronous(_requests.buffer_rejected)
    buffer_requeue = synchronous(_requests.buffer_requeue)
    buffer_discard = synchronous(_requests.buffer_discard)
    log = synchronous(_requests.log)
    logs = synchronous(_requests.logs)

    def stream(self, db: str, sql: str, params: Params = (), *, page_rows: Optional[int] = None,
               min_seq: Optional[int] = None, timeout: Optional[float] = None, idle: Optional[float] = None,
               agent: Optional[str] = None, request_id: Optional[str] = None,
               row_factory: Optional[RowFactory] = None) -> RowStream:
        """The rows of a query of any size, one after the other, of one snapshot.

        A page of at most `page_rows` rows (10,000) or 512 KiB is in memory at a time. `timeout` is in seconds for each
        page; `idle` is the time in seconds in which the next page must be asked for (10). Use it in a `with`, or read it
        to its end: an open stream keeps the database from emptying its log. When the broker is lost, so is the stream
        (UnavailableError): run the query again.
        """
        first = _requests.open_cursor(self, db, sql, params, page_rows, min_seq, timeout, idle, agent, request_id)
        return RowStream(self, self._run(first), first.served_by, agent, row_factory or self.row_factory)

    def subscribe(self, db: str, *tables: str, from_seq: Optional[int] = None,
                  agent: Optional[str] = None) -> Subscription:
        """The commits that change one of the tables, or any if none are named, as an iterator of `Change`.

        With `from_seq` it begins behind that commit. It goes on with the next broker when this one is lost.
        """
        return Subscription(self, db, tables, from_seq, agent)

    def log_later(self, level: Union[int, str], message: str, *, source: Optional[str] = None,
                  agent: Optional[str] = None) -> None:
        """As `log`, but does not wait for the answer: the entry is lost if the broker dies.

        Waits for a broker for at most 2 s; UnavailableError or BusyError if there is none by then.
        """
        limit = time.monotonic() + min(self.timeout, LOG_PATIENCE)
        line = Wire.notify("log", "{" + log_fields(self, level, message, source, agent) + "}")
        self._leader(limit).post(line, limit)

    def close(self) -> None:
        """Ends the connection; calls of other threads end as RequestCancelledError."""
        self.is_closed = True
        channel = self._channel
        if channel and self.is_forked:
            channel.forget()
        elif channel:
            channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _run(self, request: Request[R]) -> R:
        """Sends until it is answered, or its time is over."""
        attempts = Attempts(request, self.timeout)
        while True:
            try:
                channel = self._leader(attempts.limit)
            except SluiceError as blocked:
                self.judge_blocked(attempts, blocked)
            else:
                self.check_pinned(request, channel)
                call = Call()
                call.feed = request.feed
                channel.ask(call, request.method, attempts.params(), attempts.limit)
                if call.lost and self.is_closed:
                    raise attempts.closed()
                result = attempts.judge(call, channel.wire)
                if result is not AGAIN:
                    return result  # type: ignore[no-any-return]
            if attempts.pause:
                time.sleep(attempts.pause)

    def _leader(self, limit: float) -> Channel:
        """The connection; one thread looks for the next broker for all."""
        self.check_process()
        channel = self._channel
        if channel and not channel.wire.lost and not channel.wire.draining:
            return channel
        if self.is_closed:
            raise make_error("cancelled", "the client was closed")
        if not self._searching.acquire(timeout=max(0.0, limit - time.monotonic())):
            raise make_error("busy", "no broker has been found yet")
        try:
            channel = self._channel
            if channel is None or channel.wire.lost:
                self._channel = self._search(limit)
            elif channel.wire.draining:
                # Its successor can only lead after it has ended.
                channel.wait_for_end(limit)
                if not channel.wire.lost:
                    raise make_error("unavailable", "the broker is stepping down, and has not gone yet")
                self._channel = self._search(limit)
            assert self._channel
            return self._channel
        finally:
            self._searching.release()

    def _search(self, limit: float, tries: int = 0) -> Channel:
        found = find_broker(self.place, limit, lambda: self.is_closed, tries)
        return Channel(found, self.fail_on_silence, warn_of_silence)


def connect(root: Union[str, os.PathLike[str]] = ".", agent: Optional[str] = None, *, timeout: float = DEFAULT_SECONDS,
            row_factory: Optional[RowFactory] = None, endpoint: Optional[str] = None, program: Optional[str] = None,
            start: Optional[bool] = None, fail_on_silence: bool = False, capsule: Optional[str] = None) -> Client:
    """Connects to the broker of the store in the folder `root`, and starts one if none runs.

    `agent` is the name that the audit records (SLUICE_AGENT, else USER@PID); `capsule` the text of a capsule that goes with
    each write and call (SLUICE_CAPSULE). Neither may be empty (InvalidRequestError). `row_factory` makes the rows: a
    function that takes the tuple of column names and returns a function from a row's values to the row (tuples; operations
    have dicts). `timeout` is the time in seconds that a call
    may take. `endpoint` is a socket to use instead of the store's own (SLUICE_ENDPOINT): then no broker is started.
    `program` is the program to start a broker with (SLUICE_PROGRAM, else sluice in PATH). `start=False`, or
    SLUICE_START=never, never starts one: RouteRequiredError if none runs.
    """
    return Client(root, agent, timeout=timeout, row_factory=row_factory, endpoint=endpoint, program=program, start=start,
                  fail_on_silence=fail_on_silence, capsule=capsule)
