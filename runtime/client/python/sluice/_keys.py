"""Idempotency keys that the package makes, as the client library in C++ does (messages/automatic_key.hpp)."""

from __future__ import annotations

import functools
import itertools
import os
import secrets
import time

_INITIAL_TIME_NAMESPACE = "time:[4026531834]"


def _content(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


@functools.lru_cache(maxsize=None)
def boot_tag() -> int:
    """Identifies the clock of this boot: 32 bits of FNV-1a over the boot id, and the time namespace if there is one."""
    identity = _content("/proc/sys/kernel/random/boot_id").strip()
    try:
        space = os.readlink("/proc/self/ns/time")
    except OSError:
        space = ""
    if identity and space and space != _INITIAL_TIME_NAMESPACE:
        identity = "/".join([identity, space, *_content("/proc/self/timens_offsets").split()])
    tag = 2166136261
    for byte in identity.encode():
        tag = (tag ^ byte) * 16777619 & 0xFFFFFFFF
    # Without a boot id the broker stores these keys like those of applications.
    return (tag if identity else 0) or 1


class KeyMaker:
    """Keys that no other client makes. Threads may share it; a forked process may not use its parent's."""

    def __init__(self) -> None:
        self._session = secrets.randbits(64)
        self._count = itertools.count(1)

    def next(self) -> str:
        since_boot_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        return f"auto-{boot_tag():08x}-{since_boot_ms:x}-{self._session:016x}-{next(self._count):x}"
