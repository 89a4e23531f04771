"""Operations of the catalogue as methods."""

from __future__ import annotations

from typing import Any, Awaitable, Callable, Dict

from .rows import make_rows


def _result(client: Any, kind: str, answer: Dict[str, Any]) -> Any:
    """What a method returns of the answer; without a row factory the functions of `sluice ops` return the same."""
    if kind in ("exec", "batch"):
        return answer["changes"]
    rows = answer["rows"]
    if client.operation_rows is not None:
        columns = tuple(answer["columns"])
        values = [[row[name] for name in columns] for row in rows]
        rows = make_rows(client.operation_rows, columns, values, answer if "commit_seq" in answer else None)
    if kind == "one":
        return rows[0] if rows else None
    return rows


def _kinds(listed: Dict[str, Any]) -> Dict[str, str]:
    return {each["name"]: each["kind"] for each in listed["operations"]}


def _arguments(sets: Any, named: Dict[str, Any]) -> Any:
    if sets is None:
        return named
    if named:
        raise TypeError("an operation takes named arguments, or a list of dicts if it is a :batch")
    return list(sets)


class Operations:
    """`client.operations.NAME(argument=..., key=...)` calls the operation of that name.

    Of a `:one` operation it returns the row as a dict, or None; of `:many` a list of dicts; of `:exec` and `:batch` the
    number of changes. The `row_factory` of `connect` makes other rows than dicts. A `:batch` takes a list of dicts. An
    operation that has a parameter `key` of its own is called by `client.call`. The kinds are asked for once, and again for
    a name that is new.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: Dict[str, str] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def method(sets: Any = None, *, key: Any = None, **named: Any) -> Any:
            if name not in self._known:
                self._known = _kinds(self._client.list_operations())
            answer = self._client.call(name, _arguments(sets, named), key)
            return _result(self._client, self._known[name], answer)

        method.__name__ = name
        return method


class AsyncOperations:
    """The same for the asyncio client: `await client.operations.NAME(...)`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: Dict[str, str] = {}

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)

        async def method(sets: Any = None, *, key: Any = None, **named: Any) -> Any:
            if name not in self._known:
                self._known = _kinds(await self._client.list_operations())
            answer = await self._client.call(name, _arguments(sets, named), key)
            return _result(self._client, self._known[name], answer)

        method.__name__ = name
        return method
