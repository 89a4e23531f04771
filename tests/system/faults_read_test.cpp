#include "tests/system/fixture.hpp"

namespace sluice::test::faults_read_test {

namespace {

using namespace std::chrono_literals;

const sql_text endless{"WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"};

struct with_rows : one_database {
  with_rows() : with_rows([](broker_config&) {}) {}

  template <class Change> explicit with_rows(Change change) : one_database(change) {
    must(db.write("host", "CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT NOT NULL)"));
    must(db.write("host", "INSERT INTO t (n, s) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE "
                          "n < 100) SELECT n, printf('%.*c', 1000, 'x') FROM c"));
  }

  read_result read(sql_text sql, read_limits limits, freshness mode = freshness::cached) const {
    auto request = read_of("tester", std::move(sql), mode);
    request.limits = limits;
    return must(db.read(request));
  }
};

read_limits rows_at_most(uint64_t n) {
  read_limits result;
  result.max_rows = n;
  return result;
}

read_limits bytes_at_most(uint64_t n) {
  read_limits result;
  result.max_bytes = n;
  return result;
}

} // namespace

TEST_CASE("an answer over a bound is cut and marked as truncated, cached or not", "[system]") {
  with_rows f;
  for (auto mode : {freshness::cached, freshness::cached, freshness::fresh}) {
    auto cut = f.read("SELECT n FROM t ORDER BY n", rows_at_most(99), mode);
    CHECK(cut.rows->size() == 99);
    CHECK(cut.truncated);
    auto whole = f.read("SELECT n FROM t ORDER BY n", rows_at_most(100), mode);
    CHECK(whole.rows->size() == 100);
    CHECK_FALSE(whole.truncated);
    auto few_bytes = f.read("SELECT n, s FROM t ORDER BY n", bytes_at_most(10'000), mode);
    CHECK(few_bytes.truncated);
    CHECK(few_bytes.rows->size() > 0);
    CHECK(few_bytes.rows->size() < 10);
    CHECK(few_bytes.rows->footprint() <= 10'000);
    // A value larger than the bound is not returned in part.
    auto none = f.read("SELECT zeroblob(50000)", bytes_at_most(10'000), mode);
    CHECK(none.truncated);
    CHECK(none.rows->size() == 0);
    auto all = f.read("SELECT n FROM t ORDER BY n", {}, mode);
    CHECK(all.rows->size() == 100);
    CHECK_FALSE(all.truncated);
  }
}

TEST_CASE("the configured bounds hold for requests that name none", "[system]") {
  with_rows f{[](broker_config& cfg) {
    cfg.read_max_rows = 10;
    cfg.read_timeout = 200ms;
  }};
  auto cut = must(f.db.read("tester", "SELECT n FROM t"));
  CHECK(cut.rows->size() == 10);
  CHECK(cut.truncated);
  CHECK(refused(f.db.read("tester", endless)).code == errc::deadline_exceeded);
  f.require_serving();
}

TEST_CASE("endless reads end at their time-out and delay neither writes nor later reads", "[system]") {
  with_rows f;
  std::vector<std::future<caf::expected<read_result>>> answers;
  // Sends more reads than there are readers, all different, so that none is shared.
  for (int i = 0; i < 9; ++i) {
    auto request = read_of("slow", sql_text{endless.str() + " WHERE n > " + std::to_string(i)}, freshness::fresh);
    request.limits.timeout = 700ms;
    answers.push_back(f.db.read_async(request));
  }
  auto before = f.db.status().committed_requests;
  for (int i = 0; i < 5; ++i)
    must(f.db.write("writer", "UPDATE t SET s = s WHERE n = 1"));
  CHECK(f.db.status().committed_requests == before + 5);
  CHECK(f.number("SELECT count(*) FROM t") == 100);
  for (auto& answer : answers)
    CHECK(refused(answer_of(answer)).code == errc::deadline_exceeded);
  f.require_serving();
}

TEST_CASE("a read that its caller gives up is cancelled, running or waiting", "[system]") {
  with_rows f{[](broker_config& cfg) { cfg.readers = 1; }};
  std::vector<std::future<caf::expected<read_result>>> answers;
  std::vector<cancel_token> tokens;
  for (int i = 0; i < 3; ++i) {
    auto request = read_of("tester", sql_text{endless.str() + " WHERE n > " + std::to_string(i)});
    request.limits.timeout = 10min;
    request.cancel = tokens.emplace_back(cancel_token::make());
    answers.push_back(f.db.read_async(request));
  }
  await([&] { return f.host.status().cache.misses >= 1; });
  for (const auto& token : tokens)
    token.cancel();
  for (auto& answer : answers)
    CHECK(refused(answer_of(answer)).code == errc::cancelled);
  auto given_up = read_of("tester", "SELECT 'never asked'");
  given_up.cancel = tokens[0];
  CHECK(refused(f.db.read(given_up)).code == errc::cancelled);
  f.require_serving();
}

TEST_CASE("a read that its caller gives up at any moment is cancelled", "[system]") {
  with_rows f;
  // A schema that takes a while to load, and is loaded anew each time.
  std::vector<statement> tables;
  for (int i = 0; i < 400; ++i)
    tables.push_back({"CREATE TABLE t" + std::to_string(i) + " (a, b, c, d, UNIQUE (a, b))", {}});
  must(f.db.write(write_of("host", tables)));
  int given_up = 0;
  for (int i = 0; i < 200; ++i) {
    must(f.db.write("host", i % 2 == 0 ? "CREATE VIEW v AS SELECT 1" : "DROP VIEW v"));
    auto request = read_of("tester", endless, freshness::fresh);
    request.limits.timeout = 1min;
    request.cancel = cancel_token::make();
    auto answer = f.db.read_async(request);
    auto moment = std::chrono::steady_clock::now() + i * 20us;
    while (std::chrono::steady_clock::now() < moment) {
    }
    request.cancel.cancel();
    given_up += refused(answer_of(answer)).code == errc::cancelled;
  }
  CHECK(given_up == 200);
}

TEST_CASE("cancelling a read that others share does not end it for them", "[system]") {
  with_rows f;
  const sql_text slow{"WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000) SELECT "
                      "count(*), (SELECT count(*) FROM t) FROM c"};
  auto hasty = read_of("hasty", slow);
  hasty.cancel = cancel_token::make();
  auto patient = read_of("patient", slow);
  hasty.limits.timeout = patient.limits.timeout = std::chrono::minutes{1};
  auto first = f.db.read_async(hasty);
  await([&] { return f.host.status().cache.misses >= 1; });
  auto second = f.db.read_async(patient);
  hasty.cancel.cancel();
  CHECK(refused(answer_of(first)).code == errc::cancelled);
  CHECK((must(answer_of(second)).rows->at(0, 0) == value{3'000'000}));
}

TEST_CASE("min_seq is honoured, and refused when no commit has that number yet", "[system]") {
  with_rows f;
  auto seq = must(f.db.write("writer", "UPDATE t SET s = 'new' WHERE n = 1")).commit_seq;
  auto request = read_of("tester", "SELECT s FROM t WHERE n = 1");
  request.min_seq = seq;
  for (auto source : {read_source::database, read_source::cache}) {
    auto seen = must(f.db.read(request));
    CHECK(seen.as_of_seq >= seq);
    CHECK(seen.source == source);
    CHECK((seen.rows->at(0, 0) == value{"new"}));
  }
  request.min_seq = seq + 1;
  CHECK(refused(f.db.read(request)).code == errc::invalid_request);
  request.freshness = freshness::fresh;
  CHECK(refused(f.db.read(request)).code == errc::invalid_request);
  CHECK(must(f.db.write("writer", "UPDATE t SET s = 'newer' WHERE n = 1")).commit_seq == seq + 1);
  request.freshness = freshness::cached;
  CHECK((must(f.db.read(request)).rows->at(0, 0) == value{"newer"}));
}

TEST_CASE("min_seq of a commit from before a restart is known at once", "[system]") {
  temp_dir folder;
  uint64_t seq = 0;
  {
    auto host = open_broker(folder.path());
    auto db = must(host.open_database("app.db"));
    seq = must(db.write("writer", "CREATE TABLE t (n)")).commit_seq;
  }
  auto host = open_broker(folder.path());
  auto db = must(host.open_database("app.db"));
  auto request = read_of("tester", "SELECT count(*) FROM t");
  request.min_seq = seq;
  CHECK(must(db.read(request)).as_of_seq >= seq);
}

TEST_CASE("non-deterministic statements are never cached", "[system]") {
  with_rows f;
  must(f.db.write("host", "CREATE VIEW dice AS SELECT n, random() AS r FROM t"));
  must(f.db.write("host", "CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT)"));
  must(f.db.write("host", "INSERT INTO numbered DEFAULT VALUES"));
  for (const char* sql :
       {"SELECT random()", "SELECT hex(randomblob(16))", "SELECT datetime('now')", "SELECT unixepoch()",
        "SELECT strftime('%s', 'now')", "SELECT current_timestamp", "SELECT julianday()", "SELECT r FROM dice LIMIT 1",
        "SELECT n FROM t ORDER BY random() LIMIT 1", "SELECT n FROM t WHERE n < abs(random()) LIMIT 1",
        "SELECT changes()", "SELECT last_insert_rowid()", "SELECT total_changes()", "SELECT seq FROM sqlite_sequence",
        "SELECT count(*) FROM _sluice_commits", "SELECT name FROM pragma_table_info('t')",
        "EXPLAIN QUERY PLAN SELECT n FROM t"}) {
    INFO(sql);
    CHECK(must(f.db.read("tester", sql)).source == read_source::database);
    CHECK(must(f.db.read("tester", sql)).source == read_source::database);
  }
  auto one = must(f.db.read("tester", "SELECT random()"));
  auto two = must(f.db.read("tester", "SELECT random()"));
  CHECK_FALSE((one.rows->at(0, 0) == two.rows->at(0, 0)));
  // Text that only looks like such a function is cached.
  CHECK(must(f.db.read("tester", "SELECT 'random()' FROM t LIMIT 1")).source == read_source::database);
  CHECK(must(f.db.read("tester", "SELECT 'random()' FROM t LIMIT 1")).source == read_source::cache);
}

TEST_CASE("with the cache off every read asks the database", "[system]") {
  with_rows f{[](broker_config& cfg) { cfg.cache = false; }};
  for (int i = 0; i < 5; ++i)
    CHECK(must(f.db.read("tester", "SELECT count(*) FROM t")).source == read_source::database);
  auto cache = f.host.status().cache;
  CHECK_FALSE(cache.enabled);
  CHECK(cache.hits == 0);
  CHECK(cache.entries == 0);
}

TEST_CASE("a fresh read goes to the database and shares nothing", "[system]") {
  with_rows f;
  for (int i = 0; i < 3; ++i) {
    must(f.db.read("tester", "SELECT count(*) FROM t"));
    CHECK(must(f.db.read(read_of("tester", "SELECT count(*) FROM t", freshness::fresh))).source
          == read_source::database);
  }
}

} // namespace sluice::test::faults_read_test
