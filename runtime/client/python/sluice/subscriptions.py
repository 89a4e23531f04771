"""Subscriptions as iterators."""

from __future__ import annotations

import time
from typing import Any, Optional, Tuple

from ._requests import subscription, unsubscription
from ._retry import Request
from ._wire import Feed
from .errors import SluiceError, UnavailableError
from .rows import Change


class SubscriptionState:
    """What to do next, without the waiting: shared by both clients."""

    def __init__(self, client: Any, db: str, tables: Tuple[str, ...], from_seq: Optional[int],
                 agent: Optional[str]) -> None:
        if any(not isinstance(x, str) for x in tables):
            raise TypeError("tables are named by text")
        self._client, self._agent = client, agent
        self.db, self.tables = db, tables
        self.feed = Feed(from_seq)
        self.is_closed = False
        # A broker that drops a subscription at once will do it again.
        self._dropped_at: Optional[int] = None

    @property
    def last_seq(self) -> Optional[int]:
        """The last commit that was received: `from_seq` of a later subscription."""
        return self.feed.last_seq

    def request(self) -> Request[Feed]:
        return subscription(self._client, self.db, self.tables, self.feed.last_seq, self._agent, self.feed)

    def end_request(self) -> Optional[Request[bool]]:
        """What ends it at the broker; a waiting thread or task ends."""
        wire = self.feed.wire
        was_closed, self.is_closed = self.is_closed, True
        self.feed.notify()
        if was_closed or wire is None or self.feed.id is None:
            return None
        wire.feeds.pop(self.feed.id, None)
        return None if wire.lost else unsubscription(self._client, self.feed.id)

    def has_ended(self) -> bool:
        """Whether it is closed, and all its changes were taken."""
        return self.is_closed and not self.feed.changes

    def next_change(self) -> Optional[Change]:
        """The next change that has come."""
        if not self.feed.changes:
            return None
        self._dropped_at = None
        return self.feed.changes.popleft()

    def must_resume(self) -> bool:
        """Whether to send `request` again. Raises if that was of no use the last time."""
        wire, feed = self.feed.wire, self.feed
        if feed.dropped:
            if self._dropped_at is not None and self._dropped_at == feed.last_seq:
                self.is_closed = True
                raise UnavailableError(f"the subscription was lost: {feed.dropped}; read the data again, and subscribe "
                                       "without from_seq", {"code": "unavailable"})
            self._dropped_at = feed.last_seq
            return True
        return wire is None or wire.lost


class Subscription:
    """An iterator over the commits that change tables of a database; it waits for each, and ends when it is closed.

    No commit through the brokers is missed or comes twice, also when the broker is lost; commits of other programs while
    no broker runs are not seen. Of more than 10,000 unread changes one remains, with `everything`. A broker drops a
    subscriber with 1 MiB unread; it is resumed, and if that is not possible the iteration fails as UnavailableError.
    Used by one thread at a time; `close` may be called by another.
    """

    def __init__(self, client: Any, db: str, tables: Tuple[str, ...], from_seq: Optional[int],
                 agent: Optional[str]) -> None:
        self._client = client
        self._state = SubscriptionState(client, db, tables, from_seq, agent)
        client._run(self._state.request())

    @property
    def last_seq(self) -> Optional[int]:
        return self._state.last_seq

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> Change:
        change = self.get()
        if change is None:
            raise StopIteration
        return change

    def get(self, timeout: Optional[float] = None) -> Optional[Change]:
        """The next change; None if there is none within `timeout` seconds, or when it is closed."""
        limit = float("inf") if timeout is None else time.monotonic() + timeout
        while not self._state.has_ended():
            change = self._state.next_change()
            if change:
                return change
            if self._state.must_resume():
                self._client._run(self._state.request())
                continue
            if time.monotonic() >= limit:
                return None
            wire = self._state.feed.wire
            assert wire
            wire.owner.wait_for_change(self._state.feed, limit)
        return None

    def close(self) -> None:
        """Ends it; a thread that waits for a change ends."""
        request = self._state.end_request()
        if request:
            try:
                self._client._run(request)
            except SluiceError:
                pass

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
