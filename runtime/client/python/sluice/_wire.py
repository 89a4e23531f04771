"""One connection without its socket: framing, ids, notifications, and whether the broker is alive.

The synchronous and the asynchronous client share it. It has no locks: `begin`, `notify` and `abandon` may be called by
any thread (each is one step on a dict), `receive`, `check` and `lose` by the one that reads.
"""

from __future__ import annotations

import collections
import itertools
import json
from typing import Any, Callable, Deque, Dict, List, Optional, Set

from .rows import Change
from .values import parse

# Seconds without a byte after which a ping is sent, and after which the broker counts as silent.
PING_AFTER = 1.0
SILENT_AFTER = 2.0
# With this many requests under way the broker may stop reading, so its silence proves nothing.
MAX_UNDER_WAY = 1_000
# A peer that sends a longer line is no broker.
MAX_LINE_BYTES = 1 << 30
# Of more unread changes one remains, which stands for all.
MAX_UNREAD_CHANGES = 10_000


class Call:
    """A request on one connection: `answer` is its line, `sent` whether the broker may have executed it."""

    # Members of the class, so that a call that is answered at once sets few of them.
    id = 0
    answer: Optional[bytes] = None
    sent = False
    finished = False
    lost = False
    # What a call that subscribes gets its changes in.
    feed: Optional[Feed] = None
    # Called when it has finished, by the thread that reads.
    wake: Optional[Callable[[], None]] = None

    def finish(self, answer: Optional[bytes], lost: bool = False) -> None:
        self.answer, self.lost = answer, lost
        self.finished = True
        if self.wake:
            self.wake()


