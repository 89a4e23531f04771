"""The methods of the clients: each function builds the request of one. Their docstrings are those of the methods.

The first parameter of each is the client, of which they use the agent, the keys and the row factory.
"""

from __future__ import annotations

import functools
import logging
import operator
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from ._keys import KeyMaker
from ._retry import Request
from ._sender import asked_by, granted, signed
from ._wire import Feed
from .rows import ReadResult, RowFactory, Statement, WriteResult
from .values import Params, encode_arguments, encode_object, encode_params, encode_text, has_params

# Seconds that a client waits for work whose length depends on the size of the store.
LONG_WORK = 600.0
# Seconds that an entry of a log may wait for a broker: a program should not stand still because it logs.
LOG_PATIENCE = 2.0


class Context:
    """What the requests of a client have in common."""

    agent: Optional[str]
    capsule: Optional[str]
    row_factory: RowFactory
    keys: KeyMaker
    # Whether each request gets an id, so that it can be cancelled.
    names_requests = False


def _whole(answer: Any) -> Any:
    return answer


def _member(name: str) -> Callable[[Any], Any]:
    return operator.itemgetter(name)


def _checked_seconds(what: str, seconds: Optional[float]) -> Optional[float]:
    if seconds is not None and not 0.001 <= seconds <= 86_400:
        raise ValueError(f"{what} is a number of seconds from 0.001 to 86,400, and not {seconds!r}")
    return seconds


def _fields(**members: Any) -> str:
    """Members of params as JSON text; those that are None are left out."""
    return ",".join([f'"{name}":{_json(x)}' for name, x in members.items() if x is not None])


def _json(x: Any) -> str:
    if x is True or x is False:
        return "true" if x else "false"
    if isinstance(x, str):
        return encode_text(x)
    if isinstance(x, int):
        return int.__repr__(x)
    if isinstance(x, (list, tuple)):
        return "[" + ",".join([_json(each) for each in x]) + "]"
    raise TypeError(f"{type(x).__name__} is no parameter of a request")


def _statement_text(statement: Statement) -> str:
    text = f'{{"sql":{encode_text(statement.sql)}'
    if has_params(statement.params):
        text += f',"params":{encode_params(statement.params)}'
    if statement.expect is not None:
        text += f',"expect":{{"changes":{int(statement.expect)}}}'
    return text + "}"


def statements_of(parts: Sequence[Any], expect: Optional[int] = None) -> List[Statement]:
    """Statements from texts, each of which parameters may follow, and from objects of the class Statement."""
    result: List[Statement] = []
    follows_text = False
    for part in parts:
        if isinstance(part, Statement):
            result.append(part)
        elif isinstance(part, str):
            result.append(Statement(part))
        elif follows_text:
            result[-1] = result[-1]._replace(params=part)
        else:
            raise TypeError("a statement is text, which parameters may follow, or a sluice.Statement")
        follows_text = isinstance(part, str)
    if not result:
        raise TypeError("a request has at least one statement")
    if expect is not None:
        if len(result) > 1:
            raise TypeError("expect is that of the only statement: with several use Statement(sql, params, expect)")
        result[0] = result[0]._replace(expect=expect)
    return result


def write(client: Context, db: str, *statements: Union[str, Params, Statement], key: Optional[str] = None,
          expect: Optional[int] = None, foreign_keys: bool = True, timeout: Optional[float] = None,
          agent: Optional[str] = None, request_id: Optional[str] = None, capsule: Optional[str] = None,
          row_factory: Optional[RowFactory] = None) -> Request[WriteResult]:
    """Applies statements as a whole, or none of them.

    Each statement is text, which a list or dict of parameters may follow, or a `Statement`. `key` makes the write
    repeatable, also by another process: the same key and statements are applied once. Without one the client makes a
    key, so that it can send again when the broker dies. `expect` is the number of rows that the only statement must
    change, else ConflictError. `timeout` is in seconds. `capsule` is the text of a capsule that grants the request. When
    `row_factory` raises, the write is committed: RowFactoryError.
    """
    batch = ",".join([_statement_text(x) for x in statements_of(statements, expect)])
    fields = f'"db":{encode_text(db)},"statements":[{batch}],"idempotency_key":'
    fields += encode_text(client.keys.next() if key is None else key)
    if not foreign_keys:
        fields += ',"foreign_keys":"off"'
    fields = granted(client, fields, capsule)
    request_id = request_id or (client.keys.next() if client.names_requests else None)
    factory = row_factory or client.row_factory
    return Request("write", signed(client, fields, agent, request_id), lambda answer: WriteResult(answer, factory),
                   time_field="deadline_ms", seconds=_checked_seconds("timeout", timeout), changes=True, id=request_id)


