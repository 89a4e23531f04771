#include "tests/system/fixture.hpp"

#include <limits>

namespace sluice::test::faults_sql_test {

namespace {

using namespace std::string_literals;

const std::string bad_utf8 = "caf\xe9 \xc0\xaf";

// A table with one row, which no refused request may change.
struct guarded : one_database {
  guarded() : guarded([](broker_config&) {}) {}

  template <class Change> explicit guarded(Change change) : one_database(change) {
    must(db.write("host", "CREATE TABLE t (n INTEGER NOT NULL CHECK (n < 1000), s TEXT) STRICT"));
    must(db.write("host", "INSERT INTO t (n, s) VALUES (1, 'one')"));
  }

  failure refused_write(std::vector<statement> statements) const {
    auto request = write_of("tester", std::move(statements));
    request.request_id = "asked";
    auto error = refused(db.write(std::move(request)));
    CHECK(error.outcome == outcome::not_committed);
    CHECK_FALSE(error.message.empty());
    CHECK(error.message.find(folder.path().string()) == std::string::npos);
    return error;
  }

  failure refused_read(statement query, freshness mode = freshness::cached) const {
    auto request = read_of("tester", {}, mode);
    request.query = std::move(query);
    return refused(db.read(std::move(request)));
  }

  ~guarded() {
    CHECK(column_of(file(), "SELECT n || s FROM t") == std::vector<value>{"1one"});
    require_serving();
  }
};

errc code_of_write(const guarded& guarded, statement sql) { return guarded.refused_write({std::move(sql)}).code; }

} // namespace

TEST_CASE("SQL that SQLite does not understand is a sql_error on both paths", "[system]") {
  guarded f;
  for (const char* sql : {"INSRT INTO t VALUES (2, 'two')", "INSERT INTO missing (n) VALUES (2)",
                          "INSERT INTO t (nope) VALUES (2)", "UPDATE t SET n = no_such_function(n)", "SELECT FROM",
                          "DELETE FROM t WHERE n = \"no_such_column\"", "CREATE TABLE t (n INTEGER)"}) {
    INFO(sql);
    auto error = f.refused_write({{sql, {}}});
    CHECK(error.code == errc::sql_error);
    CHECK(error.request_id == "asked");
  }
  for (const char* sql : {"SELECT FROM", "SELECT n FROM missing", "SELECT nope FROM t", "SELEC 1"}) {
    INFO(sql);
    CHECK(f.refused_read({sql, {}}).code == errc::sql_error);
    CHECK(f.refused_read({sql, {}}, freshness::fresh).code == errc::sql_error);
  }
}

TEST_CASE("a text with no statement or more than one is refused as a whole", "[system]") {
  guarded f;
  for (const auto& sql : {""s, "   "s, ";"s, "-- nothing"s, "/* nothing */"s, "DELETE FROM t; DELETE FROM t"s,
                          "SELECT 1; DELETE FROM t"s, "DELETE FROM t\0 WHERE n = 5"s, "SELECT '" + bad_utf8 + "'"}) {
    INFO(sql);
    CHECK(code_of_write(f, {sql, {}}) == errc::invalid_request);
    CHECK(f.refused_read({sql, {}}).code == errc::invalid_request);
  }
  CHECK(f.refused_write({}).code == errc::invalid_request);
}

TEST_CASE("parameters that do not fit in number, name or type are refused", "[system]") {
  guarded f;
  const sql_text insert{"INSERT INTO t (n, s) VALUES (:n, :s)"};
  using named = std::vector<named_value>;
  std::vector<parameters> wrong{parameters{},
                                {2},
                                {2, "two", 3},
                                parameters{named{{"n", 2}}},
                                parameters{named{{"n", 2}, {"s", "two"}, {"x", 3}}},
                                parameters{named{{"n", 2}, {"n", 2}, {"s", "two"}}},
                                parameters{named{{"n", 2}, {"", "two"}}}};
  parameters both{2, "two"};
  both.named = {{"n", 2}, {"s", "two"}};
  wrong.push_back(both);
  for (const auto& params : wrong)
    CHECK(code_of_write(f, {insert, params}) == errc::invalid_request);
  CHECK(f.refused_read({"SELECT n FROM t WHERE n = ?", {}}).code == errc::invalid_request);
  CHECK(f.refused_read({"SELECT n FROM t", {1}}).code == errc::invalid_request);

  // Types of columns are up to the schema.
  CHECK(code_of_write(f, {insert, {"not a number", "two"}}) == errc::constraint);
  CHECK(code_of_write(f, {insert, {nullptr, "two"}}) == errc::constraint);
  CHECK(code_of_write(f, {insert, {2, blob{"two"}}}) == errc::constraint);
  CHECK(code_of_write(f, {insert, {1000, "too much"}}) == errc::constraint);
}

TEST_CASE("NaN and SQL that is not UTF-8 are refused on both paths; values may hold any bytes", "[system]") {
  guarded f;
  const sql_text insert{"INSERT INTO t (n, s) VALUES (?, ?)"};
  auto nan = f.refused_write({{insert, {std::numeric_limits<double>::quiet_NaN(), "x"}}});
  CHECK(nan.code == errc::invalid_request);
  CHECK(nan.message.find("NaN") != std::string::npos);
  auto text = f.refused_write({{"INSERT INTO t (n, s) VALUES (2, '" + bad_utf8 + "')", {}}});
  CHECK(text.code == errc::invalid_request);
  CHECK(text.message.find("UTF-8") != std::string::npos);
  CHECK(f.refused_read({"SELECT ?", {std::numeric_limits<double>::quiet_NaN()}}).code == errc::invalid_request);
  auto request = read_of("tester", {});
  request.query = {"SELECT ?", {bad_utf8}};
  CHECK(must(f.db.read(std::move(request))).rows->at(0, 0) == value{bad_utf8});
}

TEST_CASE("statements reserved for the broker are refused with the reason", "[system]") {
  guarded f;
  struct forbidden {
    const char* sql;
    const char* name;
  };
  for (auto [sql, name] : {
         forbidden{"ATTACH 'other.db' AS other", "ATTACH"},
         forbidden{"DETACH main", "DETACH"},
         forbidden{"PRAGMA journal_mode = DELETE", "PRAGMA"},
         forbidden{"PRAGMA cache_size", "PRAGMA"},
         forbidden{"BEGIN", "BEGIN"},
         forbidden{"/* a */ -- b\n beGIN IMMEDIATE", "BEGIN"},
         forbidden{";; BEGIN", "BEGIN"},
         forbidden{"COMMIT", "COMMIT"},
         forbidden{"END TRANSACTION", "END"},
         forbidden{"ROLLBACK", "ROLLBACK"},
         forbidden{"SAVEPOINT a", "SAVEPOINT"},
         forbidden{"RELEASE a", "RELEASE"},
         forbidden{"VACUUM", "VACUUM"},
         forbidden{"VACUUM INTO 'copy.db'", "VACUUM"},
         forbidden{"EXPLAIN PRAGMA cache_size = 7", "PRAGMA"},
         forbidden{"CREATE TEMP TABLE scratch (n)", "temporary"},
         forbidden{"CREATE TEMP VIEW scratch AS SELECT 1", "temporary"},
       }) {
    INFO(sql);
    auto first = statement{"INSERT INTO t (n, s) VALUES (2, 'two')", {}};
    for (const auto& error :
         {f.refused_write({{sql, {}}}), f.refused_write({first, {sql, {}}, first}), f.refused_read({sql, {}})}) {
      CHECK(error.code == errc::invalid_request);
      CHECK(error.message.find(name) != std::string::npos);
      CHECK(error.message.find("not allowed") != std::string::npos);
    }
  }
  CHECK_FALSE(std::filesystem::exists(f.folder / "other.db"));
  CHECK_FALSE(std::filesystem::exists(f.folder / "copy.db"));
}

TEST_CASE("the ledger and code loading are refused to all clients", "[system]") {
  guarded f;
  for (const char* sql :
       {"DELETE FROM _sluice_commits", "UPDATE _SLUICE_keys SET payload = x''", "DROP TABLE _sluice_commits",
        "INSERT INTO \"_sluice_commits\" (seq) VALUES (99)", "CREATE TABLE _sluice_mine (n)",
        "ALTER TABLE t RENAME TO _sluice_t", "CREATE INDEX i ON _sluice_commits (seq)",
        "CREATE TRIGGER g AFTER INSERT ON _sluice_commits BEGIN DELETE FROM t; END",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM _sluice_commits; END",
        "CREATE TRIGGER _sluice_g AFTER INSERT ON t BEGIN SELECT 1; END", "SELECT load_extension('evil.so')"}) {
    INFO(sql);
    CHECK(code_of_write(f, {sql, {}}) == errc::not_authorized);
  }
  // A trigger of another program cannot change the ledger either.
  {
    external_process mallory{f.file()};
    mallory.run("CREATE TABLE bait (n);"
                "CREATE TRIGGER trap AFTER INSERT ON bait BEGIN DELETE FROM _sluice_commits; END");
  }
  CHECK(code_of_write(f, {"INSERT INTO bait (n) VALUES (1)", {}}) == errc::not_authorized);
  CHECK(f.refused_read({"SELECT load_extension('evil.so')", {}}).code == errc::not_authorized);
  CHECK(f.number("SELECT count(*) FROM _sluice_commits") >= 2);
}

TEST_CASE("a write sent to the read path is refused and nothing is written", "[system]") {
  guarded f;
  auto commits = f.db.status().commits;
  for (const char* sql :
       {"INSERT INTO t (n) VALUES (2)", "INSERT INTO t (n) VALUES (2) RETURNING n", "UPDATE t SET s = 'two'",
        "DELETE FROM t", "DELETE FROM t RETURNING n", "REPLACE INTO t (n) VALUES (2)",
        "WITH two (n) AS (SELECT 2) INSERT INTO t (n) SELECT n FROM two", "CREATE TABLE u (n)", "DROP TABLE t",
        "ALTER TABLE t ADD COLUMN x", "CREATE VIEW v AS SELECT 1", "ANALYZE", "REINDEX"})
    for (auto mode : {freshness::cached, freshness::fresh}) {
      INFO(sql);
      CHECK(f.refused_read({sql, {}}, mode).code == errc::invalid_request);
    }
  CHECK(f.db.status().commits == commits);
  CHECK(integer_of(f.file(), "SELECT count(*) FROM sqlite_schema WHERE name IN ('u', 'v')") == 0);
}

TEST_CASE("names over their bounds are refused on both paths, even when the answer is cached", "[system]") {
  guarded f;
  const std::string long_name(10'000, 'a');
  must(f.db.read("tester", "SELECT n FROM t"));
  REQUIRE(must(f.db.read("tester", "SELECT n FROM t")).source == read_source::cache);
  for (const auto& name : {long_name, bad_utf8, "two\nlines"s, "nul\0nul"s}) {
    auto write = write_of("tester", {{"DELETE FROM t", {}}});
    for (auto field : {&write_request::agent, &write_request::idempotency_key, &write_request::request_id,
                       &write_request::correlation_id}) {
      auto request = write;
      request.*field = name;
      auto error = refused(f.db.write(request));
      CHECK(error.code == errc::invalid_request);
      CHECK(error.message.size() < 300);
      auto later = f.db.write_async(request);
      CHECK(refused(answer_of(later)).code == errc::invalid_request);
    }
    for (auto field : {&read_request::agent, &read_request::request_id, &read_request::correlation_id}) {
      auto request = read_of("tester", "SELECT n FROM t");
      request.*field = name;
      CHECK(refused(f.db.read(request)).code == errc::invalid_request);
      auto later = f.db.read_async(request);
      CHECK(refused(answer_of(later)).code == errc::invalid_request);
      request.freshness = freshness::fresh;
      CHECK(refused(f.db.read(request)).code == errc::invalid_request);
    }
    CHECK(refused(f.host.open_database(name)).code == errc::invalid_request);
  }
  for (const auto& record : must(f.host.audit({})).records)
    CHECK(record.agent.size() <= 256);
}

TEST_CASE("requests over the limits are too_large or invalid and leave no trace", "[system]") {
  guarded f{[](broker_config& cfg) {
    cfg.queue_max_bytes = 8 << 20;
    cfg.read_max_rows = 100;
  }};
  const sql_text insert{"INSERT INTO t (n, s) VALUES (?, ?)"};
  CHECK(code_of_write(f, {insert, {2, std::string(3 << 20, 'x')}}) == errc::too_large);
  CHECK(f.refused_write(std::vector<statement>(10'001, {"DELETE FROM t", {}})).code == errc::invalid_request);
  CHECK(code_of_write(f, {"INSERT INTO t (n, s) VALUES (2, hex(zeroblob(600000000)))", {}}) == errc::too_large);
  CHECK(f.refused_read({"SELECT zeroblob(2000000000)", {}}).code == errc::too_large);
  CHECK(code_of_write(f, {"INSERT INTO t (n) WITH RECURSIVE c (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE "
                          "n < 200) SELECT n FROM c RETURNING n",
                          {}})
        == errc::too_large);
  auto request = write_of("tester", {{"DELETE FROM t", {}}});
  for (auto deadline : {std::chrono::milliseconds{-1}, std::chrono::milliseconds{25LL * 3'600'000}}) {
    request.deadline = deadline;
    CHECK(refused(f.db.write(request)).code == errc::invalid_request);
  }
}

TEST_CASE("texts and blobs of 1 MB and unusual values are returned unchanged", "[system]") {
  one_database f;
  must(f.db.write("host", "CREATE TABLE v (id INTEGER PRIMARY KEY, x)"));
  std::string every_byte;
  while (every_byte.size() < (1 << 20))
    every_byte += static_cast<char>(every_byte.size() * 7 % 256);
  const std::vector<value> values{std::string(1 << 20, 'x'),
                                  blob{every_byte},
                                  blob{},
                                  "",
                                  "a\0b"s,
                                  "\xf0\x9f\x90\x8c"s,
                                  blob{bad_utf8},
                                  std::numeric_limits<int64_t>::min(),
                                  std::numeric_limits<int64_t>::max(),
                                  std::numeric_limits<double>::infinity(),
                                  -std::numeric_limits<double>::infinity(),
                                  std::numeric_limits<double>::denorm_min(),
                                  nullptr};
  int id = 0;
  for (const auto& content : values) {
    INFO(id);
    auto done = must(f.db.write("tester", "INSERT INTO v (id, x) VALUES (?, ?) RETURNING x", {++id, content}));
    CHECK((done.results[0].rows.at(0, 0) == content));
    for (auto source : {read_source::database, read_source::cache}) {
      auto seen = must(f.db.read("tester", "SELECT x FROM v WHERE id = ?", {id}));
      CHECK((seen.rows->at(0, 0) == content));
      CHECK(seen.source == source);
    }
  }
  f.require_serving();
}

} // namespace sluice::test::faults_sql_test
