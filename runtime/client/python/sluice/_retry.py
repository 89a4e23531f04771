"""The state of one request while it is repeated: the rules of the client library in C++ (retrying_call.cpp)."""

from __future__ import annotations

import time
from typing import Any, Callable, Generic, Optional, TypeVar

from ._wire import Call, Feed, Wire
from .errors import SluiceError, error_from, make_error, with_outcome
from .values import parse

R = TypeVar("R")

# Seconds that a call may take, by default, here and at the broker.
DEFAULT_SECONDS = 30.0
# Seconds after the deadline of a request in which the broker's answer can arrive.
GRACE = 1.0
LONGEST_PAUSE = 0.1
SUSPECT_BYTES = 64 << 10
AGAIN = object()

# A refusal from before the broker has searched its ledger does not tell the outcome of an earlier try.
_LOOKED_INTO_LEDGER = ("sql_error", "constraint", "conflict", "payload_mismatch")
_RETRYABLE = ("overloaded", "unavailable", "busy")
_OF_CONNECTION = ("protocol_mismatch", "wrong_store", "not_authorized")


class Request(Generic[R]):
    """What is asked, independent of tries: `fields` are the members of params as JSON text, without the braces.

    `seconds` is the time that the caller allows, None for the default of the client, and `time_field` the parameter that
    tells the broker. `changes` says whether the outcome matters, `repeatable` whether it may be sent again when an
    answer was lost. `pinned` is the only connection that may serve it. `id` is that to cancel it with.
    """

    # Members of the class, and set in few objects: requests are made all the time.
    time_field: Optional[str] = None
    seconds: Optional[float] = None
    extra_seconds = 0.0
    changes = False
    repeatable = True
    feed: Optional[Feed] = None
    pinned: Any = None
    id: Optional[str] = None
    served_by: Any = None

    def __init__(self, method: str, fields: str, decode: Callable[[Any], R], **more: Any) -> None:
        self.method = method
        self.fields = fields
        self.decode = decode
        if more:
            self.__dict__.update(more)


class Attempts(Generic[R]):
    """The tries of one request. Used by one thread or task at a time."""

    # Seconds to wait before the next try.
    pause = 0.0
    _tries = 0
    _bytes = 0
    _maybe_done = False
    _reason = ""

    def __init__(self, request: Request[R], default_seconds: float) -> None:
        self.request = request
        self.start = time.monotonic()
        self.length = (request.seconds or default_seconds) + request.extra_seconds
        # When to give up, of time.monotonic().
        self.limit = self.start + self.length + GRACE

    def params(self) -> str:
        """The parameters to send now, with the rest of the time."""
        request = self.request
        self._tries += 1
        fields = request.fields
        # The broker must not execute a write after its caller has given up.
        is_told = request.seconds is not None or (
            request.changes and (self._tries > 1 or self.length != DEFAULT_SECONDS))
        if request.time_field and is_told:
            left = max(1, round(1000 * (self.length - (time.monotonic() - self.start if self._tries > 1 else 0))))
            fields += f',"{request.time_field}":{left}'
        self._bytes = len(fields)
        return "{" + fields + "}"

    def judge(self, call: Call, wire: Wire) -> Any:
        """The result after a try, decoded, or AGAIN. Raises what ends the request."""
        self.pause = 0.0
        if call.answer is not None:
            answer = parse(call.answer)
            if "result" in answer:
                self.request.served_by = wire.owner
                return self.request.decode(answer["result"])
            return self._judge_error(answer.get("error"), wire)
        refusal = error_from(wire.refusal) if wire.refusal else None
        if refusal and refusal.code in _OF_CONNECTION:
            raise self._amended(refusal)
        # A connection that was refused because of the limit served none of its requests.
        self._maybe_done = self._maybe_done or (call.sent and not (refusal and refusal.code == "overloaded"))
        # A line beyond the broker's bound ends its connection, and would end the next one.
        if refusal and refusal.code == "too_large" and self._bytes >= SUSPECT_BYTES:
            raise self._amended(refusal)
        if not call.lost:
            if wire.is_silent:
                self._reason = wire.owner.silence()
                if time.monotonic() < self.limit:
                    raise self._amended(make_error("unavailable", self._reason))
            raise self._out_of_time()
        self._reason = refusal.message if refusal else "the connection to the broker was lost"
        if refusal or self._tries > 1:
            self.pause = min(LONGEST_PAUSE, 0.001 * 2 ** min(self._tries, 7))
        if self._maybe_done and not self.request.repeatable:
            raise self._amended(make_error("unavailable", self._reason + " before it answered"))
        return AGAIN

    def judge_blocked(self, error: SluiceError) -> None:
        """After a search for a broker that failed: raises what ends the request, or it is tried again."""
        self._reason = error.message
        self.pause = LONGEST_PAUSE
        if time.monotonic() >= self.limit:
            raise self._out_of_time() from None
        if error.code == "wrong_store":
            raise self._amended(error)
        if not (self._maybe_done or error.code in ("busy", "unavailable")):
            raise error

    def closed(self) -> SluiceError:
        return self._amended(make_error("cancelled", "the client was closed before the answer came"))

    def _judge_error(self, error: Any, wire: Wire) -> Any:
        failed = error_from(error)
        if failed.code == "unavailable" and failed.data.get("draining") is True:
            wire.draining = True
            self._reason = failed.message
            return AGAIN
        if not self._maybe_done or failed.code in _LOOKED_INTO_LEDGER:
            raise failed
        if failed.code not in _RETRYABLE:
            raise self._amended(failed)
        # The answer will tell the outcome of the earlier try, so the next try follows at once.
        self._reason = failed.message
        self.pause = min(max((failed.retry_after_ms or 0) / 1000, 0.001 * 2 ** min(self._tries, 6)), LONGEST_PAUSE)
        return AGAIN

    def _out_of_time(self) -> SluiceError:
        waited_ms = round(1000 * (time.monotonic() - self.start))
        reason = f" ({self._reason})" if self._reason else ""
        return self._amended(make_error("deadline_exceeded", f"no answer from the broker in {waited_ms} ms{reason}",
                                        attempts=self._tries, waited_ms=waited_ms))

    def _amended(self, error: SluiceError) -> SluiceError:
        return with_outcome(error, "unknown") if self.request.changes and self._maybe_done else error
