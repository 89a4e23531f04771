#include "runtime/sqlite/reader/read_store.hpp"

#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/fake_clock.hpp"

#include <sqlite3.h>

#include <fstream>

#include <atomic>
#include <thread>

namespace sluice::test::read_store_test {

using names = std::vector<std::string>;

namespace {

constexpr const char* endless =
  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

struct ten_rows : store_fixture {
  ten_rows() {
    write("CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)");
    write("INSERT INTO t(body) SELECT hex(zeroblob(50)) FROM "
          "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10) SELECT i FROM n)");
  }
};

} // namespace

TEST_CASE("a read returns rows, column names and the tables that it depends on") {
  ten_rows fixture;
  auto answer = fixture.read("SELECT id, body AS text FROM t WHERE id > ?1 ORDER BY id", {8});
  CHECK(answer.result.rows->columns() == names{"id", "text"});
  REQUIRE(answer.result.rows->size() == 2);
  CHECK(answer.result.rows->at(1, 0) == value{10});
  CHECK(!answer.result.truncated);
  CHECK(answer.reads->tables == names{"t"});
  CHECK(answer.reads->deterministic);
  CHECK(fixture.read("SELECT 1 WHERE 0").result.rows->columns() == names{"1"});
}

TEST_CASE("a statement that writes is refused, and so is one that is never allowed") {
  ten_rows fixture;
  for (const auto* sql : {"DELETE FROM t", "CREATE TABLE IF NOT EXISTS t(a)", "ANALYZE", "REINDEX",
                          "INSERT INTO t(body) VALUES ('a') RETURNING id"}) {
    INFO(sql);
    auto error = failure_of(fixture.try_read(sql));
    CHECK(error.code == errc::invalid_request);
    CHECK_THAT(error.message, Catch::Contains("send it as a write"));
  }
  CHECK(failure_of(fixture.try_read("PRAGMA table_info(t)")).code == errc::invalid_request);
  CHECK(failure_of(fixture.try_read("SELECT * FROM nothing")).code == errc::sql_error);
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{10});
}

TEST_CASE("a read that is interrupted while it is prepared leaves no snapshot to later ones") {
  ten_rows fixture;
  auto hasty = fixture.generous();
  hasty.timeout = std::chrono::milliseconds{0};
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{10});
  // SQLite calls the progress handler every few hundred instructions, counted over all runs, so an interrupt hits each
  // of these few statements at some time.
  for (int64_t i = 1; i <= 300; ++i) {
    CHECK(failure_of(fixture.try_read(("SELECT " + std::to_string(i)).c_str(), {}, hasty)).code
          == errc::deadline_exceeded);
    static_cast<void>(fixture.try_read("SELECT count(*) FROM t"));
    if (i % 10 != 0)
      continue;
    fixture.write("INSERT INTO t(body) VALUES ('more')");
    REQUIRE(fixture.read_one("SELECT count(*) FROM t") == value{10 + i / 10});
  }
}

TEST_CASE("rows within the bounds are returned, and a cut answer is marked as truncated") {
  ten_rows fixture;
  auto limits = fixture.generous();
  limits.max_rows = 10;
  CHECK(!fixture.read("SELECT id FROM t", {}, limits).result.truncated);
  limits.max_rows = 9;
  auto cut = fixture.read("SELECT id FROM t", {}, limits).result;
  CHECK((cut.truncated && cut.rows->size() == 9));
  limits = fixture.generous();
  limits.max_bytes = 500;
  cut = fixture.read("SELECT id, body FROM t", {}, limits).result;
  CHECK((cut.truncated && cut.rows->footprint() <= 500 && cut.rows->size() == 2));
  limits.max_bytes = 10;
  cut = fixture.read("SELECT 1, zeroblob(10000000)", {}, limits).result;
  CHECK((cut.truncated && cut.rows->empty() && cut.rows->columns().size() == 2));
}

