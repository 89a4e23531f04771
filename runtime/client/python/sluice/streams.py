"""Iterators over answers of any size."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ._requests import LONG_WORK, of_cursor
from ._retry import Request
from .errors import InvalidRequestError, OverloadedError, SluiceError, make_error
from .rows import RowFactory


class Pages:
    """The pages of a cursor, without the waiting. Used by one thread or task at a time."""

    def __init__(self, first: Dict[str, Any], factory: RowFactory) -> None:
        self.columns: Tuple[str, ...] = tuple(first["columns"])
        self.as_of_seq: int = first["as_of_seq"]
        self.cursor: int = first["cursor"]
        self._make = factory(self.columns)
        self.is_done = False
        self._rows: Iterator[Any] = iter(())
        self.take(first)

    def take(self, page: Dict[str, Any]) -> None:
        self.is_done = page["done"]
        self._rows = map(self._make, page["rows"])

    def next_row(self) -> Any:
        """The next row of the page; StopIteration at its end."""
        return next(self._rows)

    def rest(self) -> List[Any]:
        return list(self._rows)

    def end_request(self, client: Any, agent: Optional[str], channel: Any) -> Optional[Request[Dict[str, Any]]]:
        """What ends the cursor at the broker; None if it has ended."""
        if self.is_done:
            return None
        self.is_done = True
        self._rows = iter(())
        return of_cursor(client, "cursor.close", self.cursor, agent, channel)

    def failed(self, error: SluiceError) -> SluiceError:
        """The error of a page. The cursor has ended."""
        self.is_done = True
        if isinstance(error, InvalidRequestError):
            # The next broker does not know the cursor.
            return make_error("unavailable", "the broker that had this cursor has gone: run the query again")
        return error


class RowStream:
    """An iterator over the rows of a query. `columns` are their names, `as_of_seq` the commit that they include.

    Used by one thread at a time. Closed at its end, by `close`, or by a `with`.
    """

    def __init__(self, client: Any, first: Dict[str, Any], channel: Any, agent: Optional[str],
                 factory: RowFactory) -> None:
        self._client, self._channel, self._agent = client, channel, agent
        self._pages = Pages(first, factory)

    @property
    def columns(self) -> Tuple[str, ...]:
        return self._pages.columns

    @property
    def as_of_seq(self) -> int:
        return self._pages.as_of_seq

    def __iter__(self) -> RowStream:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                return self._pages.next_row()
            except StopIteration:
                if self._pages.is_done:
                    raise
            self._next_page()

    def pages(self) -> Iterator[List[Any]]:
        """The rows in lists, a page each."""
        while True:
            rows = self._pages.rest()
            if rows:
                yield rows
            if self._pages.is_done:
                return
            self._next_page()

    def close(self) -> None:
        """Ends the cursor at the broker. May be called twice."""
        request = self._pages.end_request(self._client, self._agent, self._channel)
        if request:
            try:
                self._client._run(request)
            except SluiceError:
                # The cursor has ended with its connection or its time.
                pass

    def __enter__(self) -> RowStream:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _next_page(self) -> None:
        give_up = time.monotonic() + LONG_WORK
        while True:
            request = of_cursor(self._client, "cursor.next", self._pages.cursor, self._agent, self._channel)
            try:
                self._pages.take(self._client._run(request))
                return
            except OverloadedError as full:
                # The memory for answers is used up; the cursor is as it was.
                if time.monotonic() > give_up:
                    raise
                time.sleep((full.retry_after_ms or 10) / 1000)
            except SluiceError as failed:
                raise self._pages.failed(failed) from None
