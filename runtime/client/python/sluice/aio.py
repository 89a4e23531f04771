"""The client for asyncio.

    import sluice.aio

    async with await sluice.aio.connect("/path/to/folder", agent="alice") as store:
        await store.write("app.db", "INSERT INTO notes (text) VALUES (?)", ["hello"])
        async for change in await store.subscribe("app.db", "notes"):
            ...
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, AsyncIterator, List, Optional, Tuple, TypeVar, Union

from . import _requests
from ._async_channel import AsyncChannel
from ._bind import asynchronous
from ._election import find_broker
from ._operations import AsyncOperations
from ._requests import LOG_PATIENCE, LONG_WORK, log_fields, of_cursor
from ._retry import AGAIN, DEFAULT_SECONDS, Attempts, Request
from ._settings import Settings, warn_of_silence
from ._wire import Call, Wire
from .errors import OverloadedError, SluiceError, make_error
from .rows import Change, RowFactory
from .streams import Pages
from .subscriptions import SubscriptionState
from .values import Params

R = TypeVar("R")


class AsyncClient(Settings):
    """As `sluice.Client`, with coroutines. Made by `sluice.aio.connect`.

    Tasks of one event loop share it; it is not for other threads. When a task that waits for an answer is cancelled, the
    broker ends its request: a read, or a write that has not begun. The outcome of a cancelled write is unknown.
    """

    names_requests = True

    def __init__(self, root: str, agent: Optional[str], timeout: float, row_factory: Optional[RowFactory],
                 endpoint: Optional[str], program: Optional[str], start: Optional[bool], fail_on_silence: bool,
                 capsule: Optional[str]) -> None:
        super().__init__(root, agent, timeout, row_factory, endpoint, program, start, fail_on_silence, capsule)
        self._channel: Optional[AsyncChannel] = None
        self._search: Optional[asyncio.Task[AsyncChannel]] = None
        self.operations = AsyncOperations(self)

    write = asynchronous(_requests.write)
    read = asynchronous(_requests.read)
    read_snapshot = asynchronous(_requests.read_snapshot)
    call = asynchronous(_requests.call)
    list_operations = asynchronous(_requests.list_operations)
    ping = asynchronous(_requests.ping)
    status = asynchronous(_requests.status)
    cancel = asynchronous(_requests.cancel)
    audit = asynchronous(_requests.audit)
    audit_verify = asynchronous(_requests.audit_verify)
    buffer_put = asynchronous(_requests.buffer_put)
    buffer_get = asynchronous(_requests.buffer_get)
    flush = asynchronous(_requests.flush)
    buffer_rejected = asynchronous(_requests.buffer_rejected)
    buffer_requeue = asynchronous(_requests.buffer_requeue)
    buffer_discard = asynchronous(_requests.buffer_discard)
    log = asynchronous(_requests.log)
    logs = asynchronous(_requests.logs)

    async def stream(self, db: str, sql: str, params: Params = (), *, page_rows: Optional[int] = None,
                     min_seq: Optional[int] = None, timeout: Optional[float] = None, idle: Optional[float] = None,
                     agent: Optional[str] = None, request_id: Optional[str] = None,
                     row_factory: Optional[RowFactory] = None) -> AsyncRowStream:
        """As `Client.stream`: `async for row in await client.stream(...)`."""
        first = _requests.open_cursor(self, db, sql, params, page_rows, min_seq, timeout, idle, agent, request_id)
        return AsyncRowStream(self, Pages(await self._run(first), row_factory or self.row_factory), first.served_by,
                              agent)

    async def subscribe(self, db: str, *tables: str, from_seq: Optional[int] = None,
                        agent: Optional[str] = None) -> AsyncSubscription:
        """As `Client.subscribe`: `async for change in await client.subscribe(...)`."""
        state = SubscriptionState(self, db, tables, from_seq, agent)
        await self._run(state.request())
        return AsyncSubscription(self, state)

    async def log_later(self, level: Union[int, str], message: str, *, source: Optional[str] = None,
                        agent: Optional[str] = None) -> None:
        """As `Client.log_later`."""
        line = Wire.notify("log", "{" + log_fields(self, level, message, source, agent) + "}")
        (await self._leader(time.monotonic() + min(self.timeout, LOG_PATIENCE))).post(line)

    async def close(self) -> None:
        """Ends the connection; calls of other tasks end as RequestCancelledError."""
        self.is_closed = True
        if self._channel and not self.is_forked:
            self._channel.close()
        if self._search:
            await asyncio.wait([self._search])

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def _run(self, request: Request[R]) -> R:
        """Sends until it is answered, or its time is over."""
        attempts = Attempts(request, self.timeout)
        while True:
            try:
                channel = await self._leader(attempts.limit)
            except SluiceError as blocked:
                self.judge_blocked(attempts, blocked)
            else:
                self.check_pinned(request, channel)
                call = Call()
                call.feed = request.feed
                await channel.ask(call, request.method, attempts.params(), attempts.limit, request.id)
                if call.lost and self.is_closed:
                    raise attempts.closed()
                result = attempts.judge(call, channel.wire)
                if result is not AGAIN:
                    return result  # type: ignore[no-any-return]
            if attempts.pause:
                await asyncio.sleep(attempts.pause)

    async def _leader(self, limit: float) -> AsyncChannel:
        """The connection; one task looks for the next broker for all."""
        self.check_process()
        channel = self._channel
        if channel and not channel.wire.lost and not channel.wire.draining:
            return channel
        if self.is_closed:
            raise make_error("cancelled", "the client was closed")
        if self._search is None:
            self._search = asyncio.get_running_loop().create_task(self._find(limit, 0))
            self._search.add_done_callback(self._found)
        # Of the search of another task whose time was over, only the waiting matters.
        done, _ = await asyncio.wait([self._search], timeout=max(0.0, limit - time.monotonic()))
        if not done:
            raise make_error("busy", "no broker has been found yet")
        return done.pop().result()

    def _found(self, search: asyncio.Task[AsyncChannel]) -> None:
        self._search = None
        if not search.cancelled() and search.exception() is None:
            self._channel = search.result()
            if self.is_closed:
                self._channel.close()

    async def _find(self, limit: float, tries: int) -> AsyncChannel:
        old = self._channel
        if old and old.wire.draining and not old.wire.lost:
            # Its successor can only lead after it has ended.
            await old.wait_for_end(limit)
            if not old.wire.lost:
                raise make_error("unavailable", "the broker is stepping down, and has not gone yet")
        search = lambda: find_broker(self.place, limit, lambda: self.is_closed, tries)  # noqa: E731
        found = await asyncio.get_running_loop().run_in_executor(None, search)
        return await AsyncChannel.open(found, self.fail_on_silence, warn_of_silence)


class AsyncRowStream:
    """As `sluice.RowStream`. Used by one task at a time."""

    def __init__(self, client: AsyncClient, pages: Pages, channel: Any, agent: Optional[str]) -> None:
        self._client, self._pages, self._channel, self._agent = client, pages, channel, agent

    @property
    def columns(self) -> Tuple[str, ...]:
        return self._pages.columns

    @property
    def as_of_seq(self) -> int:
        return self._pages.as_of_seq

    def __aiter__(self) -> AsyncRowStream:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                return self._pages.next_row()
            except StopIteration:
                if self._pages.is_done:
                    raise StopAsyncIteration from None
            await self._next_page()

    async def pages(self) -> AsyncIterator[List[Any]]:
        """The rows in lists, a page each."""
        while True:
            rows = self._pages.rest()
            if rows:
                yield rows
            if self._pages.is_done:
                return
            await self._next_page()

    async def close(self) -> None:
        """Ends the cursor at the broker. May be called twice."""
        request = self._pages.end_request(self._client, self._agent, self._channel)
        if request:
            try:
                await self._client._run(request)
            except SluiceError:
                pass

    async def __aenter__(self) -> AsyncRowStream:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def _next_page(self) -> None:
        give_up = time.monotonic() + LONG_WORK
        while True:
            request = of_cursor(self._client, "cursor.next", self._pages.cursor, self._agent, self._channel)
            try:
                self._pages.take(await self._client._run(request))
                return
            except OverloadedError as full:
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep((full.retry_after_ms or 10) / 1000)
            except SluiceError as failed:
                raise self._pages.failed(failed) from None


class AsyncSubscription:
    """As `sluice.Subscription`. Used by one task at a time."""

    def __init__(self, client: AsyncClient, state: SubscriptionState) -> None:
        self._client, self._state = client, state

    @property
    def last_seq(self) -> Optional[int]:
        return self._state.last_seq

    def __aiter__(self) -> AsyncSubscription:
        return self

    async def __anext__(self) -> Change:
        change = await self.get()
        if change is None:
            raise StopAsyncIteration
        return change

    async def get(self, timeout: Optional[float] = None) -> Optional[Change]:
        """The next change; None if there is none within `timeout` seconds, or when it is closed."""
        limit = float("inf") if timeout is None else time.monotonic() + timeout
        while not self._state.has_ended():
            change = self._state.next_change()
            if change:
                return change
            if self._state.must_resume():
                await self._client._run(self._state.request())
                continue
            if time.monotonic() >= limit:
                return None
            wire = self._state.feed.wire
            assert wire
            await wire.owner.wait_for_change(self._state.feed, limit)
        return None

    async def close(self) -> None:
        """Ends it; a task that waits for a change ends."""
        request = self._state.end_request()
        if request:
            try:
                await self._client._run(request)
            except SluiceError:
                pass

    async def __aenter__(self) -> AsyncSubscription:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()


async def connect(root: Union[str, os.PathLike[str]] = ".", agent: Optional[str] = None, *,
                  timeout: float = DEFAULT_SECONDS, row_factory: Optional[RowFactory] = None,
                  endpoint: Optional[str] = None, program: Optional[str] = None, start: Optional[bool] = None,
                  fail_on_silence: bool = False, capsule: Optional[str] = None) -> AsyncClient:
    """As `sluice.connect`, for the running event loop."""
    client = AsyncClient(os.fspath(root), agent, timeout, row_factory, endpoint, program, start, fail_on_silence,
                         capsule)
    # Where no broker is started, waiting for one would only delay the error.
    client._channel = await client._find(time.monotonic() + timeout, 1)
    return client