TEST_CASE("the bounds of a read with several statements hold for all of them together") {
  ten_rows fixture;
  read_request request;
  request.query = {"SELECT id FROM t WHERE id <= 4", {}};
  request.more = {{"SELECT id FROM t", {}}, {"SELECT id FROM t", {}}, {"SELECT 1 WHERE 0", {}}};
  auto limits = fixture.generous();
  limits.max_rows = 11;
  auto result = must(fixture.reader->run(request, limits)).result;
  CHECK((result.truncated && !result.first_truncated && result.rows->size() == 4));
  REQUIRE(result.more.size() == 3);
  CHECK((result.more[0].truncated && result.more[0].rows->size() == 7));
  CHECK((result.more[1].truncated && result.more[1].rows->empty()));
  CHECK((!result.more[2].truncated && result.more[2].rows->empty()));
  limits = fixture.generous();
  limits.max_bytes = 2 * fixture.read("SELECT id FROM t WHERE id <= 4").result.rows->footprint();
  result = must(fixture.reader->run(request, limits)).result;
  CHECK((result.truncated && result.rows->size() == 4 && result.more[0].rows->size() < 10));
  CHECK(footprint(result) <= limits.max_bytes);
}

TEST_CASE("the statements of a read see one snapshot, whatever is committed meanwhile") {
  ten_rows fixture;
  read_request request;
  request.query = {"SELECT count(*) FROM t", {}};
  request.more = {{"SELECT sum(length(body)) / 100 FROM t", {}}, {"SELECT count(*) FROM t", {}}};
  must(fixture.reader->run(request, fixture.generous()));
  std::atomic<bool> has_ended = false;
  std::thread writer{[&] {
    auto db = fixture.external_process();
    for (auto i = 0; i < 300; ++i)
      must(db.exec("INSERT INTO t(body) SELECT body FROM t WHERE id = 1"));
    has_ended = true;
  }};
  auto reads = 0;
  auto agree = true;
  for (; !has_ended || reads < 2; ++reads) {
    auto result = must(fixture.reader->run(request, fixture.generous())).result;
    auto count = result.rows->at(0, 0);
    agree = agree && result.more[0].rows->at(0, 0) == count && result.more[1].rows->at(0, 0) == count;
  }
  writer.join();
  CHECK(agree);
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{310});
}

TEST_CASE("the statements of a read are analysed again when the schema has changed") {
  ten_rows fixture;
  read_request request;
  request.query = {"SELECT count(*) FROM t", {}};
  request.more = {{"SELECT * FROM t LIMIT 1", {}}};
  for (auto i = 0; i < 3; ++i) {
    auto result = must(fixture.reader->run(request, fixture.generous())).result;
    CHECK(result.rows->at(0, 0) == value{10 + i});
    CHECK(result.more[0].rows->columns().size() == static_cast<size_t>(2 + i));
    fixture.write(("ALTER TABLE t ADD COLUMN c" + std::to_string(i)).c_str());
    fixture.write("INSERT INTO t(body) VALUES ('more')");
  }
}

TEST_CASE("a statement that writes is refused beside others, with its number") {
  ten_rows fixture;
  read_request request;
  request.query = {"SELECT 1", {}};
  request.more = {{"DELETE FROM t", {}}};
  auto error = failure_of(fixture.reader->run(request, fixture.generous()));
  CHECK((error.code == errc::invalid_request && error.message.starts_with("statement 2: ")));
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{10});
}

TEST_CASE("a read past its time-out is interrupted, and the next one works") {
  ten_rows fixture;
  auto limits = fixture.generous();
  limits.timeout = milliseconds{0};
  CHECK(failure_of(fixture.try_read(endless, {}, limits)).code == errc::deadline_exceeded);
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{10});
}

TEST_CASE("a cancelled read is not begun") {
  ten_rows fixture;
  read_request request;
  request.query.sql = "SELECT 1";
  request.cancel = cancel_token::make();
  request.cancel.cancel();
  CHECK(failure_of(fixture.reader->run(request, fixture.generous())).code == errc::cancelled);
}

TEST_CASE("a missing file and an invalid one have different errors, every time") {
  store_fixture fixture;
  CHECK(failure_of(fixture.try_read("SELECT 1")).code == errc::unknown_database);
  CHECK(!std::filesystem::exists(fixture.file));
  fixture.write("CREATE TABLE t(a)");
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{0});
  temp_dir folder;
  std::ofstream{folder / "x.txt"} << std::string(4'096, 'x');
  auto reader = sqlite::make_read_store(folder / "x.txt", fixture.config);
  read_request request;
  request.query.sql = "SELECT 1";
  CHECK(failure_of(reader->run(request, fixture.generous())).code == errc::corrupt);
}

