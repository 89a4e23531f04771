"""What both clients are opened with."""

from __future__ import annotations

import os
import warnings
from typing import Any, Optional

from ._election import Place, is_silence
from ._keys import KeyMaker
from ._requests import Context
from ._retry import Attempts, Request
from ._sender import checked_name
from .errors import BrokerSilentWarning, InvalidRequestError, SluiceError, make_error
from .rows import RowFactory, tuple_row


# How often this process was forked from another one: to compare it costs less than a system call.
_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


def place_of(root: str, endpoint: Optional[str], program: Optional[str], start: Optional[bool]) -> Place:
    """Where the broker is, by the arguments and the environment (SLUICE_ENDPOINT, SLUICE_START)."""
    for what, given in (("endpoint", endpoint), ("program", program)):
        if given is not None and not isinstance(given, str):
            raise InvalidRequestError(f"{what} is text (str), and not {type(given).__name__}: {given!r}")
    endpoint = endpoint or os.environ.get("SLUICE_ENDPOINT") or None
    if endpoint and endpoint.startswith(("http:", "https:")):
        raise InvalidRequestError(f"an endpoint is the path of a Unix socket, and this one is HTTP: {endpoint}; the "
                                  "package does not speak HTTP, which has neither subscriptions nor cursors")
    if start is None:
        word = os.environ.get("SLUICE_START", "auto")
        if word not in ("auto", "never"):
            raise InvalidRequestError(f"SLUICE_START is auto or never, and not {word!r}")
        start = word == "auto"
    folder = os.path.realpath(root)
    if not root or ".sluice" in folder.split(os.sep):
        raise InvalidRequestError("root must name the folder of the store (\".\" is the working directory)")
    return Place(folder, endpoint, program, start)


def _named(what: str, given: Optional[str], variable: str) -> Optional[str]:
    """What is given, else the content of the variable; neither may be empty."""
    if given is not None:
        return checked_name(what, given)
    from_environment = os.environ.get(variable)
    return None if from_environment is None else checked_name(variable, from_environment)


class Settings(Context):
    """The state that does not depend on how a client waits."""

    def __init__(self, root: str, agent: Optional[str], timeout: float, row_factory: Optional[RowFactory],
                 endpoint: Optional[str], program: Optional[str], start: Optional[bool], fail_on_silence: bool,
                 capsule: Optional[str]) -> None:
        if not 0.001 <= timeout <= 86_400:
            raise ValueError(f"timeout is a number of seconds from 0.001 to 86,400, and not {timeout!r}")
        self.agent = _named("agent", agent, "SLUICE_AGENT")
        self.capsule = _named("capsule", capsule, "SLUICE_CAPSULE")
        self.timeout = timeout
        self.row_factory: RowFactory = row_factory or tuple_row
        # Operations have rows as dicts unless another kind was asked for.
        self.operation_rows = row_factory
        self.keys = KeyMaker()
        self.fail_on_silence = fail_on_silence
        self.place = place_of(os.fspath(root), endpoint, program, start)
        self._forks = _forks
        self.is_closed = False

    def judge_blocked(self, attempts: Attempts[Any], error: SluiceError) -> None:
        """After a search for a broker that failed: raises what ends the request, or it is tried again."""
        if self.is_closed:
            raise attempts.closed() from None
        if is_silence(error):
            if self.fail_on_silence:
                raise error
            warn_of_silence(error.message)
        attempts.judge_blocked(error)

    def check_pinned(self, request: Request[Any], channel: Any) -> None:
        """A cursor is its connection's own."""
        if request.pinned is not None and channel is not request.pinned:
            raise make_error("unavailable", "the connection to the broker that had this cursor was lost, and the cursor "
                                            "with it: run the query again")

    def check_process(self) -> None:
        """A forked process and its parent would take each other's answers."""
        if self._forks != _forks:
            raise make_error("invalid_request", "a client cannot be used by a forked process; open one there")

    @property
    def is_forked(self) -> bool:
        return self._forks != _forks

    @property
    def root(self) -> str:
        """The folder of the store."""
        return self.place.root


def warn_of_silence(text: str) -> None:
    """What a client does about a silent broker unless it should fail."""
    warnings.warn(text, BrokerSilentWarning)