@functools.lru_cache(maxsize=1024)
def _query(db: str, sql: str) -> str:
    # Programs ask the same questions again and again.
    return f'"db":{encode_text(db)},"sql":{encode_text(sql)}'


def _bounded(fields: str, fresh: bool, min_seq: Optional[int], max_rows: Optional[int],
             max_bytes: Optional[int]) -> str:
    more = _fields(freshness="fresh" if fresh else None, min_seq=min_seq, max_rows=max_rows, max_bytes=max_bytes)
    return f"{fields},{more}" if more else fields


class _ReadRequest(Request[ReadResult]):
    time_field = "timeout_ms"


def read(client: Context, db: str, sql: str, params: Params = (), *, fresh: bool = False, min_seq: Optional[int] = None,
         max_rows: Optional[int] = None, max_bytes: Optional[int] = None, timeout: Optional[float] = None,
         agent: Optional[str] = None, request_id: Optional[str] = None,
         row_factory: Optional[RowFactory] = None) -> Request[ReadResult]:
    """Runs one query.

    `fresh` asks the database even if the broker has the answer. `min_seq`: the rows must include this commit. Of more
    than `max_rows` rows (10,000) or `max_bytes` bytes (8 MiB) the rest is cut, and the result says `truncated`: `stream`
    has no such bound. `timeout` is in seconds; the broker's own is 5 s.
    """
    fields = _query(db, sql)
    if has_params(params):
        fields += f',"params":{encode_params(params)}'
    if fresh or min_seq is not None or max_rows is not None or max_bytes is not None:
        fields = _bounded(fields, fresh, min_seq, max_rows, max_bytes)
    factory = row_factory or client.row_factory
    request = _ReadRequest("read", "", lambda answer: ReadResult(answer, factory))
    if timeout is not None:
        request.seconds = _checked_seconds("timeout", timeout)
    if client.names_requests or request_id is not None:
        request.id = request_id = request_id or client.keys.next()
    request.fields = signed(client, fields, agent, request_id)
    return request


def read_snapshot(client: Context, db: str, *statements: Union[str, Params, Statement], min_seq: Optional[int] = None,
                  max_rows: Optional[int] = None, max_bytes: Optional[int] = None, timeout: Optional[float] = None,
                  agent: Optional[str] = None, request_id: Optional[str] = None,
                  row_factory: Optional[RowFactory] = None) -> Request[List[ReadResult]]:
    """Runs several queries on one snapshot of the database; statements as in `write`, bounds for all together."""
    batch = ",".join([_statement_text(x) for x in statements_of(statements)])
    request_id = request_id or (client.keys.next() if client.names_requests else None)
    fields = _bounded(f'"db":{encode_text(db)},"statements":[{batch}]', False, min_seq, max_rows, max_bytes)
    fields = signed(client, fields, agent, request_id)
    factory = row_factory or client.row_factory

    def decode(answer: Dict[str, Any]) -> List[ReadResult]:
        shared = {"source": answer["source"], "as_of_seq": answer["as_of_seq"]}
        return [ReadResult({**each, **shared}, factory) for each in answer["results"]]

    return Request("read", fields, decode, time_field="timeout_ms", seconds=_checked_seconds("timeout", timeout),
                   id=request_id)


def call(client: Context, operation: str, params: Any = None, key: Optional[str] = None, *,
         timeout: Optional[float] = None, agent: Optional[str] = None, request_id: Optional[str] = None,
         capsule: Optional[str] = None) -> Request[Dict[str, Any]]:
    """Calls an operation of the catalogue: `params` is a dict of its arguments, of a `:batch` operation a list of dicts.

    The answer is that of the method `call` of the protocol: a dict with `rows` (dicts), `changes` and more. This is what
    the functions of `sluice ops --emit python` take. A dict or list as an argument is sent as a document of JSON.
    `capsule` is the text of a capsule that grants the request.
    """
    fields = f'"operation":{encode_text(operation)},"idempotency_key":'
    fields += encode_text(client.keys.next() if key is None else key)
    if params is not None:
        fields += f',"params":{encode_arguments(params)}'
    fields = granted(client, fields, capsule)
    request_id = request_id or (client.keys.next() if client.names_requests else None)
    return Request("call", signed(client, fields, agent, request_id), _whole, time_field="deadline_ms",
                   seconds=_checked_seconds("timeout", timeout), changes=True, id=request_id)


