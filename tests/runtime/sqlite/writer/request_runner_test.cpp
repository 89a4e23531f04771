#include "runtime/sqlite/writer/request_runner.hpp"

#include "tests/runtime/sqlite/writer/store_fixture.hpp"

namespace sluice::test::request_runner_test {

using names = std::vector<std::string>;

namespace {

constexpr const char* endless_insert =
  "INSERT INTO t(a) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
  "SELECT i FROM n";

bool touches(const store_fixture& fixture, const char* table) {
  auto tables = sorted(fixture.last_done.tables);
  return std::find(tables.begin(), tables.end(), table) != tables.end();
}

} // namespace

TEST_CASE("a write returns its changes, its row id and its rows") {
  table_fixture fixture;
  auto first = fixture.write("INSERT INTO t(a) VALUES ('x'), ('y') RETURNING id, a").results.at(0);
  CHECK(first.changes == 2);
  CHECK(first.last_insert_rowid == 2);
  CHECK(first.rows.columns() == names{"id", "a"});
  REQUIRE(first.rows.size() == 2);
  CHECK(first.rows.at(1, 1) == value{"y"});
  auto update = fixture.write("UPDATE t SET a = a || '!'").results.at(0);
  CHECK((update.changes == 2 && update.last_insert_rowid == 0 && update.rows.columns().empty()));
  auto create = fixture.write("CREATE TABLE u(a)").results.at(0);
  CHECK((create.changes == 0 && create.last_insert_rowid == 0));
  auto select = fixture.write("SELECT count(*) FROM t").results.at(0);
  CHECK((select.changes == 0 && select.rows.at(0, 0) == value{2}));
}

TEST_CASE("a statement that changes another number of rows than expected undoes its request alone") {
  table_fixture fixture;
  fixture.write("INSERT INTO t(id, a) VALUES (1, 'x'), (2, 'y')");
  auto expecting = [](const char* sql, uint64_t changes) { return statement{sql_text{sql}, {}, changes}; };
  const statement payment{"UPDATE t SET a = 'paid' WHERE id = 2", {}};
  auto& store = *fixture.store;
  auto begun = must(store.begin());
  auto conflicts = [&](std::vector<statement> statements) {
    auto error = failure_of(store.execute(request_of(std::move(statements)), no_deadline));
    return error.code == errc::conflict && store.in_transaction();
  };
  auto good = request_of({expecting("UPDATE t SET a = 'z' WHERE id = 1", 1), expecting("SELECT * FROM t", 0)});
  write_result result;
  result.commit_seq = begun.next_seq;
  result.results = must(store.execute(good, no_deadline)).results;
  CHECK(conflicts({expecting("UPDATE t SET a = 'w' WHERE id = 1", 2)}));
  CHECK(conflicts({expecting("UPDATE t SET a = a || 'w'", 0)}));
  CHECK(conflicts({expecting("DELETE FROM t WHERE id = 9", 1), payment}));
  CHECK(conflicts({payment, expecting("DELETE FROM t WHERE id = 9", 1)}));
  ledger_entry entry{&good, &result, nullptr};
  must(store.commit(begun.next_seq, 1'000, std::span{&entry, 1}));
  CHECK(fixture.read_one("SELECT group_concat(id || a) FROM t") == value{"1z,2y"});
}

TEST_CASE("the last row id is this statement's own, or none") {
  table_fixture fixture;
  fixture.write("CREATE TABLE child(id INTEGER PRIMARY KEY, parent)");
  fixture.write("INSERT INTO t(id, a) VALUES (7, 'x')");
  auto upsert = fixture.write("INSERT INTO t(a) VALUES ('x') ON CONFLICT(a) DO UPDATE SET a = 'z'").results.at(0);
  CHECK((upsert.changes == 1 && upsert.last_insert_rowid == 0));
  auto ignored = fixture.write("INSERT OR IGNORE INTO t(a) VALUES ('z')").results.at(0);
  CHECK((ignored.changes == 0 && ignored.last_insert_rowid == 0));
  auto both = fixture.write(request_of({{"INSERT INTO t(id, a) VALUES (40, 'p')", {}},
                                        {"INSERT INTO t(a) VALUES ('p') ON CONFLICT(a) DO UPDATE SET a = 'q'", {}},
                                        {"INSERT INTO child(parent) VALUES (last_insert_rowid())", {}}}));
  CHECK(both.results.at(0).last_insert_rowid == 40);
  CHECK(both.results.at(1).last_insert_rowid == 0);
  CHECK(both.results.at(2).last_insert_rowid == 1);
  CHECK(fixture.read_one("SELECT parent FROM child") == value{40});
  fixture.write("INSERT INTO child(parent) VALUES (last_insert_rowid())");
  CHECK(fixture.read_one("SELECT parent FROM child WHERE id = 2") == value{0});
}

TEST_CASE("the tables that a write touched are known exactly") {
  store_fixture fixture;
  fixture.write("CREATE TABLE parent(id INTEGER PRIMARY KEY)");
  fixture.write("CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE CASCADE)");
  fixture.write("CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID");
  fixture.write("CREATE TABLE log(line)");
  fixture.write("CREATE TRIGGER g AFTER INSERT ON w WHEN new.v > 1 BEGIN INSERT INTO log VALUES (new.k); END");
  auto touched = [&](const char* sql) {
    fixture.write(sql);
    return sorted(fixture.last_done.tables);
  };
  CHECK(touched("INSERT INTO parent VALUES (1), (2)") == names{"parent"});
  CHECK(touched("INSERT INTO child(p) VALUES (1)") == names{"child"});
  CHECK(touched("INSERT INTO w VALUES ('a', 1)") == names{"w"});
  CHECK(touched("INSERT INTO w VALUES ('b', 2)") == names{"log", "w"});
  CHECK(touched("UPDATE w SET v = 3") == names{"w"});
  CHECK(touched("DELETE FROM parent WHERE id = 2") == names{"parent"});
  CHECK(touched("DELETE FROM parent") == names{"child", "parent"});
  CHECK(touched("DELETE FROM log") == names{"log"});
  CHECK(touched("DELETE FROM log").empty());
  CHECK(touched("SELECT * FROM w").empty());
  CHECK(touched("DELETE FROM w") == names{"w"});
}

TEST_CASE("a set of tables that repeats is the same object") {
  table_fixture fixture;
  fixture.write("INSERT INTO t(a) VALUES (1)");
  auto first = fixture.last_done.tables;
  fixture.write("CREATE TABLE u(a)");
  fixture.write("INSERT INTO u VALUES (1)");
  fixture.write("INSERT INTO t(a) VALUES (2)");
  CHECK(fixture.last_done.tables == first);
}

TEST_CASE("a full-text table is touched with its shadow tables, directly and by a trigger") {
  store_fixture fixture;
  fixture.write("CREATE TABLE doc(id INTEGER PRIMARY KEY, body)");
  fixture.write("CREATE VIRTUAL TABLE ft USING fts5(body)");
  fixture.write("CREATE TRIGGER g AFTER INSERT ON doc BEGIN INSERT INTO ft(body) VALUES (new.body); END");
  auto shadows = names{"ft", "ft_config", "ft_content", "ft_data", "ft_docsize", "ft_idx"};
  fixture.write("INSERT INTO ft(body) VALUES ('hello world')");
  CHECK(sorted(fixture.last_done.tables) == shadows);
  fixture.write("INSERT INTO doc(body) VALUES ('hello moon')");
  auto with_doc = shadows;
  with_doc.insert(with_doc.begin(), "doc");
  CHECK(sorted(fixture.last_done.tables) == with_doc);
  fixture.write("DELETE FROM doc WHERE id = 99");
  CHECK(sorted(fixture.last_done.tables).empty());
  CHECK(fixture.read_one("SELECT count(*) FROM ft WHERE ft MATCH 'hello'") == value{2});
}

TEST_CASE("a schema change is reported only when there was one") {
  table_fixture fixture;
  fixture.write("CREATE TABLE IF NOT EXISTS t(a)");
  CHECK(!fixture.last_done.schema_changed);
  fixture.write("INSERT INTO t(a) VALUES (1)");
  CHECK(!fixture.last_done.schema_changed);
  fixture.write("CREATE TABLE IF NOT EXISTS u(a)");
  CHECK(fixture.last_done.schema_changed);
  fixture.write("ALTER TABLE u ADD COLUMN b");
  CHECK(fixture.last_done.schema_changed);
  fixture.write("INSERT INTO u VALUES (1, 2)");
  fixture.write("DROP TABLE u");
  CHECK(fixture.last_done.schema_changed);
  CHECK(fixture.refuse("INSERT INTO u VALUES (1, 2)").code == errc::sql_error);
}

TEST_CASE("a write that has come several times is known to be bounded by its form, unless foreign keys are off") {
  table_fixture fixture;
  auto insert = request_of("INSERT INTO t(a) VALUES (?)");
  for (auto i = 0; i < 6; ++i) {
    insert.statements[0].params.positional = {i};
    fixture.write(insert);
    CHECK(fixture.last_done.is_bounded == (i >= 3));
  }
  insert.enforce_foreign_keys = false;
  insert.statements[0].params.positional = {7};
  fixture.write(insert);
  CHECK_FALSE(fixture.last_done.is_bounded);
  for (auto* sql : {"UPDATE t SET a = a || 'x'", "PRAGMA defer_foreign_keys = ON", "CREATE TABLE IF NOT EXISTS t(a)"})
    for (auto i = 0; i < 6; ++i) {
      fixture.write(sql);
      CHECK_FALSE(fixture.last_done.is_bounded);
    }
}

TEST_CASE("a failing statement rolls back its request only") {
  table_fixture fixture;
  auto begun = must(fixture.store->begin());
  must(fixture.store->execute(request_of("INSERT INTO t(a) VALUES (1)"), no_deadline));
  auto error = failure_of(fixture.store->execute(request_of("INSERT INTO t(a) VALUES (2), (1)"), no_deadline));
  CHECK(error.code == errc::constraint);
  CHECK_THAT(error.message, Catch::Contains("t.a"));
  CHECK(fixture.store->in_transaction());
  must(fixture.store->execute(request_of("INSERT INTO t(a) VALUES (3)"), no_deadline));
  must(commit_of(*fixture.store, begun, request_of("SELECT 1")));
  CHECK(fixture.read_one("SELECT group_concat(a) FROM t") == value{"1,3"});
}

TEST_CASE("a list of statements is applied as a whole or not at all") {
  table_fixture fixture;
  auto begun = must(fixture.store->begin());
  must(fixture.store->execute(request_of("INSERT INTO t(a) VALUES (1)"), no_deadline));
  auto list = request_of({{"INSERT INTO t(a) VALUES (2)", {}},
                          {"CREATE TABLE u(x)", {}},
                          {"INSERT INTO u VALUES (1)", {}},
                          {"INSERT INTO t(a) VALUES (1)", {}}});
  auto error = failure_of(fixture.store->execute(list, no_deadline));
  CHECK(error.code == errc::constraint);
  CHECK_THAT(error.message, Catch::StartsWith("statement 4: "));
  CHECK(fixture.store->in_transaction());
  // A table of the same name with other columns: statements prepared for the first one are not used.
  must(fixture.store->execute(request_of({{"CREATE TABLE u(x, y)", {}}, {"INSERT INTO u VALUES (1, 2)", {}}}),
                              no_deadline));
  must(commit_of(*fixture.store, begun, list));
  CHECK(fixture.read_one("SELECT group_concat(a) FROM t") == value{"1"});
  CHECK(fixture.read_one("SELECT y FROM u") == value{2});
}

TEST_CASE("a request without statements, or with an invalid one, changes nothing") {
  table_fixture fixture;
  CHECK(fixture.refuse(request_of(std::vector<statement>{})).code == errc::invalid_request);
  CHECK(fixture.refuse("INSERT INTO t(a) VALUES (?)").code == errc::invalid_request);
  CHECK(fixture.survived);
  CHECK(fixture.refuse("BEGIN").code == errc::invalid_request);
  CHECK(fixture.refuse("INSERT INTO t(id) VALUES ('text')").code == errc::sql_error);
  CHECK(fixture.survived);
}

TEST_CASE("rows that OR FAIL leaves are also rolled back") {
  table_fixture fixture;
  fixture.write("INSERT INTO t(a) VALUES (5)");
  const auto* sql = "INSERT OR FAIL INTO t(a) VALUES (4), (5)";
  CHECK(fixture.refuse(sql).code == errc::constraint);
  CHECK(!fixture.survived);
  // Once the statement is known to do so, it no longer rolls back the transaction of the others.
  CHECK(fixture.refuse(sql).code == errc::constraint);
  CHECK(fixture.survived);
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{1});
}

TEST_CASE("ROLLBACK by a statement or a trigger fails its request and rolls back the transaction") {
  table_fixture fixture;
  fixture.write("INSERT INTO t(a) VALUES (1)");
  CHECK(fixture.refuse("INSERT OR ROLLBACK INTO t(a) VALUES (1)").code == errc::constraint);
  CHECK(!fixture.survived);
  fixture.write("CREATE TRIGGER g BEFORE DELETE ON t BEGIN SELECT RAISE(ROLLBACK, 'never delete'); END");
  auto error = fixture.refuse(request_of({{"INSERT INTO t(a) VALUES (2)", {}}, {"DELETE FROM t", {}}}));
  CHECK(error.code == errc::constraint);
  CHECK_THAT(error.message, Catch::Contains("never delete"));
  CHECK(!fixture.survived);
  fixture.write("INSERT INTO t(a) VALUES (3)");
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{2});
}

TEST_CASE("a write past its deadline is interrupted and rolls back the transaction; a query does not") {
  table_fixture fixture;
  auto past = std::chrono::steady_clock::now();
  CHECK(fixture.refuse(request_of(endless_insert), past).code == errc::deadline_exceeded);
  CHECK(!fixture.survived);
  auto query = request_of("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
  CHECK(fixture.refuse(query, past).code == errc::deadline_exceeded);
  CHECK(fixture.survived);
  fixture.write("INSERT INTO t(a) VALUES (1)");
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{1});
}

TEST_CASE("more rows than a request may return are an error, and the request is rolled back") {
  broker_config small;
  small.read_max_rows = 2;
  store_fixture fixture{small};
  fixture.write("CREATE TABLE t(a)");
  const auto* sql = "INSERT INTO t VALUES (1), (2), (3) RETURNING a";
  CHECK(fixture.refuse(sql).code == errc::too_large);
  CHECK(fixture.refuse(sql).code == errc::too_large);
  CHECK(fixture.survived);
  CHECK(fixture.refuse(request_of({{"INSERT INTO t VALUES (1), (2) RETURNING a", {}}, {"SELECT 1", {}}})).code
        == errc::too_large);
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{0});
  CHECK(fixture.write("INSERT INTO t VALUES (1), (2) RETURNING a").results.at(0).rows.size() == 2);
}

