#include "tests/system/fixture.hpp"

#include <map>
#include <optional>
#include <set>

namespace sluice::test::faults_group_test {

namespace {

using namespace std::chrono_literals;

using future_write = std::future<caf::expected<write_result>>;

// A statement that never ends and takes no memory.
const sql_text endless{"INSERT INTO log (n) SELECT count(*) FROM (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT "
                       "n + 1 FROM c) SELECT n FROM c)"};

void make_schema(const database& db) {
  must(db.write(write_of(
    "host", {{"CREATE TABLE log (n INTEGER NOT NULL UNIQUE)", {}},
             {"CREATE TABLE parent (id INTEGER PRIMARY KEY)", {}},
             {"CREATE TABLE child (id INTEGER NOT NULL REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)", {}},
             {"CREATE TABLE mined (n INTEGER NOT NULL)", {}},
             {"CREATE TRIGGER mine BEFORE INSERT ON mined BEGIN SELECT RAISE(ROLLBACK, 'boom'); END", {}},
             {"INSERT INTO log (n) VALUES (0)", {}}})));
}

// The effect of a request of each kind on its own number, and the answer that it gets.
struct kind {
  std::vector<statement> (*statements)(int n);
  std::optional<errc> fails_with;
};

const sql_text add{"INSERT INTO log (n) VALUES (?)"};

const std::vector<kind> kinds{
  {[](int n) {
     return std::vector<statement>{{add, {n}}};
   },
   {}},
  {[](int n) {
     return std::vector<statement>{{add, {n}}, {"UPDATE log SET n = n WHERE n = ?", {n}}};
   },
   {}},
  {[](int n) {
     return std::vector<statement>{{add, {n}}, {add, {nullptr}}};
   },
   errc::constraint},
  {[](int n) {
     return std::vector<statement>{{add, {n}}, {"INSERT INTO mined (n) VALUES (?)", {n}}};
   },
   errc::constraint},
  {[](int n) {
     return std::vector<statement>{{"INSERT INTO mined (n) VALUES (?)", {n}}};
   },
   errc::constraint},
  {[](int n) {
     return std::vector<statement>{{add, {n}}, {"INSERT INTO child (id) VALUES (?)", {n}}};
   },
   errc::constraint},
  {[](int n) {
     return std::vector<statement>{{"INSERT OR ROLLBACK INTO log (n) VALUES (?), (0)", {n}}};
   },
   errc::constraint},
  {[](int n) {
     return std::vector<statement>{{"INSERT OR FAIL INTO log (n) VALUES (?), (0)", {n}}};
   },
   errc::constraint},
  {[](int n) {
     return std::vector<statement>{{add, {n}}, {"INSRT", {}}};
   },
   errc::sql_error},
  {[](int n) {
     return std::vector<statement>{{add, {n}}, {"COMMIT", {}}};
   },
   errc::invalid_request},
  {[](int n) {
     return std::vector<statement>{
       {"INSERT INTO child (id) VALUES (?)", {n}}, {"INSERT INTO parent (id) VALUES (?)", {n}}, {add, {n}}};
   },
   {}},
};

write_request numbered(int n, size_t which) {
  auto request = write_of("agent-" + std::to_string(n % 8), kinds[which].statements(n));
  request.request_id = "request-" + std::to_string(n);
  return request;
}

} // namespace

TEST_CASE("requests that one thread sends without waiting are executed in that order", "[system]") {
  one_database database;
  must(database.db.write("agent", "CREATE TABLE n(k INTEGER PRIMARY KEY, v)"));
  constexpr int count = 300;
  std::vector<future_write> answers;
  for (int64_t n = 1; n <= count; ++n)
    answers.push_back(database.db.write_async(write_of("agent", {{"INSERT INTO n(v) VALUES(?)", {n}}})));
  for (auto& answer : answers)
    must(answer_of(answer));
  CHECK(database.number("SELECT count(*) FROM n WHERE k = v") == count);
}

TEST_CASE("requests that fail in a group fail alone, and the others commit exactly once", "[system]") {
  one_database database{[](broker_config& cfg) { cfg.retry_attempts = 100; }};
  make_schema(database.db);
  auto commits = database.db.status().commits;

  // All of them wait for a lock, so that they make one group.
  constexpr int count = 330;
  std::vector<future_write> answers;
  external_process someone{database.file()};
  someone.run("BEGIN IMMEDIATE");
  for (int n = 1; n <= count; ++n)
    answers.push_back(database.db.write_async(numbered(n, static_cast<size_t>(n) % kinds.size())));
  await([&] { return database.db.status().queued == count; });
  someone.run("COMMIT");

  std::vector<value> expected{value{0}};
  std::map<std::string, std::string> statuses;
  for (int n = 1; n <= count; ++n) {
    INFO(n);
    const auto& request_kind = kinds[static_cast<size_t>(n) % kinds.size()];
    auto answer = answer_of(answers[static_cast<size_t>(n - 1)]);
    auto id = "request-" + std::to_string(n);
    if (!request_kind.fails_with) {
      CHECK(must(answer).request_id == id);
      expected.emplace_back(n);
      statuses[id] = "committed";
      continue;
    }
    auto error = refused(answer);
    CHECK(error.code == *request_kind.fails_with);
    CHECK(error.outcome == outcome::not_committed);
    CHECK(error.request_id == id);
    statuses[id] = to_string(*request_kind.fails_with);
  }
  CHECK(column_of(database.file(), "SELECT n FROM log ORDER BY n") == expected);
  CHECK(integer_of(database.file(), "SELECT count(*) FROM parent") == count / 11);
  CHECK(integer_of(database.file(), "SELECT count(*) FROM child") == count / 11);
  CHECK(column_of(database.file(), "PRAGMA foreign_key_check").empty());
  // The requests formed a group, with fewer commits than requests.
  CHECK(database.db.status().commits - commits < 20);

  audit_query query;
  query.limit = 10'000;
  std::map<std::string, std::string> audited;
  for (const auto& record : must(database.host.audit(query)).records)
    if (record.request_id.starts_with("request-")) {
      CHECK(audited.count(record.request_id) == 0);
      audited[record.request_id] = record.status;
    }
  CHECK(audited == statuses);
  database.require_serving();
}

TEST_CASE("an endless write is interrupted at its deadline, and the others of its group commit", "[system]") {
  one_database database{[](broker_config& cfg) { cfg.retry_attempts = 100; }};
  make_schema(database.db);
  std::vector<future_write> answers;
  external_process someone{database.file()};
  someone.run("BEGIN IMMEDIATE");
  for (int n = 1; n <= 20; ++n) {
    answers.push_back(database.db.write_async(write_of("agent", {{add, {n}}})));
    await([&] { return database.db.status().queued == static_cast<uint64_t>(answers.size()); });
    if (n != 10)
      continue;
    auto request = write_of("slow", {{add, {1000}}, {endless, {}}});
    request.deadline = 3s;
    answers.push_back(database.db.write_async(request));
    await([&] { return database.db.status().queued == static_cast<uint64_t>(answers.size()); });
  }
  someone.run("COMMIT");
  for (size_t i = 0; i < answers.size(); ++i) {
    INFO(i);
    auto answer = answer_of(answers[i]);
    if (i != 10) {
      must(answer);
      continue;
    }
    auto error = refused(answer);
    CHECK(error.code == errc::deadline_exceeded);
    CHECK(error.outcome == outcome::not_committed);
  }
  CHECK(database.number("SELECT count(*) FROM log WHERE n BETWEEN 1 AND 20") == 20);
  CHECK(database.number("SELECT count(*) FROM log WHERE n > 20") == 0);
  database.require_serving();
}

TEST_CASE("a write whose deadline passes in the queue is refused before it is executed", "[system]") {
  one_database database;
  make_schema(database.db);
  auto slow = write_of("slow", {{endless, {}}});
  slow.deadline = 1'000ms;
  auto first = database.db.write_async(slow);
  await([&] { return database.db.status().queued == 1; });
  auto late = write_of("late", {{add, {1}}});
  late.deadline = 50ms;
  auto second = database.db.write_async(late);
  auto third = database.db.write_async(write_of("patient", {{add, {2}}}));
  CHECK(refused(answer_of(first)).code == errc::deadline_exceeded);
  auto error = refused(answer_of(second));
  CHECK(error.code == errc::deadline_exceeded);
  CHECK(error.outcome == outcome::not_committed);
  must(answer_of(third));
  CHECK(column_of(database.file(), "SELECT n FROM log WHERE n > 0") == std::vector<value>{value{2}});
  database.require_serving();
}

TEST_CASE("the same key is applied once, also with many concurrent requests", "[system]") {
  one_database database;
  make_schema(database.db);
  std::vector<future_write> answers;
  for (int i = 0; i < 60; ++i)
    answers.push_back(database.db.write_async(write_of(
      "agent-" + std::to_string(i % 3), {{"INSERT INTO log (n) VALUES (?) RETURNING n * 2", {21}}}, "the key")));
  int first = 0;
  std::set<uint64_t> commits;
  for (auto& answer : answers) {
    auto done = must(answer_of(answer));
    first += !done.replayed;
    commits.insert(done.commit_seq);
    REQUIRE(done.results.size() == 1);
    REQUIRE(done.results[0].rows.size() == 1);
    CHECK((done.results[0].rows.at(0, 0) == value{42}));
  }
  CHECK(first == 1);
  CHECK(commits.size() == 1);
  CHECK(integer_of(database.file(), "SELECT count(*) FROM log WHERE n = 21") == 1);
  database.require_serving();
}

TEST_CASE("a key gives its first outcome after a restart, RETURNING rows included", "[system]") {
  temp_dir folder;
  const auto request =
    write_of("alice",
             {{"INSERT INTO log (n) VALUES (?), (?) RETURNING n, 'row ' || n, x'00ff', NULL, n / 2.0", {1, 2}},
              {"UPDATE log SET n = n + 10", {}}},
             "key");
  write_result first;
  {
    auto host = open_broker(folder.path());
    auto db = must(host.open_database("app.db"));
    must(db.write("host", "CREATE TABLE log (n INTEGER NOT NULL UNIQUE)"));
    first = must(db.write(request));
    CHECK_FALSE(first.replayed);
  }
  auto host = open_broker(folder.path());
  auto db = must(host.open_database("app.db"));
  for (int i = 0; i < 2; ++i) {
    auto again = must(db.write(request));
    CHECK(again.replayed);
    CHECK(again.commit_seq == first.commit_seq);
    CHECK(again.request_id == first.request_id);
    REQUIRE(again.results.size() == 2);
    CHECK(again.results[0].changes == 2);
    CHECK(again.results[1].changes == 2);
    const auto& rows = again.results[0].rows;
    CHECK(rows.columns() == first.results[0].rows.columns());
    REQUIRE(rows.size() == 2);
    for (size_t row = 0; row < 2; ++row)
      for (size_t column = 0; column < rows.columns().size(); ++column)
        CHECK((rows.at(row, column) == first.results[0].rows.at(row, column)));
  }
  CHECK(column_of(folder / "app.db", "SELECT n FROM log ORDER BY n") == std::vector<value>{value{11}, value{12}});
  CHECK(db.status().replayed_requests == 2);
}

TEST_CASE("a key with another payload is a mismatch and changes nothing", "[system]") {
  one_database database;
  make_schema(database.db);
  auto request = write_of("alice", {{add, {1}}}, "key");
  must(database.db.write(request));
  std::vector<std::vector<statement>> others{
    {{add, {2}}}, {{add, {"1"}}}, {{add, {1.0}}}, {{"INSERT INTO log (n) VALUES (? )", {1}}}, {{add, {1}}, {add, {2}}}};
  for (auto& statements : others) {
    auto error = refused(database.db.write(write_of("alice", statements, "key")));
    CHECK(error.code == errc::payload_mismatch);
    CHECK(error.outcome == outcome::not_committed);
  }
  CHECK(must(database.db.write(request)).replayed);
  // The key does not exist in another database.
  auto other = must(database.host.open_database("other.db"));
  make_schema(other);
  CHECK_FALSE(must(other.write(request)).replayed);
  CHECK(database.number("SELECT count(*) FROM log WHERE n > 0") == 1);
  database.require_serving();
}

TEST_CASE("a failed attempt is not stored under its key", "[system]") {
  one_database database;
  make_schema(database.db);
  auto request = write_of("alice", {{"INSERT INTO later (n) VALUES (?)", {1}}}, "key");
  CHECK(refused(database.db.write(request)).code == errc::sql_error);
  CHECK(refused(database.db.write(request)).code == errc::sql_error);
  must(database.db.write("host", "CREATE TABLE later (n INTEGER NOT NULL)"));
  CHECK_FALSE(must(database.db.write(request)).replayed);
  CHECK(must(database.db.write(request)).replayed);
  // The same holds for a request that rolls back the whole transaction.
  auto mined = write_of("alice", {{add, {5}}, {"INSERT INTO mined (n) VALUES (5)", {}}}, "mined");
  CHECK(refused(database.db.write(mined)).code == errc::constraint);
  must(database.db.write("host", "DROP TRIGGER mine"));
  CHECK_FALSE(must(database.db.write(mined)).replayed);
  CHECK(database.number("SELECT count(*) FROM log WHERE n = 5") == 1);
  database.require_serving();
}

} // namespace sluice::test::faults_group_test
