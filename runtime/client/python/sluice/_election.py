"""Finds the broker of a store, or starts one. Blocking; the asynchronous client runs it in a thread."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import stat
import struct
import tempfile
import time
import weakref
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from .errors import SluiceError, error_from, make_error
from .values import encode_text, parse

PROTOCOL = 1
CLIENT = "sluice python 0.1.0"
# Seconds in which a broker must answer the greeting.
SILENCE = 2.0
# Seconds after its last client in which a broker that was started here ends, as those of the program do.
IDLE_SECONDS = "3"


class Place:
    """Where the broker is looked for: the folder of the store, or one socket. Threads may share it."""

    def __init__(self, root: str, endpoint: Optional[str], program: Optional[str], start: bool) -> None:
        self.root = os.path.realpath(root)
        self.endpoint, self.program, self.start = endpoint, program, start
        # A store is a folder, not a path: a copy of it, or a folder put in its place later, is another store.
        self.identity = self.identity_now()
        self.starter: Optional[Starter] = None

    def identity_now(self) -> Dict[str, int]:
        try:
            info = os.stat(self.root)
        except OSError as missing:
            raise make_error("wrong_store", f"the folder of the store is not there: {missing.strerror}") from None
        return {"device": info.st_dev, "inode": info.st_ino}

    def sockets(self) -> List[Tuple[str, bool]]:
        """The sockets to try, and whether a broker there leads this store even if it does not say so."""
        own = os.path.join(self.root, ".sluice", "broker.sock")
        if self.endpoint:
            return [(self.endpoint, self.endpoint == own)]
        published = self._published(own)
        return [(own, True)] if published is None or published == own else [(published, False), (own, True)]

    def _published(self, own: str) -> Optional[str]:
        try:
            with open(os.path.join(self.root, ".sluice", "broker.json"), "rb") as file:
                info = parse(file.read())
            path = info["socket"]
            folder = os.stat(os.path.dirname(path))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        is_private = folder.st_uid == os.geteuid() and not stat.S_IMODE(folder.st_mode) & 0o077
        # It may have been copied with another store; older brokers do not name their store.
        is_ours = info.get("root", self.identity if path == own else None) == self.identity
        return path if is_private and is_ours else None


class Found(NamedTuple):
    socket: socket.socket
    pid: int


def find_broker(place: Place, limit: float, stopped: Callable[[], bool] = lambda: False, tries: int = 0) -> Found:
    """A connection to the broker of the store, which has confirmed that it leads it.

    Starts a broker if there is none and `place` allows it, and looks again until `limit` (of time.monotonic()), or
    so many `tries` if that is not 0. Raises `busy`, `unavailable` or `route_required` if there is none by then,
    `wrong_store`, `protocol_mismatch` and `not_authorized` at once, and `unavailable` for a silent broker.
    """
    reason = "no broker answers at the endpoint" if place.endpoint else "no broker is running"
    pause = 0.002
    while True:
        if place.identity_now() != place.identity:
            raise make_error("wrong_store", "the folder of the store was moved or replaced; open it where it is now")
        for path, is_own in place.sockets():
            try:
                return _connect(path, is_own, place)
            except SluiceError as refused:
                skipped = refused.code == "wrong_store" and not place.endpoint
                # The process of a silent broker is running, so no other one can lead.
                if is_silence(refused) or not (skipped or refused.code in ("unavailable", "overloaded")):
                    raise
                reason = refused.message if refused.code != "wrong_store" else reason
            except OSError:
                pass
        tries -= 1
        if place.start and not place.endpoint:
            place.starter = place.starter or Starter(place)
            place.starter.run()
        elif tries == 0:
            raise make_error("route_required", reason)
        if time.monotonic() >= limit or stopped():
            raise make_error("unavailable", reason)
        time.sleep(max(0.0, min(pause * (0.5 + random.random() / 2), limit - time.monotonic())))
        pause = min(0.04, pause * 2)


def _connect(path: str, is_own: bool, place: Place) -> Found:
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(SILENCE)
        try:
            link.connect(path)
        except PermissionError:
            raise make_error("not_authorized", "the socket of the broker may not be used") from None
        pid, uid = peer_of(link)
        if uid not in (-1, os.geteuid()):
            raise make_error("not_authorized", "the socket of the broker is another user's")
        _greet(link, pid, is_own, place)
        return Found(link, pid)
    except BaseException:
        link.close()
        raise


def _greet(link: socket.socket, pid: int, is_own: bool, place: Place) -> None:
    """Before any request: the socket may be that of another store's broker."""
    params = f'{{"protocol":{PROTOCOL},"client":{encode_text(CLIENT)},"root":{json.dumps(place.identity)}}}'
    give_up = time.monotonic() + SILENCE
    line = b""
    try:
        link.sendall(f'{{"jsonrpc":"2.0","id":0,"method":"hello","params":{params}}}\n'.encode())
        while not line.endswith(b"\n"):
            link.settimeout(max(0.001, give_up - time.monotonic()))
            more = link.recv(1 << 16)
            if not more:
                raise make_error("unavailable", "the broker at the socket has gone")
            line += more
        answer = parse(line)
    except socket.timeout:
        raise make_error("unavailable", silence_of(pid), silent=True) from None
    except ValueError:
        raise make_error("protocol_mismatch", "the process at the socket does not answer as a broker does") from None
    if "error" in answer:
        refused = error_from(answer["error"])
        if refused.data.get("draining") is True or refused.data.get("hands_over") is True:
            raise make_error("unavailable", refused.message)
        raise refused
    led = answer["result"].get("root")
    if led is None and is_own:
        return
    if led != place.identity:
        raise make_error("wrong_store", "the broker at the socket leads another folder than the requested one")