TEST_CASE("prepared statements are analysed again after an external change of the schema") {
  table_fixture fixture;
  const auto* sql = "INSERT INTO t(a) VALUES (?)";
  fixture.write(sql, {1});
  must(fixture.external_process().exec("CREATE VIRTUAL TABLE ft USING fts5(x);"
                                       "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO ft VALUES (new.a); END"));
  fixture.write(sql, {2});
  CHECK(touches(fixture, "ft"));
  must(fixture.external_process().exec(
    "DROP TRIGGER g; CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM _sluice_keys; END"));
  CHECK(fixture.refuse(sql, {3}).code == errc::not_authorized);
}

TEST_CASE("statements analysed under a schema that was rolled back are analysed again") {
  table_fixture fixture;
  fixture.write("CREATE VIRTUAL TABLE ft USING fts5(x)");
  fixture.write("CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO ft VALUES (new.a); END");
  const auto* sql = "INSERT INTO t(a) VALUES (?)";
  auto undone = request_of({{"DROP TRIGGER g", {}}, {sql, {1}}, {sql, {1}}});
  SECTION("with its request") {
    auto begun = must(fixture.store->begin());
    CHECK(failure_of(fixture.store->execute(undone, no_deadline)).code == errc::constraint);
    fixture.last_done = must(fixture.store->execute(request_of(sql, {2}), no_deadline));
    must(commit_of(*fixture.store, begun, undone));
  }
  SECTION("with its transaction") {
    undone.statements.pop_back();
    must(fixture.store->begin());
    must(fixture.store->execute(undone, no_deadline));
    fixture.store->rollback();
    fixture.write(sql, {2});
  }
  CHECK(touches(fixture, "ft"));
}

