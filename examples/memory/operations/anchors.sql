-- db: memory.db

-- name: anchor_update :exec
-- Remembers what the branch works at now under a short name, for some seconds; replaces what was there.
-- param anchor text (1..50)
-- param content text (1..2000)
-- param branch text (1..100)
-- param seconds integer (1..604800)
INSERT INTO anchors(branch, anchor, content, expires_at) VALUES (:branch, :anchor, :content, unixepoch() + :seconds)
ON CONFLICT DO UPDATE SET content = excluded.content, expires_at = excluded.expires_at;
DELETE FROM anchors WHERE branch = :branch AND expires_at <= unixepoch();

-- name: anchors_now :many
-- What the branch works at now.
-- param branch text (1..100)
-- column anchor text
-- column content text
-- column seconds_left integer
SELECT anchor, content, expires_at - unixepoch() AS seconds_left
FROM anchors WHERE branch = :branch AND expires_at > unixepoch() ORDER BY anchor;

-- name: anchor_clear :exec
-- Forgets an anchor now.
-- param anchor text (1..50)
-- param branch text (1..100)
DELETE FROM anchors WHERE branch = :branch AND anchor = :anchor;