class Feed:
    """The changes of one subscription. `last_seq` is the commit to resume after."""

    def __init__(self, last_seq: Optional[int] = None) -> None:
        self.changes: Deque[Change] = collections.deque()
        self.last_seq = last_seq
        self.id: Optional[int] = None
        self.wire: Optional[Wire] = None
        # The reason why the broker has dropped it.
        self.dropped: Optional[str] = None
        self.waiter: Optional[Call] = None

    def add(self, change: Change) -> None:
        self.last_seq = self.last_seq if change.commit_seq is None else change.commit_seq
        if len(self.changes) >= MAX_UNREAD_CHANGES:
            self.changes.clear()
            change = Change(change.db, self.last_seq, (), True)
        self.changes.append(change)
        self.notify()

    def drop(self, reason: str, last_seq: Optional[int]) -> None:
        self.dropped = reason
        self.last_seq = self.last_seq if last_seq is None else last_seq
        self.notify()

    def notify(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter:
            waiter.finish(None)


class Wire:
    """The state of a connection. After `receive` and `check` the owner sends what `to_send` gives."""

    def __init__(self, owner: Any, now: float) -> None:
        self.owner = owner
        self.pending: Dict[int, Call] = {}
        self.feeds: Dict[int, Feed] = {}
        # Calls that wait for a change, not for an answer.
        self.waiting: Set[Call] = set()
        # The error with which the broker refused the whole connection.
        self.refusal: Optional[Dict[str, Any]] = None
        self.draining = False
        self.lost = False
        self.is_silent = False
        self.last_received = now
        self._ids = itertools.count(1)
        self._parts: List[bytes] = []
        self._part_bytes = 0
        # Whether a ping was made since the last byte came, and when.
        self._ping_sent = False
        self._ping_at = now
        self._to_send: List[bytes] = []

    def begin(self, call: Call, method: str, params: str, now: float) -> bytes:
        """Registers the call; returns the line to send."""
        call.id = next(self._ids)
        if not self.pending:
            self.last_received = now
            self._ping_sent = self.is_silent = False
        self.pending[call.id] = call
        return f'{{"jsonrpc":"2.0","id":{call.id},"method":"{method}","params":{params}}}\n'.encode()

    @staticmethod
    def notify(method: str, params: str) -> bytes:
        """The line of a request that is not answered."""
        return f'{{"jsonrpc":"2.0","method":"{method}","params":{params}}}\n'.encode()

    def abandon(self, call: Call) -> None:
        """Drops the answer to come."""
        self.pending.pop(call.id, None)
        self.waiting.discard(call)

    def receive_only(self, call: Call, data: bytes, now: float) -> bool:
        """The most frequent case: `data` is the answer to this call, and nothing else. False if not.

        `now` is a time shortly before.
        """
        if self._parts or not data.startswith(b'{"id":%d,' % call.id) or data.find(b"\n") != len(data) - 1:
            return False
        if call.feed is not None or self.pending.pop(call.id, None) is None:
            return False
        self.last_received = now
        self._ping_sent = self.is_silent = False
        call.answer = data
        call.finished = True
        return True

    def receive(self, data: bytes, now: float) -> None:
        self.last_received = now
        self._ping_sent = self.is_silent = False
        if self._parts or not data.endswith(b"\n"):
            self._parts.append(data)
            self._part_bytes += len(data)
            if self._part_bytes > MAX_LINE_BYTES:
                self.lose()
            if b"\n" not in data:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        lines = data.split(b"\n")
        rest = lines.pop()
        if rest:
            self._parts.append(rest)
        self._part_bytes = len(rest)
        for line in lines:
            self._dispatch(line)

    @property
    def has_to_send(self) -> bool:
        return bool(self._to_send)

    def to_send(self) -> bytes:
        """What has to be sent now: pings, and ends of subscriptions that nobody reads."""
        result, self._to_send = b"".join(self._to_send), []
        return result

    def check(self, now: float) -> bool:
        """Called once in a while by the owner; whether the broker is silent. Then send `to_send`."""
        if not self.pending or len(self.pending) >= MAX_UNDER_WAY:
            return False
        if self._ping_sent and self._to_send:
            # The owner is sending a large request, and could not send the ping yet.
            self._ping_at = now
        elif self._ping_sent and now - self._ping_at >= SILENT_AFTER - PING_AFTER:
            self.is_silent = True
        elif not self._ping_sent and now - self.last_received >= PING_AFTER:
            self._ping_sent = True
            self._ping_at = now
            # No call waits for this answer.
            self._to_send.append(f'{{"jsonrpc":"2.0","id":{next(self._ids)},"method":"ping"}}\n'.encode())
        return self.is_silent

    def lose(self) -> None:
        """The connection has ended; so have its calls and subscriptions."""
        self.lost = True
        ended = list(self.pending.values()) + list(self.waiting)
        self.pending.clear()
        self.waiting.clear()
        for call in ended:
            call.finish(None, lost=True)

    def _dispatch(self, line: bytes) -> None:
        # A broker writes results with the id first. The thread of the call parses the rest.
        if line.startswith(b'{"id":'):
            id_text = line[6:line.find(b",", 6)]
            if id_text.isdigit():
                self._answered(int(id_text), line)
                return
        try:
            document = parse(line)
        except ValueError:
            self.lose()
            return
        if "method" in document:
            self._notified(document["method"], document.get("params") or {})
        elif document.get("id") is not None:
            self._answered(document["id"], line)
        elif "error" in document:
            self.refusal = document["error"]

    def _answered(self, call_id: int, line: bytes) -> None:
        call = self.pending.pop(call_id, None)
        if call is None:
            return
        if call.feed is not None:
            self._subscribed(call.feed, line)
        call.finish(line)

    def _subscribed(self, feed: Feed, line: bytes) -> None:
        # Before the next line, which may be its first notification.
        result = parse(line).get("result")
        if result:
            feed.id, feed.wire, feed.dropped = result["subscription"], self, None
            feed.last_seq = result["as_of_seq"] if feed.last_seq is None else feed.last_seq
            self.feeds[result["subscription"]] = feed

    def _notified(self, method: str, params: Dict[str, Any]) -> None:
        number = params.get("subscription", 0)
        feed = self.feeds.get(number)
        if feed is None:
            # Of a call that was given up before its answer came.
            self._to_send.append(self.notify("unsubscribe", json.dumps({"subscription": number})))
        elif method == "invalidation":
            feed.add(Change(params["db"], params.get("commit_seq"), tuple(params["tables"]), params["everything"]))
        elif method == "subscription_lost":
            del self.feeds[number]
            feed.drop(params.get("reason", "the broker dropped it"), params.get("last_seq"))
