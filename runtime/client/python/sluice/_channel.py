"""One connection, shared by any number of threads.

It has no thread of its own: one of the waiting threads reads for all, and passes this role on when it has its own
answer, because a switch of threads would cost more than a request.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from typing import Callable, List

from ._election import Found, silence_of
from ._wire import Call, Feed, Wire

# Seconds after which a wait in the kernel ends, to look at deadlines and at the life of the broker.
TICK = 0.5
# Seconds after which an unused connection is checked for its end before a request is sent on it.
UNUSED = 1.0
# That are received at once. More would be mapped and unmapped by the C library each time.
MOST_BYTES = 1 << 16


class Channel:
    """A connection to a broker. Thread-safe."""

    def __init__(self, found: Found, fail_on_silence: bool, warn: Callable[[str], None]) -> None:
        self.wire = Wire(self, time.monotonic())
        self._socket, self._pid = found.socket, found.pid
        self._fail_on_silence, self._warn = fail_on_silence, warn
        self._sending = threading.Lock()
        # Held by the thread that reads.
        self._reading = threading.Lock()
        self._followers: List[threading.Semaphore] = []
        # Blocking calls with time-outs of the kernel take a system call less than those of Python's sockets.
        self._socket.setblocking(True)
        self._set_timeout(socket.SO_RCVTIMEO, TICK)
        self._set_timeout(socket.SO_SNDTIMEO, TICK)

    def ask(self, call: Call, method: str, params: str, limit: float) -> None:
        """Sends a request and waits until `limit` (of time.monotonic()), or until the broker is silent if so wanted."""
        wire = self.wire
        now = time.monotonic()
        if now - wire.last_received > UNUSED:
            self._look_for_end()
        line = wire.begin(call, method, params, now)
        # The order matters: `lose` sets the mark before it ends the registered calls.
        if wire.lost:
            wire.abandon(call)
            call.finish(None, lost=True)
            return
        call.sent = self._send(line, limit)
        if limit - now > TICK and self._reading.acquire(False):
            try:
                self._read_once(call, now)
            finally:
                self._reading.release()
                if self._followers:
                    self._pass_on()
        if not call.finished:
            self.wait(call, limit)

    def post(self, line: bytes, limit: float) -> bool:
        """Sends without waiting for an answer; whether all of it was sent."""
        return not self.wire.lost and self._send(line, limit)

    def wait(self, call: Call, limit: float) -> None:
        """Until the call has finished, or `limit`; then its answer is dropped. The thread may read for others."""
        try:
            while not call.finished and time.monotonic() < limit:
                if self._fail_on_silence and self.wire.is_silent:
                    break
                if self._reading.acquire(False):
                    try:
                        self._read(call, limit)
                    finally:
                        self._reading.release()
                        self._pass_on()
                else:
                    self._follow(call, limit)
        finally:
            if not call.finished:
                self.wire.abandon(call)

    def wait_for_change(self, feed: Feed, limit: float) -> None:
        """Until the subscription has a change or has ended, or `limit`."""
        call = feed.waiter = Call()
        self.wire.waiting.add(call)
        # As in `ask`; and a change may have come before there was a waiter.
        if not (feed.changes or feed.dropped or self.wire.lost):
            self.wait(call, limit)
        feed.waiter = None
        self.wire.waiting.discard(call)

    def wait_for_end(self, limit: float) -> None:
        """Until the broker has closed the connection, or `limit`."""
        call = Call()
        self.wire.waiting.add(call)
        if not self.wire.lost:
            self.wait(call, limit)
        self.wire.waiting.discard(call)

    def close(self) -> None:
        """Ends the connection, also for the threads that wait on it."""
        self.wire.lost = True
        try:
            # The thread that reads sees the end, and ends the calls.
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self._reading.acquire(False):
            try:
                self._lose()
            finally:
                self._reading.release()

    def forget(self) -> None:
        """Closes the descriptor of a forked process; the connection is its parent's."""
        self.wire.lost = True
        self._socket.close()

    def silence(self) -> str:
        return silence_of(self._pid)

    def _lose(self) -> None:
        self.wire.lose()
        self._socket.close()

    def _read_once(self, call: Call, now: float) -> None:
        """As `_read`, for at most a tick: mostly the answer is the next that comes."""
        try:
            if not call.finished:
                data = self._socket.recv(MOST_BYTES)
                if not data or not self.wire.receive_only(call, data, now):
                    self._received(data)
        except BlockingIOError:
            pass
        except OSError:
            self._lose()
        except BaseException:
            # An interrupt may have come between the receipt of bytes and their reading.
            self._lose()
            raise

    def _received(self, data: bytes) -> None:
        if data:
            self.wire.receive(data, time.monotonic())
        if not data or self.wire.lost:
            self._lose()
        elif self.wire.has_to_send:
            self._send_if_free()

    def _read(self, call: Call, limit: float) -> None:
        wire = self.wire
        receive = self._socket.recv
        shortened = False
        try:
            while not call.finished:
                now = time.monotonic()
                if limit - now < TICK:
                    if now >= limit:
                        return
                    self._set_timeout(socket.SO_RCVTIMEO, limit - now)
                    shortened = True
                try:
                    data = receive(MOST_BYTES)
                except BlockingIOError:
                    if self._tick():
                        return
                    continue
                self._received(data)
                if wire.lost:
                    return
        except OSError:
            self._lose()
        except BaseException:
            # An interrupt may have come between the receipt of bytes and their reading.
            self._lose()
            raise
        finally:
            if shortened and not wire.lost:
                self._set_timeout(socket.SO_RCVTIMEO, TICK)

    def _tick(self) -> bool:
        """Whether the wait ends, because the broker is silent."""
        wire = self.wire
        was_silent = wire.is_silent
        if wire.check(time.monotonic()) and not was_silent:
            if self._fail_on_silence:
                # The others look at it, too.
                for follower in list(self._followers):
                    follower.release()
            else:
                self._warn(self.silence())
        self._send_if_free()
        return wire.is_silent and self._fail_on_silence

    def _send_if_free(self) -> None:
        """What may wait: the thread that reads never waits for the broker to read."""
        if self._sending.acquire(False):
            try:
                data = self.wire.to_send()
                if data and self._socket.send(data, socket.MSG_DONTWAIT) < len(data):
                    self._lose()
            except BlockingIOError:
                pass
            finally:
                self._sending.release()

    def _send(self, line: bytes, limit: float) -> bool:
        """Whether all of it was sent. After a part of it the connection is lost."""
        with self._sending:
            try:
                sent = self._socket.send(line)
                if sent == len(line):
                    return True
                return self._send_rest(memoryview(line)[sent:], limit)
            except BlockingIOError:
                return self._send_rest(memoryview(line), limit)
            except OSError:
                # The broker has gone. The thread that reads receives what it has still sent, and then the end.
                return False
            except BaseException:
                # A part of the line may have been sent.
                self.close()
                raise

    def _send_rest(self, rest: memoryview, limit: float) -> bool:
        was_told = False
        last_progress = time.monotonic()
        while rest:
            try:
                rest = rest[self._socket.send(rest):]
                last_progress = time.monotonic()
            except BlockingIOError:
                now = time.monotonic()
                if now >= limit or self.wire.lost:
                    self._socket.shutdown(socket.SHUT_RDWR)
                    return False
                if not was_told and now - max(last_progress, self.wire.last_received) >= 2.0:
                    was_told = True
                    self.wire.is_silent = True
                    self._warn(self.silence())
        return True

    def _look_for_end(self) -> None:
        """Sees that the broker has ended while nothing was sent, so that a request is not sent into the void."""
        if not self._reading.acquire(False):
            return
        try:
            if self.wire.lost:
                return
            if select.select([self._socket], [], [], 0)[0]:
                self._received(self._socket.recv(MOST_BYTES, socket.MSG_DONTWAIT))
        except BlockingIOError:
            pass
        except (OSError, ValueError):
            self._lose()
        finally:
            self._reading.release()
            self._pass_on()

    def _follow(self, call: Call, limit: float) -> None:
        turn = threading.Semaphore(0)
        call.wake = turn.release
        self._followers.append(turn)
        is_woken = False
        try:
            # The reader may have left before it could see this follower.
            if not call.finished and self._reading.locked():
                is_woken = turn.acquire(timeout=min(max(0.0, limit - time.monotonic()), threading.TIMEOUT_MAX))
        finally:
            call.wake = None
            try:
                self._followers.remove(turn)
            except ValueError:
                pass
            will_read = is_woken and not call.finished and time.monotonic() < limit
            if not will_read and not self._reading.locked():
                self._pass_on()

    def _pass_on(self) -> None:
        """Wakes one of the waiting threads to read."""
        try:
            self._followers[-1].release()
        except IndexError:
            pass

    def _set_timeout(self, option: int, seconds: float) -> None:
        whole = int(seconds)
        microseconds = max(1000, int((seconds - whole) * 1e6)) if whole == 0 else int((seconds - whole) * 1e6)
        self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", whole, microseconds))
