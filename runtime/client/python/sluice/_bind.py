"""Makes the methods of both clients from the functions in `_requests`, so that each exists once."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Awaitable, Callable, TypeVar

from ._retry import Request

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")
R = TypeVar("R")


def synchronous(build: Callable[Concatenate[Any, P], Request[R]]) -> Callable[Concatenate[Any, P], R]:
    """A method that returns the result."""

    def method(self: Any, /, *args: Any, **named: Any) -> Any:
        return self._run(build(self, *args, **named))

    _present(method, build)
    return method


def asynchronous(build: Callable[Concatenate[Any, P], Request[R]]) -> Callable[Concatenate[Any, P], Awaitable[R]]:
    """A coroutine method."""

    async def method(self: Any, /, *args: Any, **named: Any) -> Any:
        return await self._run(build(self, *args, **named))

    _present(method, build)
    return method


def _present(method: Any, build: Any) -> None:
    """Gives it the name, the docstring and the signature that help() should show."""
    functools.update_wrapper(method, build)
    del method.__wrapped__
    signature = inspect.signature(build)
    first, *others = signature.parameters.values()
    result = signature.return_annotation[len("Request["):-1]
    method.__signature__ = signature.replace(
        parameters=[first.replace(name="self", annotation=inspect.Parameter.empty), *others], return_annotation=result)
