"""One connection, shared by the tasks of an event loop."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Callable, Optional

from ._election import Found, silence_of
from ._wire import Call, Feed, Wire

# Seconds between two looks at the life of the broker.
TICK = 0.5


class AsyncChannel(asyncio.Protocol):
    """A connection to a broker. Used by the thread of its event loop."""

    def __init__(self, pid: int, fail_on_silence: bool, warn: Callable[[str], None]) -> None:
        self.wire = Wire(self, time.monotonic())
        self._loop = asyncio.get_running_loop()
        self._pid, self._fail_on_silence, self._warn = pid, fail_on_silence, warn
        self._transport: Optional[asyncio.Transport] = None
        self._timer: Optional[asyncio.TimerHandle] = None
        self._has_room = asyncio.Event()
        self._has_room.set()

    @classmethod
    async def open(cls, found: Found, fail_on_silence: bool, warn: Callable[[str], None]) -> AsyncChannel:
        found.socket.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            _, channel = await loop.create_unix_connection(lambda: cls(found.pid, fail_on_silence, warn),
                                                           sock=found.socket)
        except BaseException:
            found.socket.close()
            raise
        return channel

    async def ask(self, call: Call, method: str, params: str, limit: float, request_id: Optional[str]) -> None:
        """Sends a request and waits until `limit` (of time.monotonic()), or until the broker is silent if so wanted.

        When the task is cancelled, the broker is told to cancel the request.
        """
        if not self._has_room.is_set():
            try:
                await asyncio.wait_for(self._has_room.wait(), max(0.0, limit - time.monotonic()))
            except asyncio.TimeoutError:
                return
        if self.wire.lost or self._transport is None:
            call.finish(None, lost=True)
            return
        self._transport.write(self.wire.begin(call, method, params, time.monotonic()))
        call.sent = True
        try:
            await self._wait(call, limit)
        except asyncio.CancelledError:
            if request_id is not None and not call.finished:
                self.post(self.wire.notify("cancel", json.dumps({"request_id": request_id})))
            raise

    def post(self, line: bytes) -> None:
        """Sends what is not answered."""
        if self._transport is not None and not self.wire.lost:
            self._transport.write(line)

    async def wait_for_change(self, feed: Feed, limit: float) -> None:
        """Until the subscription has a change or has ended, or `limit`."""
        if not (feed.changes or feed.dropped or self.wire.lost):
            call = feed.waiter = Call()
            self.wire.waiting.add(call)
            try:
                await self._wait(call, limit)
            finally:
                feed.waiter = None
                self.wire.waiting.discard(call)

    async def wait_for_end(self, limit: float) -> None:
        """Until the broker has closed the connection, or `limit`."""
        if not self.wire.lost:
            call = Call()
            self.wire.waiting.add(call)
            await self._wait(call, limit)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self.connection_lost(None)

    def silence(self) -> str:
        return silence_of(self._pid)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.wire.receive(data, time.monotonic())
        if self.wire.lost:
            self.close()
        elif self.wire.has_to_send:
            self.post(self.wire.to_send())

    def eof_received(self) -> None:
        # The transport closes itself.
        return None

    def connection_lost(self, reason: Optional[Exception]) -> None:
        if not self.wire.lost:
            self.wire.lose()
        self._has_room.set()
        if self._timer:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._has_room.clear()

    def resume_writing(self) -> None:
        self._has_room.set()

    async def _wait(self, call: Call, limit: float) -> None:
        done: asyncio.Future[None] = self._loop.create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        call.wake = wake
        timer = None if limit == float("inf") else self._loop.call_later(limit - time.monotonic(), wake)
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._tick)
        try:
            if not call.finished:
                await done
        finally:
            call.wake = None
            if timer:
                timer.cancel()
            if not call.finished:
                self.wire.abandon(call)

    def _tick(self) -> None:
        wire = self.wire
        was_silent = wire.is_silent
        is_silent = wire.check(time.monotonic())
        if wire.has_to_send:
            self.post(wire.to_send())
        if is_silent and not was_silent and not self._fail_on_silence:
            self._warn(self.silence())
        if is_silent and self._fail_on_silence:
            for call in list(wire.pending.values()):
                if call.wake:
                    call.wake()
        # Without calls under way there is nothing to look at.
        self._timer = self._loop.call_later(TICK, self._tick) if wire.pending and not wire.lost else None
