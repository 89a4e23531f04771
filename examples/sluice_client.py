#!/usr/bin/env python3
"""A sluice client with nothing but the standard library; one file, to be copied into a project.

    with Store("/path/to/folder") as store:
        store.write("app.db", "INSERT INTO notes (text) VALUES (?)", ["hello"], agent="alice")
        print(store.read("app.db", "SELECT count(*) FROM notes")["rows"])

There is no set-up: the first client starts a broker, which ends when it is idle. When the broker dies, a
request is sent again under the same idempotency key, so it is applied exactly once. A call ends after `patience`
seconds at the latest (later only if its own deadline_ms or timeout_ms is later), whatever the broker does. Threads may
share a store; their calls are made one after the other.

Operations of the catalogue are called by their names, or by the functions that `sluice ops --emit python` prints:

        store.call_operation("add_note", {"text": "hello"})["rows"]
        notes.add_note(store.operations(agent="alice"), text="hello")

Values are Python's: None, int, float, str and bytes. SQLite keeps any bytes as text; bytes that are not UTF-8 are
surrogate escapes in a str (PEP 383), and are sent back as the bytes that they were.
"""

import base64
import contextlib
import json
import math
import os
import socket
import subprocess
import tempfile
import threading
import time
import uuid
import warnings

PROTOCOL = 1
# Seconds after which a broker that answers nothing, not even a ping on a new connection, is reported as silent.
SILENCE = 2.0


class SluiceError(Exception):
    """What the broker refused: `code` is the word (constraint, overloaded, ...), `data` all that it said."""

    def __init__(self, error):
        self.data = error.get("data") or {}
        self.code = self.data.get("code", "internal")
        super().__init__(f"{self.code}: {error.get('message', '')}")


class WrongStore(SluiceError):
    """The folder is not at its path any more; open the store again where it is now."""

    def __init__(self, message):
        super().__init__({"message": message, "data": {"code": "wrong_store", "outcome": "not_committed"}})


class NoAnswer(SluiceError):
    """The time of a call was over before its answer came. A write may have been applied: repeat it with its key."""

    def __init__(self, message, outcome="unknown"):
        super().__init__({"message": message, "data": {"code": "deadline_exceeded", "outcome": outcome}})


class Truncated(SluiceError):
    """A bound of the broker cut the rows of an answer; ask for fewer (docs/reference/protocol.md, bounds)."""

    def __init__(self, operation):
        super().__init__({"message": f"the answer of {operation} was cut by a bound", "data": {"code": "too_large"}})


def to_json(x):
    """A value as the broker takes it."""
    if isinstance(x, (bytes, bytearray, memoryview)):
        return {"$blob": base64.b64encode(x).decode()}
    if isinstance(x, float) and math.isinf(x):
        return {"$real": "inf" if x > 0 else "-inf"}
    if isinstance(x, str):
        try:
            x.encode()
        except UnicodeEncodeError:
            return {"$text": base64.b64encode(x.encode("utf-8", "surrogateescape")).decode()}
    return x


def from_json(x):
    """A value, or a name, as the broker gave it."""
    if not isinstance(x, dict):
        return x
    (kind, content), = x.items()
    if kind == "$blob":
        return base64.b64decode(content)
    if kind == "$text":
        return base64.b64decode(content).decode("utf-8", "surrogateescape")
    return {"$real": float, "$integer": int}[kind](content)


def params_to_json(params):
    if isinstance(params, dict):
        return {name: to_json(x) for name, x in params.items()}
    return [to_json(x) for x in params]


def sender(agent, capsule):
    """Who asks, and the capsule that grants it; an empty name would be nobody's, and the request the owner's."""
    given = {name: x for name, x in {"agent": agent, "capsule": capsule}.items() if x is not None}
    if "" in given.values():
        raise ValueError("agent and capsule are not empty: leave them out")
    return given


def rows_from_json(result):
    """In place, the columns and rows of an answer."""
    result["columns"] = [from_json(x) for x in result["columns"]]
    result["rows"] = [[from_json(x) for x in row] for row in result["rows"]]
    return result


