#include "runtime/sqlite/core/statement_analysis.hpp"

#include "runtime/sqlite/core/statement_cache.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"

namespace sluice::test::statement_analysis_test {

using names = std::vector<std::string>;

namespace {

struct analysis_fixture {
  temp_dir folder;
  sqlite::connection db;
  sqlite::statement_analyzer aut;

  analysis_fixture() : db(make(folder)), aut(db) {}

  static sqlite::connection make(const temp_dir& folder) {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    auto db = must(sqlite::connection::open(folder / "app.db", options));
    must(db.exec("CREATE TABLE author(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);"
                 "CREATE TABLE book(id INTEGER PRIMARY KEY, author REFERENCES author ON DELETE CASCADE, title TEXT);"
                 "CREATE VIEW shelf AS SELECT title, name FROM book JOIN author ON author.id = book.author;"
                 "CREATE VIEW today AS SELECT date('now') AS day;"
                 "CREATE VIRTUAL TABLE note USING fts5(body);"
                 "CREATE VIRTUAL TABLE \"odd using name\" USING fts5(body, content='', prefix='2 3');"
                 "CREATE VIRTUAL TABLE outside USING fts5(title, content='book', content_rowid='id');"
                 "CREATE VIRTUAL TABLE older USING fts4(content, tokenize=porter);"
                 "CREATE VIRTUAL TABLE box USING rtree(id, x0, x1);"
                 "CREATE VIRTUAL TABLE terms USING fts5vocab(note, 'row');"
                 "CREATE TABLE _sluice_meta(name TEXT PRIMARY KEY, value);"));
    return db;
  }

