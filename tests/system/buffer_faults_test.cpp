#include "actors/buffer/row_statement.hpp"
#include "tests/support/audit_records.hpp"
#include "tests/support/buffer_model.hpp"
#include "tests/support/plain_database.hpp"
#include "tests/system/fixture.hpp"

#include <csignal>
#include <mutex>
#include <random>
#include <sys/resource.h>

namespace sluice::test::buffer_faults_test {

using namespace std::chrono_literals;

namespace {

constexpr auto make_table = "CREATE TABLE t(k INTEGER PRIMARY KEY, a)";

struct buffered : one_database {
  template <class Change> explicit buffered(Change change) : one_database(change) {
    must(db.write("tester", make_table));
  }
  buffered() : buffered([](broker_config&) {}) {}

  static buffer_put a_put(value key, value a = {}) {
    buffer_put result;
    result.row = {"app.db", "t", {{"k", std::move(key)}}};
    result.values = {{"a", std::move(a)}};
    result.agent = "alice";
    return result;
  }

  void put(int64_t from, int64_t to) {
    for (auto i = from; i < to; ++i)
      must(host.buffer().put(a_put(i, "x")));
  }

  int64_t rows() const { return number("SELECT count(*) FROM t"); }
  buffer_status status() const { return host.status().buffer; }

  void kill_buffer() {
    auto restarts = host.status().restarts;
    caf::anon_send_exit(host.actors().buffer(), caf::exit_reason::kill);
    await([&] { return host.status().restarts > restarts; });
  }
};

} // namespace

TEST_CASE("rows are in the database an interval after they were put, and the audit has their agent",
          "[system][buffer]") {
  buffered f{[](broker_config& c) { c.buffer_interval = 20ms; }};
  f.put(0, 3);
  await([&] { return f.rows() == 3; });
  audit_query query;
  query.agent = "alice";
  await([&] {
    auto page = must(f.host.audit(query));
    return page.records.size() == 1 && page.records[0].type == request_type::buffered && page.records[0].count == 3;
  });
  f.require_serving();
}

TEST_CASE("an external lock delays a flush and loses nothing", "[system][buffer]") {
  buffered f{[](broker_config& c) {
    c.busy_timeout = 1ms;
    c.retry_attempts = 0;
  }};
  f.put(0, 10);
  {
    external_process other{f.file()};
    other.run("BEGIN IMMEDIATE");
    auto report = must(f.host.buffer().flush());
    CHECK(report.kept == 10);
    CHECK(report.flushed == 0);
    CHECK(!report.reason.empty());
    CHECK(!f.status().last_error.empty());
    other.run("ROLLBACK");
  }
  CHECK(must(f.host.buffer().flush()).flushed == 10);
  REQUIRE(f.rows() == 10);
  CHECK(f.status().pending == 0);
  f.require_serving();
}

TEST_CASE("a full disk delays a flush and loses nothing", "[system][buffer]") {
  buffered f{[](broker_config& c) { c.checkpoint_wal_bytes = 1ULL << 36U; }};
  f.put(0, 50);
  struct rlimit before {};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto* on_limit = std::signal(SIGXFSZ, SIG_IGN);
  auto bound = before;
  bound.rlim_cur = 4'096;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &bound) == 0);
  auto report = f.host.buffer().flush();
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, on_limit);
  CHECK(must(std::move(report)).kept == 50);
  CHECK(must(f.host.buffer().flush()).flushed == 50);
  REQUIRE(f.rows() == 50);
  f.require_serving();
}

