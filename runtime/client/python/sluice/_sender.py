"""In whose name a request is sent, and with which capsule."""

from __future__ import annotations

from typing import Any, Optional

from .errors import InvalidRequestError
from .values import encode_text

# The methods that take `agent` as the name of who asks.
METHODS_WITH_AGENT = frozenset((
    "write", "read", "call", "operations", "cursor.open", "cursor.next", "cursor.close", "cancel", "status", "audit.verify",
    "subscribe", "buffer.put", "buffer.get", "flush", "buffer.rejected", "buffer.requeue", "buffer.discard", "log"))
# Those in which `agent` is whose records to list: who asks is `caller`.
METHODS_WITH_CALLER = frozenset(("audit.list", "logs.recent"))


def checked_name(what: str, text: str) -> str:
    """The text; an empty one would count as left out, and the request be the owner's: InvalidRequestError."""
    if not isinstance(text, str):
        raise InvalidRequestError(f"{what} is text (str), and not {type(text).__name__}: {text!r}")
    if not text:
        raise InvalidRequestError(f"{what} is empty: give a name, or leave it out")
    return text


def signed(client: Any, fields: str, agent: Optional[str], request_id: Optional[str]) -> str:
    """Members of params, with those of who asks: `agent`, or the client's."""
    agent = client.agent if agent is None else checked_name("agent", agent)
    if agent is not None:
        fields += f',"agent":{encode_text(agent)}'
    return fields if request_id is None else fields + f',"request_id":{encode_text(request_id)}'


def asked_by(client: Any, method: str, fields: str, agent: Optional[str]) -> str:
    """Members of params, which may be none yet, with the name of who asks: `agent`, or the client's."""
    agent = client.agent if agent is None else checked_name("agent", agent)
    if agent is None:
        return fields
    member = "caller" if method in METHODS_WITH_CALLER else "agent"
    return f'{fields},"{member}":{encode_text(agent)}'.lstrip(",")


def granted(client: Any, fields: str, capsule: Optional[str]) -> str:
    """Members of params, with the capsule: `capsule`, or the client's."""
    capsule = client.capsule if capsule is None else checked_name("capsule", capsule)
    return fields if capsule is None else fields + f',"capsule":{encode_text(capsule)}'