TEST_CASE("a read reports that it may show an external commit, and not for the broker's own commits") {
  ten_rows fixture;
  CHECK(!fixture.read("SELECT count(*) FROM t").external_commit);
  fixture.write("INSERT INTO t(body) VALUES ('a')");
  CHECK(!fixture.read("SELECT count(*) FROM t").external_commit);
  must(fixture.store->checkpoint(checkpoint_mode::passive));
  must(fixture.store->checkpoint(checkpoint_mode::truncate));
  must(fixture.store->prune_keys());
  CHECK(!fixture.read("SELECT count(*) FROM t").external_commit);
  fixture.write("INSERT INTO t(body) VALUES ('b')");
  must(fixture.external_process().exec("DELETE FROM t"));
  CHECK(fixture.read("SELECT count(*) FROM t").external_commit);
  CHECK(!fixture.read("SELECT count(*) FROM t").external_commit);
  CHECK(must(fixture.store->begin()).external_commit);
  fixture.store->rollback();
  CHECK(!must(fixture.store->begin()).external_commit);
}

TEST_CASE("an external commit to a file with a rollback journal is noticed, too") {
  store_fixture fixture;
  must(fixture.external_process().exec("PRAGMA journal_mode = DELETE; CREATE TABLE t(a)"));
  CHECK(!fixture.read("SELECT count(*) FROM t").external_commit);
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open(fixture.file.c_str(), &other) == SQLITE_OK);
  CHECK(sqlite3_exec(other, "INSERT INTO t VALUES (1)", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(other);
  CHECK(fixture.read("SELECT count(*) FROM t").external_commit);
  CHECK(fixture.store->take_external_commit());
  CHECK(!fixture.store->take_external_commit());
}

TEST_CASE("the tables of a cached statement are analysed again when the schema changes") {
  ten_rows fixture;
  fixture.write("CREATE TABLE other(id INTEGER PRIMARY KEY, body TEXT, more)");
  fixture.write("CREATE VIEW v AS SELECT id, body FROM t");
  CHECK(fixture.read("SELECT * FROM v").reads->tables == names{"t"});
  must(fixture.external_process().exec(
    "BEGIN; DROP VIEW v; CREATE VIEW v AS SELECT id, body, more, random() AS r FROM other;"
    "INSERT INTO other VALUES (1, 'b', 'm'); COMMIT"));
  auto answer = fixture.read("SELECT * FROM v");
  CHECK(answer.reads->tables == names{"other"});
  CHECK(!answer.reads->deterministic);
  CHECK(answer.result.rows->columns() == names{"id", "body", "more", "r"});
  REQUIRE(answer.result.rows->size() == 1);
  CHECK(answer.result.rows->at(0, 2) == value{"m"});
}

TEST_CASE("a statement that SQLite prepares again for its values keeps its analysis") {
  ten_rows fixture;
  fixture.write("CREATE TABLE w(a TEXT COLLATE NOCASE)");
  fixture.write("CREATE INDEX wi ON w(a)");
  fixture.write("INSERT INTO w VALUES ('Abc')");
  for (const auto* pattern : {"ab%", "%c", "x%", "abc"}) {
    auto answer = fixture.read("SELECT count(*) FROM w WHERE a LIKE ?1", {pattern});
    CHECK(answer.result.rows->at(0, 0) == value{pattern == std::string{"x%"} ? 0 : 1});
    CHECK(answer.reads->tables == names{"w"});
  }
}

TEST_CASE("a file in another journal mode is read as it is, also while the writer takes it over") {
  store_fixture fixture;
  must(fixture.external_process().exec("PRAGMA journal_mode = DELETE; CREATE TABLE t(a); INSERT INTO t VALUES (1)"));
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{1});
  CHECK(!std::filesystem::exists(fixture.file.string() + "-wal"));
  fixture.write("INSERT INTO t VALUES (2)");
  CHECK(std::filesystem::exists(fixture.file.string() + "-wal"));
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{2});
}

TEST_CASE("a file with an exclusive lock of another process is busy") {
  store_fixture fixture;
  auto other = fixture.external_process();
  must(other.exec("PRAGMA journal_mode = DELETE; CREATE TABLE t(a); BEGIN EXCLUSIVE"));
  CHECK(failure_of(fixture.try_read("SELECT * FROM t")).code == errc::busy);
  must(other.exec("ROLLBACK"));
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{0});
}

