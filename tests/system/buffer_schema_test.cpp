#include "actors/buffer/row_statement.hpp"
#include "tests/support/plain_database.hpp"
#include "tests/system/fixture.hpp"

#include <atomic>
#include <random>

namespace sluice::test::buffer_schema_test {

using namespace std::chrono_literals;

namespace {

struct buffered : one_database {
  template <class Change> explicit buffered(Change change) : one_database(change) {
    must(db.write("tester", "CREATE TABLE t(k INTEGER PRIMARY KEY, a)"));
  }
  // The interval is so long that it writes nothing.
  buffered() : buffered([](broker_config& c) { c.buffer_interval = 3'600s; }) {}

  static buffer_put a_put(int64_t key, value a, const std::string& column = "a", const std::string& table = "t") {
    buffer_put result;
    result.row = {"app.db", table, {{"k", key}}};
    result.values = {{column, std::move(a)}};
    result.agent = "alice";
    return result;
  }

  void put(int64_t from, int64_t to) {
    for (auto i = from; i < to; ++i)
      must(host.buffer().put(a_put(i, i * 10)));
  }

  void require_no_rejected_rows() const { REQUIRE(must(host.buffer().rejected()).rows.empty()); }
};

} // namespace

TEST_CASE("pending rows are written before their table or its columns are renamed", "[system][buffer]") {
  buffered f;
  f.put(0, 5);
  must(f.db.write("tester", "ALTER TABLE t RENAME COLUMN a TO b"));
  CHECK(f.number("SELECT sum(b) FROM t") == 100);
  must(f.host.buffer().put(buffered::a_put(5, 50, "b")));
  must(f.db.write("tester", "ALTER TABLE t RENAME TO u"));
  CHECK(f.number("SELECT sum(b) FROM u") == 150);
  CHECK(refused(f.host.buffer().put(buffered::a_put(6, 60))).code == errc::sql_error);
  // Renames it back.
  must(f.host.buffer().put(buffered::a_put(6, 60, "b", "u")));
  must(f.db.write("tester", "ALTER TABLE u RENAME TO t"));
  must(f.host.buffer().put(buffered::a_put(7, 70, "b")));
  CHECK(must(f.host.buffer().flush()).flushed == 1);
  CHECK(f.number("SELECT sum(b) FROM t") == 280);
  f.require_no_rejected_rows();
  f.require_serving();
}

TEST_CASE("a dropped column drops its pending values, and those of other columns are written", "[system][buffer]") {
  buffered f;
  must(f.db.write("tester", "ALTER TABLE t ADD COLUMN b"));
  auto both = buffered::a_put(1, 10);
  both.values.push_back({"b", 20});
  must(f.host.buffer().put(both));
  must(f.db.write("tester", "ALTER TABLE t DROP COLUMN a"));
  CHECK(f.number("SELECT b FROM t WHERE k = 1") == 20);
  f.require_no_rejected_rows();
}

TEST_CASE("a dropped table drops its pending rows, and a new table of its name gets none of them", "[system][buffer]") {
  buffered f;
  f.put(0, 5);
  must(f.db.write("tester", "DROP TABLE t"));
  must(f.db.write("tester", "CREATE TABLE t(k INTEGER PRIMARY KEY, a)"));
  CHECK(must(f.host.buffer().flush()).set_aside == 0);
  CHECK(f.number("SELECT count(*) FROM t") == 0);
  f.put(5, 6);
  // Sends all statements in one request.
  must(f.db.write(write_of("tester", {{"INSERT INTO t VALUES(7, 70)", {}},
                                      {"ALTER TABLE t RENAME TO old", {}},
                                      {"CREATE TABLE t(k INTEGER PRIMARY KEY, a)", {}},
                                      {"INSERT INTO t SELECT * FROM old", {}},
                                      {"DROP TABLE old", {}}})));
  CHECK(f.number("SELECT sum(a) FROM t") == 120);
  CHECK(f.host.status().buffer.pending == 0);
  f.require_no_rejected_rows();
}

TEST_CASE("a new trigger or unique index does not apply to rows that were put before", "[system][buffer]") {
  buffered f;
  must(f.db.write("tester", "CREATE TABLE log(k)"));
  f.put(0, 5);
  must(f.db.write("tester", "CREATE TRIGGER w AFTER INSERT ON t BEGIN INSERT INTO log VALUES(new.k); END"));
  CHECK(f.number("SELECT count(*) FROM t") == 5);
  f.put(5, 6);
  must(f.host.buffer().flush());
  CHECK(f.number("SELECT count(*) FROM log") == 1);
  must(f.host.buffer().put(buffered::a_put(6, 50)));
  // The index would have refused the row.
  CHECK(refused(f.db.write("tester", "CREATE UNIQUE INDEX i ON t(a)")).code == errc::constraint);
  f.require_no_rejected_rows();
}

TEST_CASE("rows that cannot be written refuse a schema change with the reason, and later requests are served",
          "[system][buffer]") {
  buffered f{[](broker_config& c) {
    c.busy_timeout = 1ms;
    c.retry_attempts = 0;
    c.buffer_interval = 3'600s;
  }};
  f.put(0, 5);
  external_process other{f.file()};
  other.run("BEGIN IMMEDIATE");
  auto error = refused(f.db.write("tester", "ALTER TABLE t RENAME COLUMN a TO b"));
  CHECK(error.code == errc::busy);
  CHECK(error.outcome == outcome::not_committed);
  CHECK(error.message.find("5 rows that wait in the write-behind buffer for app.db") == 0);
  other.run("ROLLBACK");
  must(f.db.write("tester", "ALTER TABLE t RENAME COLUMN a TO b"));
  CHECK(f.number("SELECT sum(b) FROM t") == 100);
  f.require_no_rejected_rows();
  f.require_serving();
}

TEST_CASE("a schema change that waits for rows keeps its deadline and its place", "[system][buffer]") {
  buffered f{[](broker_config& c) {
    c.busy_timeout = 1ms;
    c.retry_base = 10ms;
    c.retry_cap = 10ms;
    c.retry_attempts = 100;
    c.buffer_interval = 3'600s;
  }};
  f.put(0, 5);
  external_process other{f.file()};
  other.run("BEGIN IMMEDIATE");
  auto late = write_of("tester", {{"ALTER TABLE t RENAME COLUMN a TO late", {}}});
  late.deadline = 50ms;
  auto too_late = refused(f.db.write(late));
  CHECK((too_late.code == errc::busy || too_late.code == errc::deadline_exceeded));
  CHECK(too_late.outcome == outcome::not_committed);
  auto rename = f.db.write_async(write_of("tester", {{"ALTER TABLE t RENAME COLUMN a TO b", {}}}));
  // Sends another request of the same agent after it.
  auto insert = f.db.write_async(write_of("tester", {{"INSERT INTO t(k, b) VALUES(100, 1)", {}}}));
  other.run("ROLLBACK");
  auto first = must(answer_of(rename));
  auto second = must(answer_of(insert));
  CHECK(first.commit_seq <= second.commit_seq);
  CHECK(f.number("SELECT sum(b) FROM t") == 101);
  f.require_no_rejected_rows();
}

TEST_CASE("rows that others put while a schema changes are written before it or checked after it", "[system][buffer]") {
  buffered f{[](broker_config& c) {
    c.buffer_interval = 1ms;
    c.buffer_max_pending = 10'000;
    c.synchronous = synchronous_mode::normal;
  }};
  std::atomic<bool> done = false;
  std::atomic<int64_t> taken = 0;
  std::vector<std::thread> agents;
  for (int64_t n = 0; n < 3; ++n)
    agents.emplace_back([&, n] {
      for (int64_t i = 0; !done; ++i)
        for (const auto* column : {"a", "b"})
          if (f.host.buffer().put(buffered::a_put(n * 1'000'000 + i, i, column)))
            ++taken;
    });
  for (auto i = 0; i < 20; ++i)
    must(
      f.db.write("tester", i % 2 == 0 ? "ALTER TABLE t RENAME COLUMN a TO b" : "ALTER TABLE t RENAME COLUMN b TO a"));
  done = true;
  for (auto& agent : agents)
    agent.join();
  must(f.host.buffer().flush());
  CHECK(taken > 0);
  f.require_no_rejected_rows();
  CHECK(f.host.status().buffer.pending == 0);
  f.require_serving();
}

TEST_CASE("a writer that fails while it changes a schema does not keep the buffer closed", "[system][buffer]") {
  buffered f{[](broker_config& c) {
    c.busy_timeout = 1ms;
    c.buffer_interval = 3'600s;
  }};
  f.put(0, 5);
  external_process other{f.file()};
  other.run("BEGIN IMMEDIATE");
  auto rename = f.db.write_async(write_of("tester", {{"ALTER TABLE t RENAME COLUMN a TO b", {}}}));
  await([&] { return f.db.status().retry.lock_errors > 0; });
  caf::anon_send_exit(f.host.actors().context("app.db").route()->writer, caf::exit_reason::kill);
  CHECK(refused(answer_of(rename)).code == errc::unavailable);
  other.run("ROLLBACK");
  await([&] { return f.host.status().restarts > 0; });
  auto again = buffered::a_put(5, 50);
  again.wait = 60s;
  must(f.host.buffer().put(again));
  await([&] { return must(f.host.buffer().flush()).kept == 0 && f.host.status().buffer.pending == 0; });
  CHECK(f.number("SELECT sum(a) FROM t") == 150);
}

TEST_CASE("with any schema changes, buffered rows end as if each had been executed at once",
          "[system][buffer][property]") {
  const std::vector<std::string> schema{"CREATE TABLE t(k INTEGER PRIMARY KEY, a)", "CREATE TABLE log(k)"};
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    INFO(seed);
    one_database database{[](broker_config& c) {
      c.synchronous = synchronous_mode::normal;
      c.buffer_interval = 3'600s;
      c.buffer_batch = 7;
    }};
    plain_database model{schema};
    for (const auto& sql : schema)
      must(database.db.write("tester", sql));
    std::mt19937 dice{seed};
    std::string table = "t";
    std::string column = "a";
    auto has_trigger = false;
    auto change = [&](const std::string& sql) {
      must(database.db.write("tester", sql));
      REQUIRE_FALSE(model.execute({statement{sql, {}}}));
    };
    for (auto i = 0; i < 80; ++i) {
      auto choice = dice() % 16;
      if (choice == 0) {
        auto next = column == "a" ? "b" : "a";
        change("ALTER TABLE " + table + " RENAME COLUMN " + column + " TO " + next);
        column = next;
      } else if (choice == 1) {
        auto next = table == "t" ? "u" : "t";
        change("ALTER TABLE " + table + " RENAME TO " + next);
        table = next;
      } else if (choice == 2) {
        change("DROP TABLE " + table);
        has_trigger = false;
        change("CREATE TABLE " + table + "(k INTEGER PRIMARY KEY, " + column + ")");
      } else if (choice == 3) {
        change(has_trigger ? "DROP TRIGGER w"
                           : "CREATE TRIGGER w AFTER INSERT ON " + table + " BEGIN INSERT INTO log VALUES(new.k); END");
        has_trigger = !has_trigger;
      } else {
        auto key = static_cast<int64_t>(dice() % 10);
        buffer_put put;
        put.row = {"app.db", table, {{"k", key}}};
        put.agent = "alice";
        if (choice < 6)
          put.operation = buffer_operation::erase;
        else
          put.values = {{column, int64_t{i}}};
        REQUIRE_FALSE(model.execute({statement_of(put)}));
        must(database.host.buffer().put(put));
      }
    }
    must(database.host.buffer().flush());
    REQUIRE(must(database.host.buffer().rejected()).rows.empty());
    for (const auto& query :
         {"SELECT k, " + column + " FROM " + table + " ORDER BY k", std::string{"SELECT k FROM log ORDER BY rowid"}}) {
      auto rows = must(database.db.read("tester", query)).rows;
      auto expected = model.query({query, {}});
      REQUIRE(rows->size() == expected.size());
      for (size_t i = 0; i < rows->size(); ++i)
        for (size_t j = 0; j < rows->columns().size(); ++j)
          REQUIRE(rows->at(i, j) == expected.at(i, j));
    }
  }
}

} // namespace sluice::test::buffer_schema_test