class Store:
    """A folder of databases. Threads may share it; a process that was forked needs one of its own."""

    def __init__(self, root=".", program=None, patience=30.0):
        self.root = os.path.realpath(root)
        # A store is a folder, not a path: a copy of it, or a folder put in its place later, is another store.
        self.identity = self._root_identity()
        self.program = program or os.environ.get("SLUICE_PROGRAM", "sluice")
        self.patience = patience
        self.lock = threading.Lock()
        self.link = None
        self.received = b""
        self.starter = None
        self.calls = 0

    def write(self, db, *statements, agent=None, key=None, capsule=None):
        """Applies statements as a whole: each an SQL text, which a list or dict of parameters may follow."""
        batch = []
        for x in statements:
            if isinstance(x, str):
                batch.append({"sql": x})
            else:
                batch[-1]["params"] = params_to_json(x)
        params = {"db": db, "statements": batch, "idempotency_key": key or str(uuid.uuid4())}
        result = self.call("write", **params, **sender(agent, capsule))
        for x in result["results"]:
            rows_from_json(x)
        return result

    def read(self, db, sql, params=(), **more):
        return rows_from_json(self.call("read", db=db, sql=sql, params=params_to_json(params), **more))

    def call_operation(self, operation, params=None, key=None, agent=None, capsule=None):
        """An operation of the catalogue, with a dict of arguments; of a `:batch` operation a list of dicts.

        The answer is a dict: `rows` (dicts), and for an operation that writes `changes`, else `truncated`, too.
        """
        sets = {} if params is None else params
        arguments = params_to_json(sets) if isinstance(sets, dict) else [params_to_json(x) for x in sets]
        # Without a key, a call that is sent again after its broker was lost could be applied twice.
        answer = self.call("call", operation=operation, params=arguments, idempotency_key=key or str(uuid.uuid4()),
                           **sender(agent, capsule))
        answer["columns"] = [from_json(x) for x in answer["columns"]]
        answer["rows"] = [{name: from_json(x) for name, x in row.items()} for row in answer["rows"]]
        return answer

    def operations(self, agent=None, capsule=None):
        """The client that functions of `sluice ops --emit python` take; it shares the connection of this store."""
        return OperationsClient(self, agent, capsule)

    def call(self, method, **params):
        """Any method of docs/reference/protocol.md, with values as it has them. Sent again, as it is, when the broker is lost before it answered."""
        own_time = max(params.get("deadline_ms") or 0, params.get("timeout_ms") or 0) / 1000
        give_up = time.monotonic() + max(self.patience, own_time + 1 if own_time else 0)
        if not self.lock.acquire(timeout=max(0, give_up - time.monotonic())):
            raise NoAnswer("calls of other threads took all the time of this one", "not_committed")
        try:
            while True:
                try:
                    if self.link is None:
                        self._connect(give_up)
                    return self._call_once(method, params, give_up)
                except OSError as lost:
                    if time.monotonic() >= give_up:
                        raise NoAnswer(f"no answer to {method} in {self.patience:g} s: {lost}") from None
        finally:
            self.lock.release()

    def close(self):
        """Ends the connection; the next call makes a new one."""
        link, self.link, self.received = self.link, None, b""
        if link:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _call_once(self, method, params, give_up):
        self.calls += 1
        number = self.calls
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            self._send(json.dumps(request).encode() + b"\n", give_up)
            answer = self._answer_to(number, give_up)
        except BaseException:
            # An answer that comes later must not be taken for that to the next request.
            self.close()
            raise
        if "error" in answer:
            raise SluiceError(answer["error"])
        return answer["result"]

    def _send(self, data, give_up):
        link = self._open_link()
        link.settimeout(max(0.001, give_up - time.monotonic()))
        link.sendall(data)

    def _answer_to(self, number, give_up):
        """The document with that id. One without an id says why the whole connection is refused."""
        while True:
            answer = json.loads(self._line(give_up))
            if answer.get("id") == number or (answer.get("id") is None and "error" in answer):
                return answer
            if "id" in answer:
                raise ConnectionError("the broker answered a request that was not made")

    def _line(self, give_up):
        link, warned, parts = self._open_link(), False, [self.received]
        while b"\n" not in parts[-1]:
            link.settimeout(max(0.001, min(SILENCE, give_up - time.monotonic())))
            try:
                more = link.recv(1 << 16)
            except TimeoutError:
                if time.monotonic() >= give_up:
                    raise
                if not warned and self._is_silent():
                    warned = True
                    warnings.warn(f"the sluice broker of {self.root} does not answer; it may be stopped", RuntimeWarning, 5)
                continue
            if not more:
                raise ConnectionError("the broker has gone")
            parts.append(more)
        line, self.received = b"".join(parts).split(b"\n", 1)
        return line

    def _open_link(self):
        if self.link is None:
            raise ConnectionError("the store was closed")
        return self.link

    def _is_silent(self):
        """Whether the broker does not answer a ping, either, which waits for nothing else."""
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(SILENCE / 4)
                link.connect(self._socket_path())
                link.sendall(b'{"jsonrpc":"2.0","id":0,"method":"ping"}\n')
                return not link.recv(1)
        except TimeoutError:
            return True
        except OSError:
            return False

    def _connect(self, give_up):
        started_at = 0.0
        while True:
            try:
                link = socket.socket(socket.AF_UNIX)
                try:
                    link.settimeout(max(0.001, give_up - time.monotonic()))
                    link.connect(self._socket_path())
                except BaseException:
                    link.close()
                    raise
                self.link = link
                # Before any request is sent: the socket may be that of another store's broker.
                led = self._call_once("hello", {"protocol": PROTOCOL, "client": "sluice_client.py",
                                                "root": self.identity}, give_up)
                if led.get("root", self.identity) != self.identity:
                    raise ConnectionError("the broker at the socket leads another folder")
                return
            except SluiceError as refused:
                self.close()
                # Skip the broker of another store; one that is shutting down has a successor.
                if refused.code not in ("wrong_store", "unavailable") or time.monotonic() > give_up:
                    raise
            except OSError:
                self.close()
                if time.monotonic() > give_up:
                    raise
            if self._root_identity() != self.identity:
                raise WrongStore(f"the folder of this store was moved or replaced: {self.root}")
            if time.monotonic() - started_at > 1:
                started_at = time.monotonic()
                self._start_broker()
            time.sleep(0.02)

    def _start_broker(self):
        """Of several that are started at once, one leads and the others go, as busy."""
        if self.starter and self.starter.poll() is None:
            # It is still starting; another one would only slow it down.
            return
        if self.starter and self.starter.returncode == 1:
            with open(self.starter.log) as log:
                why = log.read().strip()
            if why and ": busy: " not in why:
                raise RuntimeError(f"no broker can be started: {why}")
        log = os.path.join(tempfile.gettempdir(), f"sluice-{os.getuid()}-{os.getpid()}.log")
        with open(log, "w") as stderr:
            try:
                self.starter = subprocess.Popen(
                    [self.program, "serve", self.root, "--idle", "3"],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
                )
            except OSError as missing:
                raise RuntimeError(
                    f"no broker can be started: {missing}; put sluice into PATH, or set SLUICE_PROGRAM") from None
        self.starter.log = log

    def _root_identity(self):
        try:
            info = os.stat(self.root)
        except OSError as missing:
            raise WrongStore(f"the folder of this store is not there: {missing}") from None
        return {"device": info.st_dev, "inode": info.st_ino}

    def _socket_path(self):
        try:
            with open(os.path.join(self.root, ".sluice", "broker.json")) as file:
                info = json.load(file)
        except (FileNotFoundError, ValueError):
            raise ConnectionError("there is no broker") from None
        own = os.path.join(self.root, ".sluice", "broker.sock")
        published = from_json(info["socket"])
        # It may have been copied with another store; older brokers do not name their store.
        if info.get("root", self.identity if published == own else None) != self.identity:
            raise ConnectionError("there is no broker of this store")
        return published if os.path.exists(published) else own