def list_operations(client: Context, *, agent: Optional[str] = None) -> Request[Dict[str, Any]]:
    """The operations of the catalogue that the agent may call: a dict, as the method `operations` has it.

    `operations` is a list of dicts with `name`, `description`, `kind`, `db`, `parameters`, `columns` and more; `tools` names
    the other tools of MCP; `mistake` is the mistake in a file, if there is one.
    """
    return Request("operations", asked_by(client, "operations", "", agent), _whole)


def ping(client: Context) -> Request[Dict[str, Any]]:
    """Whether the broker answers: a dict with its `pid`."""
    return Request("ping", "", _whole)


def status(client: Context, *, agent: Optional[str] = None) -> Request[Dict[str, Any]]:
    """The broker, its databases and what runs, as `sluice status --json` has it."""
    return Request("status", asked_by(client, "status", "", agent), _whole)


def cancel(client: Context, request_id: str, *, agent: Optional[str] = None,
           as_operator: bool = False) -> Request[bool]:
    """Ends a request that has this id; False if there is none that this client may cancel."""
    fields = signed(client, _fields(request_id=request_id), agent, None)
    return Request("cancel", fields + (',"as_operator":true' if as_operator else ""), _member("cancelled"),
                   changes=True, repeatable=False)


def audit(client: Context, *, agent: Optional[str] = None, db: Optional[str] = None, status: Optional[str] = None,
          since_us: Optional[int] = None, after_seq: Optional[int] = None, limit: Optional[int] = None,
          newest: bool = False, caller: Optional[str] = None) -> Request[List[Dict[str, Any]]]:
    """Records of the audit, oldest first: who did what.

    `agent` is whose records to list, and `caller` who asks: the client's agent, if left out.
    `since_us` is in microseconds since 1970, `limit` 1 to 10,000 (1,000). To read on, give the last `seq` as
    `after_seq`; `newest` takes the last records instead of the first.
    """
    fields = _fields(agent=agent, db=db, status=status, since_us=since_us, after_seq=after_seq, limit=limit,
                     newest=newest or None)
    return Request("audit.list", asked_by(client, "audit.list", fields, caller), _member("records"))


def audit_verify(client: Context, *, agent: Optional[str] = None) -> Request[Dict[str, Any]]:
    """Checks the hash chains of the audit and the ledgers: a dict with `intact`, `records`, `broken`."""
    return Request("audit.verify", asked_by(client, "audit.verify", "", agent), _whole, seconds=LONG_WORK)


def buffer_put(client: Context, db: str, table: str, key: Mapping[str, Any], values: Optional[Mapping[str, Any]] = None,
               *, operation: str = "upsert", wait: float = 0.0,
               agent: Optional[str] = None) -> Request[Dict[str, Any]]:
    """Puts an operation on one row into the write-behind buffer: `upsert`, `update` or `delete`.

    `key` names every column of the primary key or of a unique index. `wait` is in seconds: how long it may wait for
    room. The answer has `pending` (rows) and `journaled`. It is not sent again when its answer is lost
    (UnavailableError, outcome unknown): putting it again is harmless unless the row was changed in between.
    """
    fields = _fields(db=db, table=table, operation=operation) + f',"key":{encode_object(key)}'
    if values is not None:
        fields += f',"values":{encode_object(values)}'
    if wait:
        fields += f',"wait_ms":{round(1000 * wait)}'
    return Request("buffer.put", signed(client, fields, agent, None), _whole, extra_seconds=wait,
                   changes=True, repeatable=False)


def buffer_get(client: Context, db: str, table: str, key: Mapping[str, Any], *,
               agent: Optional[str] = None) -> Request[Dict[str, Any]]:
    """One row with the operations that wait for it: a dict with `found`, `pending` and `row`."""
    fields = _fields(db=db, table=table) + f',"key":{encode_object(key)}'
    return Request("buffer.get", signed(client, fields, agent, None), _whole)


def flush(client: Context, db: Optional[str] = None, table: Optional[str] = None, *,
          agent: Optional[str] = None) -> Request[Dict[str, Any]]:
    """Writes the rows of the buffer, or those of one database or table: `flushed`, `set_aside`, `kept`, `reason`."""
    fields = asked_by(client, "flush", _fields(db=db, table=table), agent)
    return Request("flush", fields, _whole, seconds=LONG_WORK)


def buffer_rejected(client: Context, *, after_id: Optional[int] = None, limit: Optional[int] = None,
                    agent: Optional[str] = None) -> Request[List[Dict[str, Any]]]:
    """Rows that the database refused, oldest first. To read on, give the last `id` as `after_id`."""
    fields = asked_by(client, "buffer.rejected", _fields(after_id=after_id, limit=limit), agent)
    return Request("buffer.rejected", fields, _member("rows"))


