-- db: memory.db

-- name: create_branch :one
-- Makes a branch that sees what its parent knows now; what either adds later the other does not see.
-- param branch text (1..100)
-- param parent text (1..100)
-- column branch text
-- column forked_after integer
-- expect 1
INSERT INTO branches(branch, parent, forked_after, created_at)
SELECT :branch, parent.branch, (SELECT coalesce(max(id), 0) FROM blocks), unixepoch()
FROM branches AS parent WHERE parent.branch = :parent AND parent.closed_at IS NULL
RETURNING branch, forked_after;

-- name: merge_branch :one
-- Gives the blocks of a branch to its parent and closes the branch. Answers nothing if it is closed, has no parent, or
-- has open branches of its own.
-- param branch text (1..100)
-- tier verified
-- column branch text
-- column parent text
UPDATE blocks SET branch = (SELECT parent FROM branches WHERE branch = :branch)
WHERE branch = :branch AND branch IN closable_branches;
DELETE FROM anchors WHERE branch = :branch AND branch IN closable_branches;
UPDATE branches SET closed_at = unixepoch() WHERE branch = :branch AND branch IN closable_branches
RETURNING branch, parent;

-- name: close_branch :one
-- Gives up a branch: nothing can be added to it, and no other branch sees what it found. Answers
-- nothing where merge_branch does.
-- param branch text (1..100)
-- tier verified
-- column branch text
DELETE FROM anchors WHERE branch = :branch AND branch IN closable_branches;
UPDATE branches SET closed_at = unixepoch() WHERE branch = :branch AND branch IN closable_branches
RETURNING branch;

-- name: list_branches :many
-- All branches, with the number of their own blocks.
-- column branch text
-- column parent text?
-- column is_open integer
-- column blocks integer
-- cache 60s
SELECT branches.branch, branches.parent, branches.closed_at IS NULL AS is_open,
       (SELECT count(*) FROM blocks WHERE blocks.branch = branches.branch) AS blocks
FROM branches ORDER BY branches.created_at, branches.rowid;
