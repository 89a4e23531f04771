-- db: memory.db

-- name: add_memory :one
-- Stores a block of memory in a branch and returns its id. Kind is fact, event, plan or note. The branch must exist; main
-- does. Importance is from 0 to 1; 0.5 is usual.
-- param content text (1..20000)
-- param kind text (1..10)
-- param branch text (1..100)
-- param agent text (1..100)
-- param importance real? (0..1)
-- column id integer
-- column created_at integer
INSERT INTO blocks(branch, kind, content, importance, agent, created_at)
VALUES (:branch, :kind, :content, coalesce(:importance, 0.5), :agent, unixepoch())
RETURNING id, created_at;

-- name: search_memory :many
-- Finds the blocks that a branch sees and that hold any of the words; the best first. Blocks with rare words, with
-- several of the words, and more important blocks have a higher score.
-- param words text (1..1000)
-- param branch text (1..100)
-- param most integer (1..100)
-- column id integer
-- column branch text
-- column kind text
-- column content text
-- column importance real
-- column created_at integer
-- column score real
WITH RECURSIVE lineage(branch, until) AS (
  SELECT :branch, 9223372036854775807
  UNION ALL
  SELECT b.parent, min(lineage.until, b.forked_after)
  FROM lineage JOIN branches AS b ON b.branch = lineage.branch WHERE b.parent IS NOT NULL)
SELECT blocks.id, blocks.branch, blocks.kind, blocks.content, blocks.importance, blocks.created_at,
       -bm25(blocks_fts) * (0.5 + blocks.importance) AS score
FROM blocks_fts
JOIN blocks ON blocks.id = blocks_fts.rowid
JOIN lineage ON lineage.branch = blocks.branch AND blocks.id <= lineage.until
-- Each word is quoted, so that no text is taken for the syntax of FTS5.
WHERE blocks_fts MATCH '"' || replace(replace(replace(trim(:words), '"', ' '), char(10), ' '), ' ', '" OR "') || '"'
ORDER BY score DESC, blocks.id DESC LIMIT :most;

-- name: recent_memories :many
-- The newest blocks that a branch sees.
-- param branch text (1..100)
-- param most integer (1..100)
-- column id integer
-- column branch text
-- column kind text
-- column content text
-- column created_at integer
-- cache 60s
WITH RECURSIVE lineage(branch, until) AS (
  SELECT :branch, 9223372036854775807
  UNION ALL
  SELECT b.parent, min(lineage.until, b.forked_after)
  FROM lineage JOIN branches AS b ON b.branch = lineage.branch WHERE b.parent IS NOT NULL)
SELECT blocks.id, blocks.branch, blocks.kind, blocks.content, blocks.created_at
FROM lineage JOIN blocks ON blocks.branch = lineage.branch AND blocks.id <= lineage.until
ORDER BY blocks.id DESC LIMIT :most;

-- name: rewrite_memory :exec
-- Replaces the text of a block of this branch.
-- param id integer (1..)
-- param branch text (1..100)
-- param content text (1..20000)
-- expect 1
UPDATE blocks SET content = :content WHERE id = :id AND branch = :branch;

-- name: forget_memory :exec
-- Removes a block of this branch, and its associations.
-- param id integer (1..)
-- param branch text (1..100)
-- tier verified
-- expect 1
DELETE FROM blocks WHERE id = :id AND branch = :branch;

-- name: update_associations :batch
-- Sets the weights of links between blocks, all or none; a weight of 0 removes the link.
-- param from_block integer (1..)
-- param to_block integer (1..)
-- param relation text (1..50)
-- param weight real (0..1)
INSERT INTO associations(from_block, to_block, relation, weight) VALUES (:from_block, :to_block, :relation, :weight)
ON CONFLICT DO UPDATE SET weight = excluded.weight;
DELETE FROM associations
WHERE from_block = :from_block AND to_block = :to_block AND relation = :relation AND weight = 0;

-- name: related_memories :many
-- The blocks that are linked with a block, in both directions, the strongest link first.
-- param id integer (1..)
-- param most integer (1..100)
-- column id integer
-- column relation text
-- column weight real
-- column content text
-- cache 60s
SELECT blocks.id, linked.relation, linked.weight, blocks.content
FROM (SELECT to_block AS other, relation, weight FROM associations WHERE from_block = :id
      UNION ALL
      SELECT from_block, relation, weight FROM associations WHERE to_block = :id) AS linked
JOIN blocks ON blocks.id = linked.other
ORDER BY linked.weight DESC, blocks.id LIMIT :most;