TEST_CASE("a file that was deleted and created again is read again") {
  ten_rows fixture;
  fixture.read("SELECT count(*) FROM t");
  fixture.store.reset();
  for (const auto* suffix : {"", "-wal", "-shm"})
    std::filesystem::remove(fixture.file.string() + suffix);
  CHECK(failure_of(fixture.try_read("SELECT count(*) FROM t")).code == errc::unknown_database);
  must(fixture.external_process().exec("CREATE TABLE t(a)"));
  auto after = fixture.read("SELECT count(*) FROM t");
  CHECK(after.result.rows->at(0, 0) == value{0});
  CHECK(after.external_commit);
}

TEST_CASE("a read that ends after its time-out fails, even if nothing interrupted it") {
  // Each reading of the clock advances it by six seconds, and so does the query.
  class slow_clock : public fake_clock {
  public:
    steady now() const override {
      const_cast<slow_clock*>(this)->advance(std::chrono::seconds{6});
      return fake_clock::now();
    }
  };
  ten_rows fixture;
  slow_clock time;
  auto reader = sqlite::make_read_store(fixture.file, fixture.config, time);
  read_request request;
  request.query = {"SELECT 1", {}};
  auto limits = fixture.generous();
  limits.timeout = milliseconds{5'000};
  CHECK(failure_of(reader->run(request, limits)).code == errc::deadline_exceeded);
  limits.timeout = std::chrono::hours{1};
  CHECK(reader->run(request, limits));
}

TEST_CASE("a value beyond max_value_bytes is neither made nor read, and the next read goes on") {
  broker_config config;
  config.max_value_bytes = 100'000;
  store_fixture fixture{config};
  fixture.write("CREATE TABLE t(a)");
  must(fixture.external_process().exec("INSERT INTO t VALUES (zeroblob(200000))"));
  for (const auto* sql : {"SELECT zeroblob(100001)", "SELECT a FROM t", "SELECT instr(hex(zeroblob(60000)), '1')"}) {
    INFO(sql);
    auto error = failure_of(fixture.try_read(sql));
    CHECK(error.code == errc::too_large);
    CHECK_THAT(error.message, Catch::Contains("max_value_bytes"));
  }
  CHECK(fixture.read_one("SELECT length(a) FROM t") == value{200'000});
  CHECK(fixture.read_one("SELECT length(zeroblob(100000))") == value{100'000});
}

TEST_CASE("an answer has no more bytes than max_answer_bytes, whatever the request allows") {
  broker_config config;
  config.max_answer_bytes = 100'000;
  store_fixture fixture{config};
  fixture.write("CREATE TABLE t(a)");
  fixture.write(
    "INSERT INTO t SELECT zeroblob(1000) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
    "LIMIT 200) SELECT i FROM n)");
  auto limits = fixture.generous();
  limits.max_bytes = 1U << 30U;
  auto answer = fixture.read("SELECT a FROM t", {}, limits).result;
  CHECK(answer.truncated);
  CHECK(answer.rows->footprint() <= 100'000);
  CHECK(answer.rows->size() > 90);
}

TEST_CASE("a read without room among the answers under way is overloaded, until one of them is released") {
  ten_rows fixture;
  auto answers = std::make_shared<answer_budget>(1'000'000);
  auto reader = sqlite::make_read_store(fixture.file, fixture.config, machine_time(), {}, {}, answers);
  read_request request;
  request.query = {"SELECT zeroblob(600000)", {}};
  auto first = must(reader->run(request, fixture.generous()));
  CHECK((answers->used() >= 600'000 && answers->used() < 601'000));
  auto error = failure_of(reader->run(request, fixture.generous()));
  CHECK(error.code == errc::overloaded);
  CHECK(error.retry_after_ms > 0);
  CHECK_THAT(error.message, Catch::Contains("max_inflight_answer_bytes"));
  // Only the rows count towards the bound, wherever they are stored.
  auto rows = first.result.rows;
  first = {};
  CHECK(failure_of(reader->run(request, fixture.generous())).code == errc::overloaded);
  rows.reset();
  CHECK(answers->used() == 0);
  CHECK(reader->run(request, fixture.generous()));
  CHECK(answers->used() == 0);
}

} // namespace sluice::test::read_store_test
