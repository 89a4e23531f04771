#include "tests/support/audit_records.hpp"
#include "tests/system/fixture.hpp"

namespace sluice::test::faults_lock_test {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

const sql_text make_log{"CREATE TABLE log (n INTEGER NOT NULL)"};
const sql_text add{"INSERT INTO log (n) VALUES (?)"};
const sql_text count{"SELECT count(*) FROM log"};

// An external process that holds the lock until it is released.
struct lock_holder : child_process {
  explicit lock_holder(const std::filesystem::path& file, std::vector<std::string> more = {})
    : child_process(LOCK_HOLDER, arguments(file, std::move(more))) {
    REQUIRE(line() == "held");
  }

  static std::vector<std::string> arguments(const std::filesystem::path& file, std::vector<std::string> more) {
    more.insert(more.begin(), file.string());
    return more;
  }
};

uint64_t audited_foreign_commits(const broker& host) {
  uint64_t result = 0;
  for (const auto& record : must(host.audit({})).records)
    result += record.type == request_type::foreign_commit ? record.count : 0;
  return result;
}

} // namespace

TEST_CASE("an external process's lock that ends before the deadline only delays requests", "[system]") {
  one_database database{[](broker_config& cfg) { cfg.retry_attempts = 100; }};
  must(database.db.write("host", make_log));
  lock_holder other{database.file()};
  std::vector<std::future<caf::expected<write_result>>> answers;
  for (int n = 0; n < 10; ++n)
    answers.push_back(database.db.write_async(write_of("agent", {{add, {n}}})));
  await([&] { return database.db.status().retry.lock_errors >= 2 && database.db.status().queued == 10; });
  // Readers of a WAL do not wait for writers.
  CHECK(database.number("SELECT count(*) FROM log") == 0);
  other.release();
  for (auto& answer : answers)
    must(answer_of(answer));
  CHECK(other.wait() == 0);
  CHECK(database.number("SELECT count(DISTINCT n) FROM log") == 10);
  auto retry = database.db.status().retry;
  CHECK(retry.retries >= 1);
  CHECK(retry.successes_after_retry >= 1);
  CHECK(retry.failures == 0);
  CHECK(retry.error_rate_5m > 0);
  database.require_serving();
}

TEST_CASE("an external process's lock that outlasts the deadline is busy, with the number of attempts", "[system]") {
  one_database database{[](broker_config& cfg) { cfg.retry_attempts = 100; }};
  must(database.db.write("host", make_log));
  lock_holder other{database.file()};
  auto request = write_of("agent", {{add, {1}}}, "key");
  request.deadline = 900ms;
  auto asked = steady_clock::now();
  auto error = refused(database.db.write(request));
  auto took = steady_clock::now() - asked;
  CHECK(error.code == errc::busy);
  CHECK(error.outcome == outcome::not_committed);
  CHECK(error.attempts >= 1);
  CHECK(error.waited_ms >= 800);
  CHECK(took < request.deadline + 1s);
  // Another database is not affected.
  auto free = must(database.host.open_database("free.db"));
  must(free.write("agent", make_log));
  CHECK(database.db.status().retry.failures >= 1);
  other.release();
  CHECK(other.wait() == 0);
  CHECK_FALSE(must(database.db.write(request)).replayed);
  CHECK(database.number("SELECT count(*) FROM log") == 1);
  database.require_serving();
}

TEST_CASE("with no retries configured a lock is not waited for", "[system]") {
  one_database database{[](broker_config& cfg) {
    cfg.retry_attempts = 0;
    cfg.busy_timeout = 10ms;
  }};
  must(database.db.write("host", make_log));
  lock_holder other{database.file()};
  auto error = refused(database.db.write("agent", add, {1}));
  CHECK(error.code == errc::busy);
  CHECK(error.attempts == 1);
  other.release();
  other.wait();
  must(database.db.write("agent", add, {1}));
  database.require_serving();
}

TEST_CASE("a short deadline is kept even if the next try for the lock would be later", "[system]") {
  one_database database{[](broker_config& cfg) {
    cfg.retry_attempts = 100;
    cfg.busy_timeout = 0ms;
    cfg.retry_base = 3s;
    cfg.retry_cap = 3s;
    cfg.retry_jitter = 0;
  }};
  must(database.db.write("host", make_log));
  lock_holder other{database.file()};
  auto patient = database.db.write_async(write_of("patient", {{add, {1}}}));
  await([&] { return database.db.status().retry.lock_errors >= 1; });
  auto hasty = write_of("hasty", {{add, {2}}});
  hasty.deadline = 100ms;
  auto error = refused(database.db.write(hasty));
  // The outcome is known, because the broker has answered and the caller has not merely stopped waiting.
  CHECK(error.outcome == outcome::not_committed);
  CHECK((error.code == errc::busy || error.code == errc::deadline_exceeded));
  other.release();
  other.wait();
  must(answer_of(patient));
  CHECK(column_of(database.file(), "SELECT n FROM log") == std::vector<value>{value{1}});
}