  sqlite::statement_facts facts(const char* sql) { return must(aut.prepare(sql)).facts; }
  names reads(const char* sql) { return sorted(facts(sql).reads->tables); }
  bool cacheable(const char* sql) { return facts(sql).reads->deterministic; }
  failure refusal(const char* sql) { return failure_of(aut.prepare(sql)); }
};

} // namespace

TEST_CASE("the tables that a statement reads are known, through joins, subqueries and views") {
  analysis_fixture fixture;
  CHECK(fixture.reads("SELECT name FROM author") == names{"author"});
  CHECK(fixture.reads("SELECT count(*) FROM author") == names{"author"});
  CHECK(fixture.reads("SELECT 1 WHERE EXISTS (SELECT 1 FROM book)") == names{"book"});
  CHECK(fixture.reads("SELECT * FROM shelf") == names{"author", "book"});
  CHECK(fixture.reads("WITH x AS (SELECT title FROM book) SELECT count(*) FROM x") == names{"book"});
  CHECK(
    fixture.reads("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3) SELECT i FROM n").empty());
  CHECK(fixture.reads("SELECT body FROM note WHERE note MATCH 'a'") == names{"note"});
  CHECK(fixture.reads("SELECT name FROM sqlite_master") == names{"sqlite_schema"});
  CHECK(fixture.reads("SELECT 1").empty());
}

TEST_CASE("a table of which only the column is used that a join compares is read, too") {
  analysis_fixture fixture;
  must(fixture.db.exec("CREATE TABLE register(k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE child(n, k TEXT)"));
  // SQLite reports one of them to the authorizer, or none (simulation: seeds 164 and 320).
  CHECK(fixture.reads("SELECT count(*) FROM child JOIN register USING (k)") == names{"child", "register"});
  CHECK(fixture.reads("SELECT count(*) FROM child NATURAL JOIN register") == names{"child", "register"});
  CHECK(fixture.reads("SELECT n, v FROM child LEFT JOIN register USING (k)") == names{"child", "register"});
  CHECK(fixture.reads("SELECT 1 WHERE EXISTS (SELECT 1 FROM child JOIN register USING (k))")
        == names{"child", "register"});
}

TEST_CASE("plain queries, aggregates, windows and full-text search are deterministic") {
  analysis_fixture fixture;
  CHECK(fixture.cacheable("SELECT count(*), max(name), group_concat(upper(name)) FROM author"));
  CHECK(fixture.cacheable("SELECT row_number() OVER (ORDER BY id), lag(name) OVER (ORDER BY id) FROM author"));
  CHECK(fixture.cacheable("SELECT * FROM shelf WHERE title LIKE ?1"));
  CHECK(fixture.cacheable("WITH x AS (SELECT 1 AS a) SELECT a FROM x"));
  CHECK(
    fixture.cacheable("SELECT highlight(note, 0, '<', '>') FROM note WHERE note MATCH 'a' ORDER BY bm25(note), rank"));
  CHECK(fixture.cacheable("SELECT * FROM \"odd using name\" WHERE \"odd using name\" MATCH 'a'"));
  CHECK(fixture.cacheable("SELECT content FROM older WHERE older MATCH 'a'"));
  CHECK(fixture.cacheable("SELECT id FROM box WHERE x0 > 1"));
  CHECK(fixture.cacheable("SELECT value FROM json_each(?1)"));
  CHECK(fixture.cacheable("SELECT key FROM json_tree('[1]')"));
}

TEST_CASE("queries with random values, the clock or connection state do not") {
  analysis_fixture fixture;
  for (const auto* sql :
       {"SELECT random()", "SELECT hex(randomblob(4))", "SELECT * FROM author ORDER BY random()", "SELECT date('now')",
        "SELECT datetime(name) FROM author", "SELECT CURRENT_TIMESTAMP", "SELECT * FROM today",
        "SELECT strftime('%s', 'now')", "SELECT changes()", "SELECT last_insert_rowid()",
        "SELECT name FROM pragma_table_info('author')", "SELECT * FROM dbstat", "SELECT * FROM terms",
        "SELECT * FROM outside", "SELECT seq FROM sqlite_sequence", "SELECT value FROM _sluice_meta",
        "EXPLAIN QUERY PLAN SELECT * FROM author", "EXPLAIN SELECT 1"}) {
    INFO(sql);
    CHECK(!fixture.cacheable(sql));
  }
}

TEST_CASE("a forbidden statement is refused by name and reason") {
  analysis_fixture fixture;
  for (auto [sql, word] : std::vector<std::pair<const char*, const char*>>{
         {"ATTACH 'x.db' AS x", "ATTACH"},
         {"DETACH main", "DETACH"},
         {"PRAGMA journal_mode = DELETE", "PRAGMA"},
         {" ;; -- hello\n /* there */ pragma page_count", "PRAGMA"},
         {"\xEF\xBB\xBFPRAGMA page_count", "PRAGMA"},
         {"PRAGMA temp.user_version = 5", "PRAGMA"},
         {"PRAGMA foreign_keys = OFF", "PRAGMA"},
         {"PRAGMA defer_foreign_keys = OFF", "PRAGMA"},
         {"PRAGMA data_version", "PRAGMA"},
         {"EXPLAIN PRAGMA defer_foreign_keys = ON", "PRAGMA"},
         {"EXPLAIN PRAGMA page_size", "PRAGMA"},
         {"EXPLAIN QUERY PLAN PRAGMA page_size", "PRAGMA"},
         {"BEGIN", "BEGIN"},
         {"COMMIT", "COMMIT"},
         {"end", "END"},
         {"ROLLBACK", "ROLLBACK"},
         {"SAVEPOINT a", "SAVEPOINT"},
         {"RELEASE a", "RELEASE"},
         {"VACUUM", "VACUUM"},
         {"VACUUM INTO '/tmp/x'", "VACUUM"},
         {"CREATE TEMP TABLE x(a)", "temporary"},
         {"CREATE TABLE temp.x(a)", "temporary"},
         {"CREATE TEMP VIEW x AS SELECT 1", "temporary"},
         {"CREATE TEMP TRIGGER x AFTER INSERT ON author BEGIN SELECT 1; END", "temporary"},
         {"CREATE VIRTUAL TABLE temp.x USING fts5(a)", "temporary"},
       }) {
    INFO(sql);
    auto error = fixture.refusal(sql);
    CHECK(error.code == errc::invalid_request);
    CHECK_THAT(error.message, Catch::Contains(word) && Catch::Contains("not allowed in a request"));
  }
}

TEST_CASE("the ledger's tables may be read, and nothing else") {
  analysis_fixture fixture;
  CHECK(fixture.aut.prepare("SELECT * FROM _sluice_meta"));
  for (const auto* sql :
       {"INSERT INTO _sluice_meta VALUES ('a', 1)", "UPDATE _sluice_meta SET value = 1", "DELETE FROM _SLUICE_META",
        "DROP TABLE _sluice_meta", "CREATE TABLE _sluice_keys(a)", "ALTER TABLE _sluice_meta ADD COLUMN x",
        "CREATE INDEX i ON _sluice_meta(value)", "ALTER TABLE author RENAME TO \"_Sluice_keys\"",
        "CREATE TRIGGER g AFTER INSERT ON _sluice_meta BEGIN SELECT 1; END"}) {
    INFO(sql);
    CHECK(fixture.refusal(sql).code == errc::not_authorized);
  }
  must(fixture.db.exec("CREATE TRIGGER sly AFTER INSERT ON author BEGIN DELETE FROM _sluice_meta; END"));
  CHECK(fixture.refusal("INSERT INTO author(name) VALUES ('a')").code == errc::not_authorized);
}

TEST_CASE("functions that load code into the broker are refused") {
  analysis_fixture fixture;
  CHECK(fixture.refusal("SELECT load_extension('x')").code == errc::not_authorized);
  CHECK(fixture.refusal("SELECT fts3_tokenizer('x', x'00')").code == errc::not_authorized);
}

TEST_CASE("a text with several statements is refused") {
  analysis_fixture fixture;
  CHECK(fixture.aut.prepare("SELECT 1; -- done\n ; /* really */"));
  CHECK(fixture.refusal("SELECT 1; SELECT 2").code == errc::invalid_request);
  CHECK(fixture.refusal("SELECT 1; garbage").code == errc::invalid_request);
  CHECK(fixture.refusal("").code == errc::invalid_request);
  CHECK(fixture.refusal(" ; -- nothing").code == errc::invalid_request);
  CHECK(failure_of(fixture.aut.prepare(std::string_view{"SELECT 1\0; SELECT 2", 19})).code == errc::invalid_request);
  CHECK(fixture.refusal("SELECT '\xff'").code == errc::invalid_request);
  CHECK(fixture.refusal("SELEC 1").code == errc::sql_error);
  CHECK(fixture.refusal("SELECT \"no such column\"").code == errc::sql_error);
}

TEST_CASE("statements are distinguished: rows, schema, neither") {
  analysis_fixture fixture;
  auto insert = fixture.facts("INSERT INTO author(name) VALUES ('a') RETURNING id");
  CHECK((insert.changes_rows && insert.inserts && !insert.changes_schema && !insert.read_only));
  auto erase = fixture.facts("WITH x AS (SELECT 1) DELETE FROM author WHERE id IN x");
  CHECK((erase.changes_rows && !erase.inserts));
  auto create = fixture.facts("CREATE TABLE IF NOT EXISTS author(a)");
  CHECK((!create.changes_rows && create.changes_schema && !create.read_only));
  auto select = fixture.facts("SELECT * FROM author");
  CHECK((!select.changes_rows && !select.changes_schema && select.read_only));
  CHECK(fixture.facts("EXPLAIN INSERT INTO author(name) VALUES ('a')").read_only);
}

TEST_CASE("a virtual table is written together with its shadow tables, also by a trigger") {
  analysis_fixture fixture;
  auto shadows = names{"note", "note_config", "note_content", "note_data", "note_docsize", "note_idx"};
  must(fixture.db.exec("CREATE TABLE note_of_mine(a)"));
  CHECK(sorted(fixture.facts("INSERT INTO note(body) VALUES ('a')").written_virtual) == shadows);
  CHECK(fixture.facts("INSERT INTO author(name) VALUES ('a')").written_virtual.empty());
  must(fixture.db.exec("CREATE TRIGGER t AFTER INSERT ON author BEGIN INSERT INTO note(body) VALUES (new.name); END"));
  CHECK(sorted(fixture.facts("INSERT INTO author(name) VALUES ('a')").written_virtual) == shadows);
}

TEST_CASE("a statement is prepared once and found again, and the least recently used one is evicted") {
  analysis_fixture fixture;
  sqlite::statement_cache cache{fixture.aut, 2};
  sql_text first{"SELECT 1"};
  auto* entry = must(cache.find_or_prepare(first));
  CHECK(must(cache.find_or_prepare("SELECT 1")) == entry);
  must(cache.find_or_prepare("SELECT 2"));
  must(cache.find_or_prepare(first));
  must(cache.find_or_prepare("SELECT 3"));
  CHECK(cache.size() == 2);
  CHECK(cache.find(first) == entry);
  CHECK(cache.find("SELECT 2") == nullptr);
}

} // namespace sluice::test::statement_analysis_test