def buffer_requeue(client: Context, ids: Optional[Sequence[int]] = None, *,
                   agent: Optional[str] = None) -> Request[int]:
    """Puts rejected rows into the buffer again, or all of them; returns how many."""
    fields = asked_by(client, "buffer.requeue", _fields(ids=None if ids is None else list(ids)), agent)
    return Request("buffer.requeue", fields, _member("requeued"), changes=True, repeatable=False)


def buffer_discard(client: Context, ids: Optional[Sequence[int]] = None, *,
                   agent: Optional[str] = None) -> Request[int]:
    """Deletes rejected rows, or all of them; returns how many."""
    fields = asked_by(client, "buffer.discard", _fields(ids=None if ids is None else list(ids)), agent)
    return Request("buffer.discard", fields, _member("discarded"), changes=True, repeatable=False)


# Levels of the protocol by the lowest number that the module logging has for them.
_LEVELS = ((logging.CRITICAL, "critical"), (logging.ERROR, "error"), (logging.WARNING, "warning"),
           (logging.INFO, "info"), (logging.DEBUG, "debug"))


def level_name(level: Union[int, str]) -> str:
    """The level of the protocol for one of logging, a number or a name in any letter case."""
    if isinstance(level, str):
        name = level.lower()
        return {"warn": "warning", "fatal": "critical"}.get(name, name)
    return next((name for least, name in _LEVELS if level >= least), "trace")


def log_fields(client: Context, level: Union[int, str], message: str, source: Optional[str],
               agent: Optional[str]) -> str:
    # Text of a log may have come from anywhere.
    readable = message.encode("utf-8", "backslashreplace").decode()
    return signed(client, _fields(level=level_name(level), message=readable, source=source), agent, None)


def log(client: Context, level: Union[int, str], message: str, *, source: Optional[str] = None,
        agent: Optional[str] = None) -> Request[bool]:
    """Adds an entry to the log database. `level` is a name or a number of the module logging."""
    return Request("log", log_fields(client, level, message, source, agent), _member("logged"),
                   changes=True, repeatable=False)


def logs(client: Context, *, level: Union[int, str, None] = None, source: Optional[str] = None,
         agent: Optional[str] = None, contains: Optional[str] = None, since: Union[int, str, None] = None,
         after_id: Optional[int] = None, limit: Optional[int] = None,
         caller: Optional[str] = None) -> Request[List[Dict[str, Any]]]:
    """Entries of the log database, oldest first, by default the last 100.

    `agent` is whose entries to list, and `caller` who asks: the client's agent, if left out.
    `level` means this level and more severe ones. `since` is in microseconds since 1970, a time in ISO 8601, or an age
    (`"10m"`). To read on, give the last `id` as `after_id`.
    """
    fields = _fields(level=None if level is None else level_name(level), source=source, agent=agent, contains=contains,
                     since=since, after_id=after_id, limit=limit)
    return Request("logs.recent", asked_by(client, "logs.recent", fields, caller), _member("entries"))


def subscription(client: Context, db: str, tables: Sequence[str], from_seq: Optional[int], agent: Optional[str],
                 feed: Feed) -> Request[Feed]:
    fields = asked_by(client, "subscribe", _fields(db=db, tables=list(tables) or None, from_seq=from_seq), agent)
    return Request("subscribe", fields, lambda answer: feed, feed=feed)


def unsubscription(client: Context, number: int) -> Request[bool]:
    return Request("unsubscribe", _fields(subscription=number), _member("unsubscribed"))


def open_cursor(client: Context, db: str, sql: str, params: Params, page_rows: Optional[int],
                min_seq: Optional[int], timeout: Optional[float], idle: Optional[float], agent: Optional[str],
                request_id: Optional[str]) -> Request[Dict[str, Any]]:
    fields = _query(db, sql)
    if has_params(params):
        fields += f',"params":{encode_params(params)}'
    if idle is not None:
        fields += f',"idle_ms":{round(1000 * idle)}'
    request_id = request_id or (client.keys.next() if client.names_requests else None)
    fields = _bounded(fields, False, min_seq, page_rows, None)
    return Request("cursor.open", signed(client, fields, agent, request_id), _whole, time_field="timeout_ms",
                   seconds=_checked_seconds("timeout", timeout), id=request_id)


def of_cursor(client: Context, method: str, cursor: int, agent: Optional[str], pinned: Any) -> Request[Dict[str, Any]]:
    fields = signed(client, _fields(cursor=cursor), agent, None)
    return Request(method, fields, _whole, seconds=LONG_WORK, repeatable=False, pinned=pinned)