TEST_CASE("a file that is locked before it has a ledger is busy to readers and writers", "[system]") {
  one_database database{[](broker_config& cfg) {
    cfg.busy_timeout = 20ms;
    cfg.retry_base = 10ms;
  }};
  { external_process{database.file()}.run("CREATE TABLE log (n INTEGER NOT NULL)"); }
  lock_holder other{database.file(), {"DELETE"}};
  auto write = write_of("agent", {{add, {1}}});
  write.deadline = 300ms;
  auto read = read_of("agent", count);
  read.limits.timeout = 300ms;
  for (const auto& error : {refused(database.db.write(write)), refused(database.db.read(read))}) {
    CHECK(error.code == errc::busy);
    CHECK(error.attempts >= 3);
    CHECK(error.waited_ms >= 300);
    CHECK_THAT(error.message,
               Catch::Contains("process " + std::to_string(other.pid()) + " (lock_holder) holds the lock"));
  }
  other.release();
  CHECK(other.wait() == 0);
  CHECK(database.number("SELECT count(*) FROM log") == 0);
  must(database.db.write("agent", add, {1}));
  database.require_serving();
}

TEST_CASE("a file that is locked before it has a ledger is waited for, by its first write and its first read",
          "[system]") {
  for (auto reads : {false, true}) {
    one_database database{[](broker_config& cfg) { cfg.busy_timeout = 20ms; }};
    { external_process{database.file()}.run("CREATE TABLE log (n INTEGER NOT NULL)"); }
    lock_holder other{database.file(), {"DELETE"}};
    std::future<caf::expected<write_result>> written;
    std::future<caf::expected<read_result>> answer;
    if (reads)
      answer = database.db.read_async(read_of("agent", count));
    else
      written = database.db.write_async(write_of("agent", {{add, {1}}}));
    await([&] { return database.db.status().retry.lock_errors >= 2; });
    other.release();
    CHECK(other.wait() == 0);
    if (reads)
      must(answer_of(answer));
    else
      must(answer_of(written));
    CHECK(database.number("SELECT count(*) FROM log") == (reads ? 0 : 1));
    database.require_serving();
  }
}

TEST_CASE("an external commit is noticed by the next write, counted and audited", "[system]") {
  one_database database;
  must(database.db.write("host", make_log));
  must(database.db.write("host", "CREATE TABLE other (n)"));
  CHECK(database.number("SELECT count(*) FROM log") == 0);
  CHECK(must(database.db.read("tester", count)).source == read_source::cache);
  external_process someone{database.file()};
  someone.run("INSERT INTO log (n) VALUES (1), (2)");
  // An external commit to any table invalidates everything.
  must(database.db.write("agent", "INSERT INTO other (n) VALUES (1)"));
  CHECK(database.number("SELECT count(*) FROM log") == 2);
  CHECK(database.db.status().foreign_commits == 1);
  CHECK(audited_foreign_commits(database.host) == 1);
  // The broker's own commits, checkpoints and the closing of an external connection do not count.
  must(database.db.write("agent", add, {3}));
  CHECK(database.number("SELECT count(*) FROM log") == 3);
  CHECK(database.db.status().foreign_commits == 1);
  database.require_serving();
}

TEST_CASE("an external commit is noticed by the next query, counted and audited", "[system]") {
  one_database database;
  must(database.db.write("host", make_log));
  CHECK(database.number("SELECT count(*) FROM log") == 0);
  CHECK(must(database.db.read("tester", count)).source == read_source::cache);
  external_process someone{database.file()};
  someone.run("INSERT INTO log (n) VALUES (1)");
  // A query that reaches the database notices it, and the cached answer to another one is gone.
  auto seen = must(database.db.read(read_of("tester", "SELECT max(n) FROM log", freshness::fresh)));
  CHECK((seen.rows->at(0, 0) == value{1}));
  await([&] { return database.db.status().foreign_commits == 1; });
  CHECK(database.number("SELECT count(*) FROM log") == 1);
  await([&] { return audited_foreign_commits(database.host) == 1; });
  must(database.db.write("agent", add, {2}));
  CHECK(database.db.status().foreign_commits == 1);
  CHECK(audited_foreign_commits(database.host) == 1);
  database.require_serving();
}