TEST_CASE("a write that ends after its deadline is rolled back, even if nothing interrupted it") {
  table_fixture fixture;
  auto late = machine_time().now() - std::chrono::seconds{1};
  CHECK(fixture.refuse(request_of("INSERT INTO t(a) VALUES (1)"), late).code == errc::deadline_exceeded);
  must(fixture.store->begin());
  auto several = request_of({{"INSERT INTO t(a) VALUES (1)", {}}, {"INSERT INTO t(a) VALUES (2)", {}}});
  CHECK(failure_of(fixture.store->execute(several, late)).code == errc::deadline_exceeded);
  // The others of the group keep their transaction.
  CHECK(fixture.store->in_transaction());
  fixture.store->rollback();
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{0});
}

TEST_CASE("a write of a value beyond max_value_bytes is refused; records of the ledger are not limited") {
  broker_config config;
  config.max_value_bytes = 100'000;
  store_fixture fixture{config};
  fixture.write("CREATE TABLE t(a)");
  for (const auto* sql : {"INSERT INTO t VALUES (zeroblob(100001))", "INSERT INTO t SELECT hex(zeroblob(60000))",
                          "INSERT INTO t VALUES (printf('%.*c', 900000000, 'x'))"}) {
    INFO(sql);
    auto error = fixture.refuse(sql);
    CHECK(error.code == errc::too_large);
    CHECK_THAT(error.message, Catch::Contains("max_value_bytes"));
  }
  CHECK(fixture.refuse("INSERT INTO t VALUES (?)", {std::string(100'001, 'x')}).code == errc::too_large);
  fixture.write("INSERT INTO t VALUES (?)", {std::string(90'000, 'x')});
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{1});
  fixture.write(request_of({{"SELECT a FROM t UNION ALL SELECT a FROM t", {}}}, "large-answer"));
}

TEST_CASE("the returned rows of all writes of a transaction are bounded together") {
  table_fixture fixture;
  auto answers = std::make_shared<answer_budget>(1'000'000);
  auto store = sqlite::make_write_store(fixture.file, fixture.config, machine_time(), {}, {}, answers);
  auto request = request_of("SELECT zeroblob(400000)");
  must(store->begin());
  must(store->execute(request, no_deadline));
  must(store->execute(request, no_deadline));
  CHECK(failure_of(store->execute(request, no_deadline)).code == errc::overloaded);
  store->rollback();
  CHECK(answers->used() == 0);
  must(store->begin());
  must(store->execute(request, no_deadline));
  store->rollback();
}

} // namespace sluice::test::request_runner_test
