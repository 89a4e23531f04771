-- Full-text search over the blocks. The text is in the table alone (external content); triggers keep the index current.
CREATE VIRTUAL TABLE blocks_fts USING fts5(content, content = 'blocks', content_rowid = 'id', tokenize = 'porter unicode61');

CREATE TRIGGER blocks_fts_insert AFTER INSERT ON blocks BEGIN
  INSERT INTO blocks_fts(rowid, content) VALUES (new.id, new.content);
END;

CREATE TRIGGER blocks_fts_delete AFTER DELETE ON blocks BEGIN
  INSERT INTO blocks_fts(blocks_fts, rowid, content) VALUES ('delete', old.id, old.content);
END;

CREATE TRIGGER blocks_fts_update AFTER UPDATE OF content ON blocks BEGIN
  INSERT INTO blocks_fts(blocks_fts, rowid, content) VALUES ('delete', old.id, old.content);
  INSERT INTO blocks_fts(rowid, content) VALUES (new.id, new.content);
END;

INSERT INTO blocks_fts(blocks_fts) VALUES ('rebuild');