TEST_CASE("an external commit just before the broker ends is counted and audited, once", "[system]") {
  temp_dir folder;
  auto audited = [&] {
    return count_audit_records(folder / ".sluice/audit.db",
                               [](const audit_record& x) { return x.type == request_type::foreign_commit; });
  };
  for (auto commits : {false, true}) {
    auto host = open_broker(folder.path());
    auto db = must(host.open_database("app.db"));
    must(db.write("host", "CREATE TABLE IF NOT EXISTS log (n)"));
    if (commits)
      external_process{folder / "app.db"}.run("INSERT INTO log (n) VALUES (1)");
    host.shutdown();
    CHECK(audited() == (commits ? 1 : 0));
  }
  auto next = open_broker(folder.path());
  auto db = must(next.open_database("app.db"));
  must(db.write("host", "INSERT INTO log (n) VALUES (2)"));
  CHECK(db.status().foreign_commits == 0);
}

TEST_CASE("an external change of the schema is noticed by reads and writes", "[system]") {
  one_database database;
  must(database.db.write("host", make_log));
  must(database.db.write("agent", add, {1}));
  CHECK(must(database.db.read("tester", "SELECT * FROM log")).rows->columns().size() == 1);
  external_process someone{database.file()};
  someone.run("ALTER TABLE log ADD COLUMN s TEXT DEFAULT 'new'");
  CHECK(must(database.db.read(read_of("tester", "SELECT * FROM log", freshness::fresh))).rows->columns().size() == 2);
  must(database.db.write("agent", "INSERT INTO log (n, s) VALUES (2, 'two')"));
  CHECK(must(database.db.read("tester", "SELECT * FROM log")).rows->columns().size() == 2);
  someone.run("DROP TABLE log");
  CHECK(refused(database.db.write("agent", add, {3})).code == errc::sql_error);
  database.require_serving();
}

TEST_CASE("an agent whose share of the queue is full is overloaded at once, and the others are admitted", "[system]") {
  one_database database{[](broker_config& cfg) {
    cfg.queue_max_requests = 8;
    cfg.retry_attempts = 100;
  }};
  must(database.db.write("host", make_log));
  lock_holder other{database.file()};
  std::vector<std::future<caf::expected<write_result>>> accepted;
  auto send = [&](const std::string& agent) {
    accepted.push_back(database.db.write_async(write_of(agent, {{add, {static_cast<int>(accepted.size())}}})));
    await([&] { return database.db.status().queued == accepted.size(); });
  };
  auto overloaded = [&](const std::string& agent) {
    auto error = refused(database.db.write(agent, add, {100}));
    CHECK(error.code == errc::overloaded);
    CHECK(error.outcome == outcome::not_committed);
    CHECK(error.retry_after_ms > 0);
    auto later = database.db.write_async(write_of(agent, {{add, {100}}}));
    CHECK(refused(answer_of(later)).code == errc::overloaded);
    CHECK(database.db.status().queued == accepted.size());
  };
  send("chatty");
  send("chatty");
  overloaded("chatty");
  for (const char* agent : {"alice", "alice", "bob", "bob", "carol", "carol"})
    send(agent);
  overloaded("alice");
  overloaded("dave");
  CHECK(database.db.status().overloaded == 6);
  // Reads do not queue behind writes.
  CHECK(database.number("SELECT count(*) FROM log") == 0);
  other.release();
  for (auto& answer : accepted)
    must(answer_of(answer));
  must(database.db.write("chatty", add, {8}));
  CHECK(database.number("SELECT count(DISTINCT n) FROM log") == 9);
  CHECK(database.number("SELECT count(*) FROM log") == 9);
  database.require_serving();
}

TEST_CASE("the bytes in the queue are bounded as well", "[system]") {
  one_database database{[](broker_config& cfg) {
    cfg.queue_max_bytes = 400'000;
    cfg.retry_attempts = 100;
  }};
  must(database.db.write("host", "CREATE TABLE texts (t TEXT)"));
  lock_holder other{database.file()};
  auto big = [](const std::string& agent) {
    return write_of(agent, {{"INSERT INTO texts (t) VALUES (?)", {std::string(60'000, 'x')}}});
  };
  auto first = database.db.write_async(big("chatty"));
  await([&] { return database.db.status().queued == 1; });
  CHECK(refused(database.db.write(big("chatty"))).code == errc::overloaded);
  auto second = database.db.write_async(big("alice"));
  await([&] { return database.db.status().queued == 2; });
  other.release();
  must(answer_of(first));
  must(answer_of(second));
  CHECK(database.db.status().queued_bytes == 0);
  database.require_serving();
}

} // namespace sluice::test::faults_lock_test
