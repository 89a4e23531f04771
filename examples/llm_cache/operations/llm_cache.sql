-- db: llm_cache.db

-- name: make_cache :exec
-- Creates the table of the cache, unless it is there.
CREATE TABLE IF NOT EXISTS analyses (
  url_hash TEXT PRIMARY KEY,
  url TEXT NOT NULL,
  analysis_json TEXT NOT NULL,
  cached_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS analyses_by_age ON analyses(cached_at);

-- name: get_analysis :one
-- The analysis of a URL, and when it was stored (Unix time in seconds). The caller decides whether it is too old: a
-- query without a clock can be answered from the broker's cache.
-- param url_hash text (64..64)
-- column analysis_json json
-- column cached_at integer
-- cache 60s
SELECT analysis_json, cached_at FROM analyses WHERE url_hash = :url_hash;

-- name: put_analysis :exec
-- Stores the analysis of a URL, and replaces an earlier one: the last one wins. The time is that of the broker's
-- machine, so all processes have the same clock.
-- param url_hash text (64..64)
-- param url text (1..8192)
-- param analysis_json json (..4194304)
-- expect 1
INSERT INTO analyses(url_hash, url, analysis_json, cached_at) VALUES (:url_hash, :url, :analysis_json, unixepoch())
ON CONFLICT(url_hash) DO UPDATE SET url = excluded.url, analysis_json = excluded.analysis_json,
                                    cached_at = excluded.cached_at;

-- name: purge_analyses :exec
-- Removes the oldest analyses of more than this age in seconds, some at a time; returns how many.
-- param max_age_s integer (0..)
-- param most integer (1..10000)
DELETE FROM analyses WHERE url_hash IN (
  SELECT url_hash FROM analyses WHERE cached_at < unixepoch() - :max_age_s ORDER BY cached_at LIMIT :most);