class OperationsClient:
    """Calls operations as the functions of `sluice ops --emit python` do: `Store.call` is for methods of the protocol."""

    def __init__(self, store, agent=None, capsule=None):
        self.store = store
        self.agent = agent
        self.capsule = capsule

    def call(self, operation, params, key=None):
        """Raises Truncated instead of giving a part of the rows, because those functions return rows alone."""
        answer = self.store.call_operation(operation, params, key, self.agent, self.capsule)
        if answer.get("truncated"):
            raise Truncated(operation)
        return answer


def main():
    with Store(".") as store:
        store.write("notes.db", "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        first = store.write("notes.db", "INSERT INTO notes (text) VALUES (?)", ["from Python"], agent="py", key="py-note-1")
        again = store.write("notes.db", "INSERT INTO notes (text) VALUES (?)", ["from Python"], agent="py", key="py-note-1")
        print(f"commit {first['commit_seq']}, and again: replayed={again['replayed']}")
        try:
            store.write("notes.db", "INSERT INTO notes (text) VALUES (NULL)", agent="py")
        except SluiceError as refused:
            print(f"refused: {refused.code}")
        answer = store.read("notes.db", "SELECT text FROM notes WHERE id = :id", {"id": 1}, min_seq=first["commit_seq"])
        print(f"read: {answer['rows']} from {answer['source']}")


if __name__ == "__main__":
    main()