def peer_of(link: socket.socket) -> Tuple[int, int]:
    """Process and user at the other end; 0 and -1 if they are hidden."""
    try:
        pid, uid, _ = struct.unpack("iii", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iii")))
        return pid, uid
    except (OSError, AttributeError):
        return 0, -1


def silence_of(pid: int) -> str:
    """What to tell about a broker that accepts connections and does not answer."""
    if pid <= 0:
        return "the broker at the socket does not answer; it may be stopped, or stuck"
    try:
        with open(f"/proc/{pid}/stat") as file:
            is_stopped = file.read().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        is_stopped = False
    if is_stopped:
        return (f"the broker (process {pid}) is stopped and does not answer; `kill -CONT {pid}` lets it go on, `kill -9 "
                f"{pid}` ends it without losing anything acknowledged")
    return (f"the broker (process {pid}) does not answer; if it stays so, `kill -9 {pid}` ends it without losing anything "
            "acknowledged")


def is_silence(error: SluiceError) -> bool:
    """Whether it is that of a broker which accepts connections and does not answer."""
    return error.data.get("silent") is True


def find_program(wanted: Optional[str]) -> str:
    """The program that starts brokers: `wanted`, SLUICE_PROGRAM, or sluice in PATH."""
    named = wanted or os.environ.get("SLUICE_PROGRAM")
    found = named or shutil.which("sluice")
    # A relative folder in PATH would mean another program in each working directory.
    if not found or (not named and not os.path.isabs(found)):
        raise make_error("route_required", "no broker can be started: the sluice program is not found; put it into PATH, "
                                           "or set SLUICE_PROGRAM")
    if not os.access(found, os.X_OK) or not os.path.isfile(found):
        raise make_error("route_required", f"no broker can be started: {found} is no program; put sluice into PATH, or "
                                           "set SLUICE_PROGRAM")
    return os.path.abspath(found)


class Starter:
    """Starts brokers of one store. Of several that are started at once, one leads and the others go, as busy."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._pid = 0
        self._started_at = 0.0
        self._log, path = tempfile.mkstemp()
        # Without a name, nothing is left of it.
        os.unlink(path)
        weakref.finalize(self, os.close, self._log)

    def run(self) -> None:
        """Starts a broker, unless one that was started is still starting."""
        if self._pid and not self._has_ended():
            return
        if time.monotonic() - self._started_at < 1:
            return
        program = find_program(self._place.program)
        self._started_at = time.monotonic()
        os.truncate(self._log, 0)
        descriptors = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                       (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                       (os.POSIX_SPAWN_DUP2, self._log, 2)]
        try:
            self._pid = os.posix_spawn(program, [program, "serve", self._place.root, "--idle", IDLE_SECONDS], os.environ,
                                       file_actions=descriptors, setsid=True, setsigmask=(),
                                       setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        except OSError as failed:
            raise make_error("route_required", f"no broker can be started: {failed.strerror}: {program}") from None

    def _has_ended(self) -> bool:
        """Whether it has; raises if it could not lead, and another one could not either."""
        try:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self._pid, 0
        if pid == 0:
            return False
        self._pid = 0
        reason = os.pread(self._log, 4096, 0).decode("utf-8", "replace").strip()
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) and reason and ": busy: " not in reason:
            raise make_error("route_required", f"no broker can be started: {reason}")
        return True
