PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE audit(seq INTEGER PRIMARY KEY, ts_us INTEGER NOT NULL, request_id TEXT NOT NULL, agent TEXT NOT NULL, store INTEGER NOT NULL, db TEXT NOT NULL, request_type TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL, latency_us INTEGER NOT NULL, commit_seq INTEGER NOT NULL, tables TEXT NOT NULL, correlation_id TEXT NOT NULL, peer_uid INTEGER NOT NULL, peer_pid INTEGER NOT NULL, count INTEGER NOT NULL, recovered INTEGER NOT NULL, prev_hash BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
INSERT INTO audit VALUES(1,1796013524499124,'ngbtkcr3pjd43','setup',1,'app.db','write','auto-01a22abf85ef-86740e9b05fad7a7-28b6-1','committed',5738,1,'["sqlite_schema"]','',0,10422,1,0,X'',X'72840913b55dbfa4e6652ba6ebb4847db4eb07cc5ae8748b287ee438a7fb3af7');
INSERT INTO audit VALUES(2,1796013524533719,'pgbtkcr3pjd43','agent-1',1,'app.db','write','key-1','committed',1352,2,'["t"]','',0,10425,1,0,X'72840913b55dbfa4e6652ba6ebb4847db4eb07cc5ae8748b287ee438a7fb3af7',X'5c087ef70ea37af140d63a0a5a453592fd291e25ca3dedfa9e64c552cedf7257');
INSERT INTO audit VALUES(3,1796013524567548,'qgbtkcr3pjd43','agent-2',1,'app.db','write','key-2','committed',4972,3,'["t"]','',0,10426,1,0,X'5c087ef70ea37af140d63a0a5a453592fd291e25ca3dedfa9e64c552cedf7257',X'5f626879223e41affc2849979673c472e6204b442ebb793ba8c8a7b5ce34a229');
INSERT INTO audit VALUES(4,1796013524591290,'rgbtkcr3pjd43','agent-0',1,'app.db','write','key-3','committed',1224,4,'["t"]','',0,10427,1,0,X'5f626879223e41affc2849979673c472e6204b442ebb793ba8c8a7b5ce34a229',X'fc627fe2ca98435364212fe5db151ea922a70e3fd2a986a500c361d71e5cba75');
INSERT INTO audit VALUES(5,1796013524615592,'sgbtkcr3pjd43','agent-1',1,'app.db','write','key-4','committed',1645,5,'["t"]','',0,10428,1,0,X'fc627fe2ca98435364212fe5db151ea922a70e3fd2a986a500c361d71e5cba75',X'b4541b0234c3795fc2abb18f18466a4068f4283317bdfb0c07b78bd3df70e4e7');
INSERT INTO audit VALUES(6,1796013524639610,'tgbtkcr3pjd43','agent-2',1,'app.db','write','key-5','committed',1561,6,'["t"]','',0,10429,1,0,X'b4541b0234c3795fc2abb18f18466a4068f4283317bdfb0c07b78bd3df70e4e7',X'217df4c17bc9b11a84a485ab4591179ffdc2bcc5c5fc0778dc3bc976090a8079');
INSERT INTO audit VALUES(7,1796013524667534,'vgbtkcr3pjd43','agent-0',1,'app.db','write','key-6','committed',4264,7,'["t"]','',0,10430,1,0,X'217df4c17bc9b11a84a485ab4591179ffdc2bcc5c5fc0778dc3bc976090a8079',X'96188d9c32518262b59275f01f9bcb1ec19bce8d5736339012b7741136187950');
INSERT INTO audit VALUES(8,1796013524699663,'wgbtkcr3pjd43','agent-1',1,'app.db','write','auto-01a22abf86d6-f4cafef65a3e59a5-28bf-1','committed',4694,8,'["t"]','',0,10431,1,0,X'96188d9c32518262b59275f01f9bcb1ec19bce8d5736339012b7741136187950',X'6a59c591f21ffd5faf45619868e36a211b32eb67b87374c13b29694fad3e6f21');
INSERT INTO audit VALUES(9,1796013524732363,'b5tzkn78m9npb','reader',1,'app.db','read','d42f84ca64cd4235-d42f84ca64cd4235','ok',6779,8,'','',0,10432,1,0,X'6a59c591f21ffd5faf45619868e36a211b32eb67b87374c13b29694fad3e6f21',X'b4a78d0f2127e110e0045e842735e1a22df4dfb2239a31590c569a7430a33e1b');
CREATE TABLE stores(id INTEGER PRIMARY KEY, root TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO stores VALUES(1,'/srv/store');
CREATE TABLE databases(name TEXT PRIMARY KEY, reconciled_seq INTEGER NOT NULL DEFAULT 0, reconciled_hash BLOB NOT NULL DEFAULT x'', audit_seq INTEGER NOT NULL DEFAULT 0, issued_seq INTEGER NOT NULL DEFAULT 0, issued_at INTEGER NOT NULL DEFAULT 0, epoch TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
INSERT INTO databases VALUES('app.db',0,X'',0,0,0,'');
CREATE TRIGGER audit_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_replace BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER stores_update BEFORE UPDATE ON stores
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER stores_delete BEFORE DELETE ON stores
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER stores_replace BEFORE INSERT ON stores
    WHEN EXISTS (SELECT 1 FROM stores WHERE id = NEW.id OR root = NEW.root)
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
COMMIT;
PRAGMA user_version = 1;
PRAGMA application_id = 1936482677;