TEST_CASE("a writer that is killed during a flush is replaced, and each row is written once", "[system][buffer]") {
  buffered f{[](broker_config& c) { c.busy_timeout = 1ms; }};
  must(f.db.write("tester", "CREATE TABLE log(k)"));
  must(f.db.write("tester", "CREATE TRIGGER w AFTER INSERT ON t BEGIN INSERT INTO log VALUES(new.k); END"));
  f.put(0, 20);
  external_process other{f.file()};
  other.run("BEGIN IMMEDIATE");
  auto flush = std::async(std::launch::async, [&] { return f.host.buffer().flush(); });
  // The flush waits for the lock.
  await([&] { return f.db.status().retry.lock_errors > 0; });
  caf::anon_send_exit(f.host.actors().context("app.db").route()->writer, caf::exit_reason::kill);
  CHECK(must(flush.get()).kept == 20);
  other.run("ROLLBACK");
  await([&] { return f.host.status().restarts > 0; });
  await([&] { return must(f.host.buffer().flush()).kept == 0 && f.status().pending == 0; });
  REQUIRE(f.number("SELECT count(*) FROM log") == 20);
  f.require_serving();
}

TEST_CASE("a broker writes all pending rows before it ends", "[system][buffer]") {
  buffered f{[](broker_config& c) {
    c.buffer_batch = 1'000;
    c.buffer_interval = 3'600s;
  }};
  f.put(0, 700);
  REQUIRE(f.status().pending == 700);
  f.host.shutdown();
  REQUIRE(integer_of(f.file(), "SELECT count(*) FROM t") == 700);
  auto records = audit_records_in(f.folder / ".sluice/audit.db");
  std::erase_if(records, [](const audit_record& record) { return record.agent != "alice"; });
  REQUIRE(records.size() == 1);
  CHECK(records[0].count == 700);
  require_sound(f.file());
}

TEST_CASE("rows that a damaged ledger keeps from being written outlive an orderly end", "[system][buffer]") {
  buffered f{[](broker_config& c) { c.buffer_interval = 3'600s; }};
  std::mutex mutex;
  std::vector<std::string> warnings;
  f.host.on_warning([&](std::string_view text) {
    std::lock_guard guard{mutex};
    warnings.emplace_back(text);
  });
  f.put(0, 3);
  external_process{f.file()}.run("CREATE TRIGGER evil AFTER INSERT ON _sluice_keys BEGIN SELECT 1; END");
  SECTION("with the rows that were refused, and can be put back") {
    auto before = std::chrono::steady_clock::now();
    REQUIRE(!f.host.shutdown());
    CHECK(std::chrono::steady_clock::now() - before < 5s);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].find("3 buffered rows could not be written") == 0);
    CHECK(warnings[0].find("evil") != std::string::npos);
    CHECK(count_audit_records(f.folder / ".sluice/audit.db",
                              [](const audit_record& record) {
                                return record.type == request_type::write && record.status == "ledger_damaged";
                              })
          == 1);
    external_process{f.file()}.run("DROP TRIGGER evil");
    auto next = open_broker(f.folder.path());
    CHECK(must(next.buffer().rejected()).rows.at(0).code == errc::ledger_damaged);
    REQUIRE(must(next.buffer().requeue({})) == 3);
    REQUIRE(must(next.buffer().flush()).flushed == 3);
  }
  SECTION("or the broker says that they were lost") {
    std::filesystem::create_directory(f.folder / ".sluice/buffer.db");
    auto lost = describe(f.host.shutdown());
    CHECK(lost.code == errc::unavailable);
    CHECK(lost.message.find("3 buffered rows were lost") == 0);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0] == lost.message);
  }
}

TEST_CASE("a rejected row in the middle of a batch is kept, and can be corrected", "[system][buffer]") {
  buffered f;
  f.put(0, 30);
  must(f.host.buffer().put(buffered::a_put("poison")));
  f.put(30, 60);
  auto report = must(f.host.buffer().flush());
  CHECK(report.flushed == 60);
  CHECK(report.set_aside == 1);
  REQUIRE(f.rows() == 60);
  auto page = must(f.host.buffer().rejected());
  REQUIRE(page.rows.size() == 1);
  CHECK(page.rows[0].code == errc::sql_error);
  CHECK(f.status().set_aside == 1);
  must(f.db.write("tester", "DROP TABLE t"));
  must(f.db.write("tester", "CREATE TABLE t(k PRIMARY KEY, a)"));
  REQUIRE(must(f.host.buffer().requeue({page.rows[0].id})) == 1);
  CHECK(must(f.host.buffer().flush()).flushed == 1);
  REQUIRE(f.rows() == 1);
}

