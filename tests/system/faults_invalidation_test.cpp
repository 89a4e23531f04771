#include "tests/system/fixture.hpp"

namespace sluice::test::faults_invalidation_test {

namespace {

// A cached answer, a write that changes it, and the new answer (the first column of every row).
struct change {
  const char* name;
  std::vector<const char*> schema;
  const char* query;
  std::vector<value> before;
  const char* write;
  std::vector<value> after;
};

std::vector<value> first_column(const read_result& read) {
  std::vector<value> result;
  for (size_t i = 0; i < read.rows->size(); ++i)
    result.push_back(read.rows->at(i, 0));
  return result;
}

const std::vector<change> changes{
  {"a trigger",
   {"CREATE TABLE a (n)", "CREATE TABLE log (n)",
    "CREATE TRIGGER g AFTER INSERT ON a BEGIN INSERT INTO log (n) VALUES (NEW.n * 2); END"},
   "SELECT n FROM log",
   {},
   "INSERT INTO a (n) VALUES (2)",
   {4}},
  {"a trigger of a trigger",
   {"CREATE TABLE a (n)", "CREATE TABLE b (n)", "CREATE TABLE c (n)",
    "CREATE TRIGGER g AFTER DELETE ON a BEGIN INSERT INTO b (n) VALUES (OLD.n); END",
    "CREATE TRIGGER h AFTER INSERT ON b BEGIN INSERT INTO c (n) VALUES (NEW.n); END", "INSERT INTO a (n) VALUES (7)"},
   "SELECT n FROM c",
   {},
   "DELETE FROM a",
   {7}},
  {"a foreign key's cascade",
   {"CREATE TABLE parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id) ON DELETE CASCADE)",
    "CREATE TABLE grandchild (c INTEGER REFERENCES child (id) ON DELETE SET NULL)", "INSERT INTO parent VALUES (1)",
    "INSERT INTO child VALUES (2, 1)", "INSERT INTO grandchild VALUES (2)"},
   "SELECT count(c) FROM grandchild",
   {1},
   "DELETE FROM parent WHERE id = 1",
   {0}},
  {"a cascade of an update into a table WITHOUT ROWID",
   {"CREATE TABLE parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE child (p INTEGER PRIMARY KEY REFERENCES parent (id) ON UPDATE CASCADE) WITHOUT ROWID",
    "INSERT INTO parent VALUES (1)", "INSERT INTO child VALUES (1)"},
   "SELECT p FROM child",
   {1},
   "UPDATE parent SET id = 5",
   {5}},
  {"an update of a table WITHOUT ROWID",
   {"CREATE TABLE k (a TEXT PRIMARY KEY, b) WITHOUT ROWID", "INSERT INTO k VALUES ('x', 1)"},
   "SELECT b FROM k",
   {1},
   "UPDATE k SET b = 2",
   {2}},
  {"DELETE without WHERE",
   {"CREATE TABLE t (n)", "INSERT INTO t VALUES (1), (2)"},
   "SELECT n FROM t",
   {1, 2},
   "DELETE FROM t",
   {}},
  {"DELETE without WHERE from a table WITHOUT ROWID",
   {"CREATE TABLE t (n INTEGER PRIMARY KEY) WITHOUT ROWID", "INSERT INTO t VALUES (1), (2)"},
   "SELECT n FROM t",
   {1, 2},
   "DELETE FROM t",
   {}},
  {"an upsert",
   {"CREATE TABLE t (k TEXT PRIMARY KEY, n)", "INSERT INTO t VALUES ('a', 1)"},
   "SELECT n FROM t",
   {1},
   "INSERT INTO t VALUES ('a', 5) ON CONFLICT (k) DO UPDATE SET n = excluded.n",
   {5}},
  {"REPLACE",
   {"CREATE TABLE t (k TEXT PRIMARY KEY, n)", "INSERT INTO t VALUES ('a', 1)"},
   "SELECT n FROM t",
   {1},
   "REPLACE INTO t VALUES ('a', 6)",
   {6}},
  {"INSERT from SELECT",
   {"CREATE TABLE a (n)", "CREATE TABLE b (n)", "INSERT INTO a VALUES (1), (2)"},
   "SELECT n FROM b",
   {},
   "INSERT INTO b SELECT n FROM a",
   {1, 2}},
  {"UPDATE with FROM",
   {"CREATE TABLE a (n)", "CREATE TABLE b (n)", "INSERT INTO a VALUES (3)", "INSERT INTO b VALUES (0)"},
   "SELECT n FROM b",
   {0},
   "UPDATE b SET n = a.n FROM a",
   {3}},
  {"a view",
   {"CREATE TABLE t (n)", "CREATE VIEW v AS SELECT n + 1 AS m FROM t", "CREATE VIEW w AS SELECT m FROM v"},
   "SELECT m FROM w",
   {},
   "INSERT INTO t VALUES (1)",
   {2}},
  {"an INSTEAD OF trigger",
   {"CREATE TABLE t (n)", "CREATE VIEW v AS SELECT n FROM t",
    "CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (NEW.n); END"},
   "SELECT n FROM t",
   {},
   "INSERT INTO v VALUES (9)",
   {9}},
  {"a subquery",
   {"CREATE TABLE t (n)", "CREATE TABLE u (n)", "INSERT INTO u VALUES (1)"},
   "SELECT n FROM u WHERE EXISTS (SELECT 1 FROM t)",
   {},
   "INSERT INTO t VALUES (1)",
   {1}},
  {"an index that answers alone",
   {"CREATE TABLE t (n, m)", "CREATE INDEX i ON t (n)", "INSERT INTO t VALUES (1, 1)"},
   "SELECT n FROM t WHERE n > 0",
   {1},
   "UPDATE t SET n = 2",
   {2}},
  {"another case",
   {"CREATE TABLE MixedCase (n)"},
   "SELECT n FROM mixedcase",
   {},
   "INSERT INTO MIXEDCASE VALUES (1)",
   {1}},
  {"a quoted name",
   {"CREATE TABLE \"a table [x]\" (n)"},
   "SELECT n FROM \"a table [x]\"",
   {},
   "INSERT INTO \"A Table [x]\" VALUES (1)",
   {1}},
  {"full-text search",
   {"CREATE VIRTUAL TABLE f USING fts5(t)", "INSERT INTO f VALUES ('one')"},
   "SELECT count(*) FROM f WHERE f MATCH 'two'",
   {0},
   "INSERT INTO f VALUES ('two')",
   {1}},
  {"a full-text index kept by a trigger",
   {"CREATE TABLE d (t TEXT)", "CREATE VIRTUAL TABLE f USING fts5(t)",
    "CREATE TRIGGER g AFTER INSERT ON d BEGIN INSERT INTO f (rowid, t) VALUES (NEW.rowid, NEW.t); END"},
   "SELECT count(*) FROM f WHERE f MATCH 'two'",
   {0},
   "INSERT INTO d VALUES ('two')",
   {1}},
  {"a full-text index over another table",
   {"CREATE TABLE d (id INTEGER PRIMARY KEY, t TEXT)",
    "CREATE VIRTUAL TABLE f USING fts5(t, content='d', content_rowid='id')", "INSERT INTO d VALUES (1, 'old')",
    "INSERT INTO f (rowid, t) VALUES (1, 'old')"},
   "SELECT t FROM f WHERE f MATCH 'old'",
   {"old"},
   "UPDATE d SET t = 'new'",
   {"new"}},
  {"DELETE without WHERE from a full-text index",
   {"CREATE VIRTUAL TABLE f USING fts5(t)", "INSERT INTO f VALUES ('one')"},
   "SELECT count(*) FROM f",
   {1},
   "DELETE FROM f",
   {0}},
  {"an R-tree",
   {"CREATE VIRTUAL TABLE r USING rtree(id, a, b)"},
   "SELECT id FROM r WHERE a > 1",
   {},
   "INSERT INTO r VALUES (1, 2, 3)",
   {1}},
  {"a column that is added",
   {"CREATE TABLE t (n)", "INSERT INTO t VALUES (1)"},
   "SELECT count(*) FROM pragma_table_info('t')",
   {1},
   "ALTER TABLE t ADD COLUMN m",
   {2}},
  {"the schema",
   {"CREATE TABLE t (n)"},
   "SELECT count(*) FROM sqlite_schema WHERE name = 'u'",
   {0},
   "CREATE TABLE u (n)",
   {1}},
  {"DROP and CREATE in one request",
   {"CREATE TABLE t (n)", "INSERT INTO t VALUES (1)"},
   "SELECT count(*) FROM t",
   {1},
   "DROP TABLE t; CREATE TABLE t (n)",
   {0}},
  {"a view that is redefined",
   {"CREATE TABLE t (n)", "CREATE VIEW v AS SELECT 1 AS x"},
   "SELECT x FROM v",
   {1},
   "DROP VIEW v; CREATE VIEW v AS SELECT 2 AS x",
   {2}},
  {"a table that changes places with another",
   {"CREATE TABLE t (n)", "CREATE TABLE u (n)", "INSERT INTO t VALUES (1)", "INSERT INTO u VALUES (2)"},
   "SELECT n FROM t",
   {1},
   "ALTER TABLE t RENAME TO x; ALTER TABLE u RENAME TO t",
   {2}},
  {"a table that hides a CTE's source",
   {"CREATE TABLE t (n)"},
   "WITH c AS (SELECT count(*) AS k FROM t) SELECT k FROM c",
   {0},
   "INSERT INTO t VALUES (1)",
   {1}},
};

std::vector<statement> list_of(const std::string& sql) {
  std::vector<statement> result;
  // Only the last ones of the list above have several statements, none with a body.
  size_t from = 0;
  auto several = sql.find("; ALTER") != std::string::npos || sql.find("; CREATE") != std::string::npos;
  for (auto end = sql.find(';'); several && end != std::string::npos; end = sql.find(';', from)) {
    result.push_back({sql.substr(from, end - from), {}});
    from = end + 1;
  }
  result.push_back({sql.substr(from), {}});
  return result;
}

} // namespace

TEST_CASE("a write invalidates every cached answer that it changes, by statements, triggers or cascades", "[system]") {
  for (const auto& change : changes) {
    INFO(change.name);
    one_database store;
    for (const char* sql : change.schema)
      must(store.db.write("host", sql));
    for (int i = 0; i < 3; ++i)
      CHECK(first_column(must(store.db.read("reader", change.query))) == change.before);
    must(store.db.write(write_of("writer", list_of(change.write))));
    for (int i = 0; i < 3; ++i)
      CHECK(first_column(must(store.db.read("reader", change.query))) == change.after);
    CHECK(first_column(must(store.db.read(read_of("reader", change.query, freshness::fresh)))) == change.after);
  }
}

TEST_CASE("a write to another table keeps the cached answers, a schema change does not", "[system]") {
  one_database f;
  for (const char* sql :
       {"CREATE TABLE kept (n)", "INSERT INTO kept VALUES (1)", "CREATE TABLE other (n)", "CREATE TABLE log (n)",
        "CREATE TRIGGER g AFTER INSERT ON other BEGIN INSERT INTO log VALUES (NEW.n); END",
        "CREATE VIRTUAL TABLE search USING fts5(t)", "CREATE TABLE keys (k TEXT PRIMARY KEY) WITHOUT ROWID"})
    must(f.db.write("host", sql));
  auto source = [&] { return must(f.db.read("reader", "SELECT n FROM kept")).source; };
  CHECK(source() == read_source::database);
  for (const char* sql : {"INSERT INTO other VALUES (1)", "UPDATE other SET n = 2", "INSERT INTO search VALUES ('a b')",
                          "INSERT INTO keys VALUES ('a')", "DELETE FROM other", "UPDATE kept SET n = 5 WHERE n = 99"}) {
    INFO(sql);
    must(f.db.write("writer", sql));
    CHECK(source() == read_source::cache);
  }
  // A failed write invalidates nothing.
  CHECK(refused(f.db.write(write_of("writer", {{"UPDATE kept SET n = 2", {}}, {"NONSENSE", {}}}))).code
        == errc::sql_error);
  CHECK(source() == read_source::cache);
  auto hits = f.host.status().cache.hits;
  CHECK(hits == 7);
  must(f.db.write("writer", "CREATE TABLE more (n)"));
  CHECK(source() == read_source::database);
  CHECK(source() == read_source::cache);
  must(f.db.write("writer", "UPDATE kept SET n = 2"));
  CHECK(source() == read_source::database);
  // Another database's table of the same name is another table.
  auto other = must(f.host.open_database("other.db"));
  must(other.write("writer", "CREATE TABLE kept (n)"));
  must(other.write("writer", "INSERT INTO kept VALUES (3)"));
  CHECK(source() == read_source::cache);
  CHECK((must(other.read("reader", "SELECT n FROM kept")).rows->at(0, 0) == value{3}));
}

TEST_CASE("entries that a commit made stale are removed from memory soon after it", "[system]") {
  one_database database;
  must(database.db.write("host", "CREATE TABLE t (n)"));
  for (int i = 0; i < 50; ++i)
    must(database.db.read("reader", "SELECT count(*) + ? FROM t", {i}));
  CHECK(database.host.status().cache.entries == 50);
  must(database.db.write("writer", "INSERT INTO t VALUES (1)"));
  await([&] { return database.host.status().cache.entries == 0; });
  CHECK(database.host.status().cache.bytes == 0);
  CHECK(database.host.status().cache.invalidated == 50);
}

} // namespace sluice::test::faults_invalidation_test
