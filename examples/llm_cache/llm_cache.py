#!/usr/bin/env python3
"""A cache for the results of a language model, shared by any number of processes. Copy it with sluice_client.py,
cache_operations.py and the folder operations/, which belongs into the folder of the store.

    with Store("/path/to/folder") as store:
        cache = LlmCache(store)
        analysis = cache.get_or_analyse("https://example.org/a", ask_model)
"""

import hashlib
import json
import os
import sys
import time

# In the checkout the client lies in the folder above.
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import cache_operations as operations  # noqa: E402
from sluice_client import Store  # noqa: E402

WEEK = 7 * 24 * 3600
PURGE_AT_ONCE = 1000


def hash_of(url):
    return hashlib.sha256(url.encode()).hexdigest()


class LlmCache:
    """Analyses by URL. Threads may share it; each process needs its own store."""

    def __init__(self, store, max_age=WEEK, agent="llm_cache", clock=time.time):
        self.client = store.operations(agent)
        self.max_age = max_age
        self.clock = clock
        operations.make_cache(self.client)

    def get(self, url):
        """The analysis of the URL; None if there is none, or if it is older than `max_age` seconds."""
        row = operations.get_analysis(self.client, url_hash=hash_of(url))
        if row is None or row["cached_at"] < self.clock() - self.max_age:
            return None
        return json.loads(row["analysis_json"])

    def put(self, url, analysis):
        """Stores what json.dumps accepts, up to 4 MiB. It is on disk when this returns."""
        operations.put_analysis(self.client, url_hash=hash_of(url), url=url, analysis_json=analysis)

    def get_or_analyse(self, url, analyse):
        """The cached analysis, or else that of `analyse(url)`, which is then stored.

        Two processes that miss the same URL at once both ask the model, and the later result stays.
        """
        analysis = self.get(url)
        if analysis is None:
            analysis = analyse(url)
            self.put(url, analysis)
        return analysis

    def purge(self):
        """Removes analyses older than `max_age`, some per request so that others can write between; returns how many."""
        total = 0
        while True:
            removed = operations.purge_analyses(self.client, max_age_s=int(self.max_age), most=PURGE_AT_ONCE)
            total += removed
            if removed < PURGE_AT_ONCE:
                return total


def main():
    def ask_model(url):
        print(f"asking the model about {url}")
        return {"url": url, "summary": f"{len(url)} characters"}

    root, *urls = sys.argv[1:] or ["."]
    with Store(root) as store:
        cache = LlmCache(store)
        for url in urls or ["https://example.org/a", "https://example.org/a"]:
            print(cache.get_or_analyse(url, ask_model))


if __name__ == "__main__":
    main()
