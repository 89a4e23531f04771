"""SQLite's values in Python, and how they are written as JSON.

| Python | SQLite |
|---|---|
| None | NULL |
| int (64 bits, else OverflowError), bool (0 or 1) | integer |
| float (not NaN, which SQLite would store as NULL: ValueError) | real |
| str | text; SQLite keeps any bytes as text, and bytes that are not UTF-8 are surrogate escapes (PEP 383) |
| bytes, bytearray, memoryview | blob |
| datetime.datetime, datetime.date (parameters only) | text in ISO 8601, as the adapters of sqlite3 write it |

Anything else is a TypeError. A Decimal is refused because SQLite would compute with it as a binary real: pass str(x) or
float(x), as the column needs. Answers have None, int, float, str and bytes.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import json.encoder
import math
from typing import Any, Callable, Dict, Iterable, Mapping, Sequence, Tuple, Union

Value = Union[None, int, float, str, bytes]
Params = Union[Sequence[Any], Mapping[str, Any]]

_quoted: Callable[[str], str] = getattr(json.encoder, "encode_basestring_ascii")
_BLOB = '{"$blob":"%s"}'
_TEXT = '{"$text":"%s"}'


def encode_text(text: str) -> str:
    """Text that is no value (SQL, names): it must be UTF-8, else UnicodeEncodeError; TypeError for anything else."""
    try:
        if not text.isascii():
            text.encode()
    except AttributeError:
        raise TypeError(f"SQL and names are text (str), and not {type(text).__name__}: {text!r}") from None
    return _quoted(text)


def _encode_str(x: str) -> str:
    if not x.isascii():
        try:
            x.encode()
        except UnicodeEncodeError:
            return _TEXT % base64.b64encode(x.encode("utf-8", "surrogateescape")).decode()
    return _quoted(x)


def _encode_int(x: int) -> str:
    if not -(1 << 63) <= x < 1 << 63:
        raise OverflowError(f"an integer of SQLite has 64 bits, and this one more: {x}")
    return int.__repr__(x)


def _encode_float(x: float) -> str:
    if math.isfinite(x):
        return float.__repr__(x)
    if math.isnan(x):
        raise ValueError("NaN is no value of SQLite, which would store NULL: pass None")
    return '{"$real":"inf"}' if x > 0 else '{"$real":"-inf"}'


def _encode_bytes(x: Any) -> str:
    return _BLOB % base64.b64encode(x).decode()


def _encode_other(x: Any) -> str:
    if isinstance(x, (bytearray, memoryview)):
        return _encode_bytes(x)
    if isinstance(x, datetime.datetime):
        return _quoted(x.isoformat(" "))
    if isinstance(x, datetime.date):
        return _quoted(x.isoformat())
    for kind in (str, int, float, bytes):
        if isinstance(x, kind):
            return _ENCODERS[kind](x)
    if isinstance(x, decimal.Decimal):
        raise TypeError("SQLite has no decimal numbers: pass str(x) to keep the digits, or float(x)")
    raise TypeError(f"{type(x).__name__} is no value of SQLite; it takes None, int, float, str, bytes, date and datetime")


_ENCODERS: Dict[type, Callable[[Any], str]] = {
    str: _encode_str,
    int: _encode_int,
    float: _encode_float,
    bytes: _encode_bytes,
    type(None): lambda _: "null",
    bool: lambda x: "1" if x else "0",
}


def encode_value(x: Any) -> str:
    """A value as JSON text."""
    return _ENCODERS.get(type(x), _encode_other)(x)


def has_params(params: Any) -> bool:
    """Whether there are any. A value alone (0, "") is none of them, and encode_params refuses it."""
    return bool(params) or isinstance(params, (int, float, str, bytes))


def encode_params(params: Params) -> str:
    """The parameters of a statement: by position, or by name without the prefix."""
    # Most are of these types, and the check for any mapping is slow.
    if type(params) not in (tuple, list):
        if isinstance(params, Mapping):
            return encode_object(params)
        if isinstance(params, (str, bytes)) or not isinstance(params, Iterable):
            raise TypeError("the parameters of a statement are a list, a tuple or a dict, also of one: [x]; and not "
                            f"{type(params).__name__}")
    return "[" + ",".join(map(encode_value, params)) + "]"


def encode_object(values: Mapping[str, Any]) -> str:
    return "{" + ",".join([f"{encode_text(name)}:{encode_value(x)}" for name, x in values.items()]) + "}"


def encode_argument(x: Any) -> str:
    """An argument of an operation: a value, or a document of JSON for a parameter of that type."""
    if isinstance(x, (dict, list, tuple)):
        return json.dumps(x, allow_nan=False, separators=(",", ":"))
    return encode_value(x)


def encode_arguments(params: Any) -> str:
    """The arguments of an operation, or a list of them for one of the kind batch."""
    if isinstance(params, Mapping):
        return "{" + ",".join([f"{encode_text(name)}:{encode_argument(x)}" for name, x in params.items()]) + "}"
    if isinstance(params, (str, bytes)) or not isinstance(params, Iterable):
        raise TypeError(f"the arguments of an operation are a dict, or a list of dicts for :batch, and not "
                        f"{type(params).__name__}")
    return "[" + ",".join([encode_arguments(x) for x in params]) + "]"


_DECODERS: Dict[str, Callable[[str], Any]] = {
    "$blob": base64.b64decode,
    "$text": lambda x: base64.b64decode(x).decode("utf-8", "surrogateescape"),
    "$real": float,
    "$integer": int,
}


def _special(found: Dict[str, Any]) -> Any:
    if len(found) == 1:
        (kind, content), = found.items()
        if kind in _DECODERS and isinstance(content, str):
            return _DECODERS[kind](content)
    return found


_plain: Callable[[str, int], Tuple[Any, int]] = getattr(json.JSONDecoder(), "scan_once")
_full: Callable[[str, int], Tuple[Any, int]] = getattr(json.JSONDecoder(object_hook=_special), "scan_once")


def parse(line: bytes) -> Any:
    """A document of the broker, its values as Python has them."""
    try:
        # A value that JSON has not is an object with one member, which is rare.
        return (_full if b'{"$' in line else _plain)(line.decode(), 0)[0]
    except StopIteration:
        raise ValueError("this is no document of JSON") from None
