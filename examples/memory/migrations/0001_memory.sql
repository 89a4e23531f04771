-- Branches: each sees its own blocks, and those that its parents had when it was made.
CREATE TABLE branches (
  branch TEXT PRIMARY KEY CHECK (length(branch) BETWEEN 1 AND 100),
  parent TEXT REFERENCES branches(branch),
  -- The newest block of the parent that the branch sees.
  forked_after INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  closed_at INTEGER
) STRICT;
INSERT INTO branches(branch, parent, forked_after, created_at) VALUES ('main', NULL, 0, unixepoch());

-- Branches that may be merged or closed: those that no open branch depends on.
CREATE VIEW closable_branches AS
SELECT branch FROM branches
WHERE parent IS NOT NULL AND closed_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM branches AS child WHERE child.parent = branches.branch AND child.closed_at IS NULL);

-- Blocks of memory. AUTOINCREMENT: the id of a block that was removed must not come again below a fork.
CREATE TABLE blocks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  branch TEXT NOT NULL REFERENCES branches(branch),
  kind TEXT NOT NULL CHECK (kind IN ('fact', 'event', 'plan', 'note')),
  content TEXT NOT NULL,
  importance REAL NOT NULL CHECK (importance BETWEEN 0 AND 1),
  agent TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX blocks_by_branch ON blocks(branch, id);

CREATE TRIGGER blocks_of_open_branches BEFORE INSERT ON blocks
WHEN EXISTS (SELECT 1 FROM branches WHERE branch = new.branch AND closed_at IS NOT NULL)
BEGIN
  SELECT RAISE(ABORT, 'the branch is closed; add the memory to an open one');
END;

-- Weighted links between blocks.
CREATE TABLE associations (
  from_block INTEGER NOT NULL REFERENCES blocks(id) ON DELETE CASCADE,
  to_block INTEGER NOT NULL REFERENCES blocks(id) ON DELETE CASCADE,
  relation TEXT NOT NULL,
  weight REAL NOT NULL CHECK (weight BETWEEN 0 AND 1),
  PRIMARY KEY (from_block, to_block, relation),
  CHECK (from_block <> to_block)
) STRICT, WITHOUT ROWID;
CREATE INDEX associations_to ON associations(to_block);

-- Short-term memory: what an agent works at now, which is forgotten by itself.
CREATE TABLE anchors (
  branch TEXT NOT NULL REFERENCES branches(branch),
  anchor TEXT NOT NULL,
  content TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (branch, anchor)
) STRICT, WITHOUT ROWID;