TEST_CASE("a put that fits no table is refused with the name of the error", "[system][buffer]") {
  buffered f;
  auto nowhere = buffered::a_put(1);
  nowhere.row.table = "nowhere";
  CHECK(refused(f.host.buffer().put(nowhere)).message == "no such table: nowhere");
  auto no_key = buffered::a_put(1);
  std::swap(no_key.row.columns, no_key.values);
  CHECK(refused(f.host.buffer().put(no_key)).code == errc::invalid_request);
  // The buffer knows a changed schema at once.
  must(f.db.write("tester", "CREATE TABLE nowhere(k INTEGER PRIMARY KEY, a)"));
  must(f.host.buffer().put(nowhere));
}

TEST_CASE("a buffer that is killed loses its pending rows, reports it, and is replaced", "[system][buffer]") {
  buffered f;
  f.put(0, 5);
  f.kill_buffer();
  // The registry has the successor before it has started.
  await([&] { return f.status().last_error.find("5 rows were lost") != std::string::npos; });
  f.put(5, 6);
  CHECK(must(f.host.buffer().flush()).flushed == 1);
  REQUIRE(f.rows() == 1);
}

TEST_CASE("with a journal a buffer that is killed again and again loses nothing", "[system][buffer]") {
  buffered f{[](broker_config& c) {
    c.buffer_journal = true;
    c.buffer_batch = 7;
    c.restart_limit = 100;
  }};
  for (auto round = 0; round < 5; ++round) {
    f.put(round * 20, round * 20 + 20);
    f.kill_buffer();
  }
  must(f.host.buffer().flush());
  await([&] { return f.status().pending == 0; });
  REQUIRE(f.rows() == 100);
  f.require_serving();
}

TEST_CASE(
  "through the broker, every kind of table has the same final content as if each operation had been executed at once",
  "[system][buffer][property]") {
  temp_dir folder;
  auto host = open_broker(folder.path(), [](broker_config& c) {
    c.synchronous = synchronous_mode::normal;
    c.buffer_batch = 5;
    c.buffer_max_pending = 10'000;
  });
  std::mt19937 dice{7};
  auto number = 0;
  for (const auto& schema : sampled_schemas()) {
    INFO(schema.sql[0]);
    plain_database model{schema.sql};
    auto name = "db" + std::to_string(number++) + ".db";
    auto db = must(host.open_database(name));
    for (const auto& sql : schema.sql)
      must(db.write("tester", sql));
    auto style = random_style(dice, schema);
    for (auto i = 0; i < 60; ++i) {
      auto result = random_put(dice, schema, style);
      result.row.db = name;
      if (host.buffer().put(result))
        static_cast<void>(model.execute({statement_of(result)}));
      if (dice() % 20 == 0)
        must(host.buffer().flush());
    }
    must(host.buffer().flush());
    for (const auto& table : schema.tables) {
      auto rows = must(db.read("tester", query_of({name, table.name, {{table.keys[0][0], 1}}}).sql, {value{1}})).rows;
      auto expected = model.query(query_of({name, table.name, {{table.keys[0][0], 1}}}));
      REQUIRE(rows->size() == expected.size());
      for (size_t i = 0; i < rows->size(); ++i)
        for (size_t j = 0; j < rows->columns().size(); ++j)
          CHECK(text_of(rows->at(i, j)) == text_of(expected.at(i, j)));
    }
  }
}

} // namespace sluice::test::buffer_faults_test
