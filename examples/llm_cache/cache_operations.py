"""Typed functions for the operations of a sluice store.

Generated from its operation files; changes are lost when it is generated again.
"""

from __future__ import annotations

import json as _json
import typing as _t


class Client(_t.Protocol):
    """Calls an operation. The answer is a dict with rows (a list of dicts) or changes; blobs are bytes."""

    def call(self, operation: str, params: _t.Any, key: _t.Optional[str] = None) -> _t.Any: ...


GetAnalysisRow = _t.TypedDict("GetAnalysisRow", {
    "analysis_json": str,
    "cached_at": int,
})


def get_analysis(client: Client, *, url_hash: str) -> _t.Optional[GetAnalysisRow]:
    """The analysis of a URL, and when it was stored (Unix time in seconds). The caller decides whether it is too old: a
    query without a clock can be answered from the broker's cache."""
    _answer = client.call("get_analysis", {"url_hash": url_hash})
    return _answer["rows"][0] if _answer["rows"] else None


def make_cache(client: Client, *, key: _t.Optional[str] = None) -> int:
    """Creates the table of the cache, unless it is there."""
    _answer = client.call("make_cache", {}, key)
    return _answer["changes"]


def purge_analyses(client: Client, *, max_age_s: int, most: int, key: _t.Optional[str] = None) -> int:
    """Removes the oldest analyses of more than this age in seconds, some at a time; returns how many."""
    _answer = client.call("purge_analyses", {"max_age_s": max_age_s, "most": most}, key)
    return _answer["changes"]


def put_analysis(client: Client, *, url_hash: str, url: str, analysis_json: _t.Any, key: _t.Optional[str] = None) -> int:
    """Stores the analysis of a URL, and replaces an earlier one: the last one wins. The time is that of the broker's
    machine, so all processes have the same clock."""
    _answer = client.call("put_analysis", {"url_hash": url_hash, "url": url, "analysis_json": _json.dumps(analysis_json)}, key)
    return _answer["changes"]
