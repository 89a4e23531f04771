#include "tests/support/buffer_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::buffer_journal_test {

using namespace std::chrono_literals;

namespace {

struct journaled : buffer_fixture {
  journaled() {
    journal = true;
    start();
  }
};

template <class T> const T& value_of(const actor_fixture::answer<T>& answer) {
  if (!ok(answer))
    throw std::logic_error(answer->has_value() ? describe((*answer)->error()).message : "no answer");
  return ***answer;
}

} // namespace

TEST_CASE_METHOD(journaled,
                 "with a journal a put is on disk when it is answered, in one transaction with concurrent ones",
                 "[buffer][journal]") {
  REQUIRE(value_of(upsert(1, {})).journaled);
  REQUIRE(disk.appends == 1);
  std::vector<answer<buffer_receipt>> group;
  for (auto i = 0; i < 5; ++i)
    group.push_back(send(a_put(buffer_operation::upsert, i, {})));
  run();
  for (const auto& each : group)
    REQUIRE(value_of(each).journaled);
  CHECK(disk.journal.size() == 6);
  CHECK(disk.appends < 6);
}

TEST_CASE_METHOD(journaled, "the journal drops operations that have been written", "[buffer][journal]") {
  upsert(1, {});
  upsert(1, {{"a", 1}});
  upsert(2, {});
  flush();
  REQUIRE(disk.journal.empty());
  REQUIRE(disk.batches.empty());
}

TEST_CASE_METHOD(journaled, "a buffer that is killed loses nothing, and keeps the order", "[buffer][journal]") {
  upsert(1, {{"a", 1}});
  put(a_put(buffer_operation::erase, 1));
  upsert(1, {{"b", 2}});
  restart();
  flush();
  REQUIRE(count("k = 1 AND a IS NULL AND b = 2") == 1);
  REQUIRE(disk.journal.empty());
}

TEST_CASE_METHOD(journaled, "a batch that was under way when the buffer was killed is applied once",
                 "[buffer][journal]") {
  static_cast<void>(db.file.execute({{"CREATE TABLE log(n)", {}}}));
  static_cast<void>(db.file.execute({{"CREATE TRIGGER w AFTER INSERT ON t BEGIN INSERT INTO log VALUES(1); END", {}}}));
  upsert(1, {});
  db.holds = true;
  flush();
  auto committed = GENERATE(true, false);
  if (committed)
    REQUIRE(db.execute(db.held.at(0)).engaged());
  auto key = db.held.at(0).idempotency_key;
  kill(aut);
  replace_writer();
  start();
  REQUIRE(db.requests.at(0).idempotency_key == key);
  REQUIRE(cell("SELECT count(*) FROM log") == value{1});
  REQUIRE(disk.journal.empty());
  // The audit still has the agent of the operation.
  CHECK(log.records.back().agent == "alice");
  CHECK(log.records.back().status == "committed");
}

TEST_CASE_METHOD(journaled, "a batch in the journal comes before new operations, and is halved when it is refused",
                 "[buffer][journal]") {
  upsert(1, {{"a", "first"}});
  upsert("poison", {});
  upsert(2, {});
  db.holds = true;
  flush();
  kill(aut);
  replace_writer();
  db.fail(errc::busy);
  start();
  upsert(1, {{"a", "second"}});
  auto report = value_of(flush());
  CHECK(report.flushed == 3);
  CHECK(report.set_aside == 1);
  REQUIRE(cell("SELECT a FROM t WHERE k = 1") == value{"second"});
  REQUIRE(count() == 2);
  REQUIRE(disk.rejects.size() == 1);
  REQUIRE(disk.journal.empty());
}

TEST_CASE("operations recovered from a journal keep their order across tables", "[buffer][journal]") {
  buffer_fixture f{
    {"CREATE TABLE t(k INTEGER PRIMARY KEY, a)", "CREATE TABLE c(k INTEGER PRIMARY KEY, t REFERENCES t(k))"}};
  f.journal = true;
  f.settings.tables = {{"app.db", "c", 5s, 9}};
  f.start();
  f.upsert(1, {});
  f.put(buffer_fixture::a_put(buffer_operation::upsert, 1, {{"t", 1}}, "c"));
  f.restart();
  f.flush();
  CHECK(f.status().rejected == 0);
  REQUIRE(f.cell("SELECT count(*) FROM c") == value{1});
}

TEST_CASE_METHOD(journaled, "a put that the journal refuses is refused", "[buffer][journal]") {
  disk.refuses = true;
  REQUIRE(failure_of(upsert(1, {})).code == errc::disk_full);
  REQUIRE(status().pending == 0);
  disk.refuses = false;
  REQUIRE(ok(upsert(1, {})));
}

TEST_CASE_METHOD(journaled, "no request is sent before the journal has recorded it", "[buffer][journal]") {
  upsert(1, {});
  disk.refuses = true;
  CHECK(value_of(flush()).kept == 1);
  REQUIRE(db.requests.empty());
  disk.refuses = false;
  CHECK(value_of(flush()).flushed == 1);
  REQUIRE(disk.journal.empty());
}

TEST_CASE_METHOD(journaled, "a journal that cannot drop operations at once drops them later", "[buffer][journal]") {
  upsert(1, {});
  db.holds = true;
  flush();
  disk.refuses = true;
  release();
  REQUIRE(count() == 1);
  REQUIRE(disk.journal.size() == 1);
  disk.refuses = false;
  upsert(2, {});
  flush();
  REQUIRE(disk.journal.empty());
}

TEST_CASE_METHOD(journaled, "the halves of a refused batch wait until the journal has ended the whole",
                 "[buffer][journal]") {
  upsert(1, {});
  upsert("poison", {});
  db.holds = true;
  auto waits = flush();
  disk.refuses = true;
  release();
  REQUIRE(value_of(waits).kept == 2);
  disk.refuses = false;
  auto report = value_of(flush());
  CHECK(report.flushed == 1);
  CHECK(report.set_aside == 1);
  REQUIRE(disk.journal.empty());
  REQUIRE(disk.batches.empty());
}

TEST_CASE_METHOD(buffer_fixture, "no put is accepted as long as the journal cannot be read", "[buffer][journal]") {
  disk.unreadable = true;
  disk.journal[1] = {a_put(buffer_operation::upsert, 1, {{"a", "old"}}), {}};
  disk.last_place = 1;
  start();
  REQUIRE(failure_of(upsert(1, {{"a", "new"}})).code == errc::corrupt);
  CHECK(status().last_error == "the journal cannot be read");
  disk.unreadable = false;
  REQUIRE(ok(upsert(1, {{"a", "new"}})));
  flush();
  REQUIRE(cell("SELECT a FROM t") == value{"new"});
  // The journal was read although new operations are not stored in it.
  REQUIRE(disk.journal.empty());
}

TEST_CASE_METHOD(journaled, "operations that cannot be written before the end stay in the journal",
                 "[buffer][journal]") {
  upsert(1, {});
  db.holds = true;
  auto closed = close();
  advance(10s);
  REQUIRE(ok(closed));
  REQUIRE(operator_messages.size() == 1);
  CHECK(operator_messages[0].second.find("stays in the journal") != std::string::npos);
  REQUIRE(disk.journal.size() == 1);
  REQUIRE(disk.rejects.empty());
  REQUIRE(log.records.empty());
  replace_writer();
  start();
  REQUIRE(count() == 1);
}

TEST_CASE_METHOD(buffer_fixture, "without a journal the file is not used", "[buffer][journal]") {
  start();
  auto calls = disk.calls;
  for (auto i = 0; i < 30; ++i)
    upsert(i, {});
  flush();
  REQUIRE(disk.calls == calls);
}

TEST_CASE_METHOD(journaled, "requeued rows are in the journal", "[buffer][journal]") {
  upsert("poison", {});
  flush();
  REQUIRE(disk.rejects.size() == 1);
  db.holds = true;
  REQUIRE(value_of(decide({}, false)) == 1);
  REQUIRE(disk.rejects.empty());
  REQUIRE(disk.journal.size() == 1);
}

TEST_CASE_METHOD(journaled, "rejected rows that cannot be requeued stay where they are", "[buffer][journal]") {
  upsert("poison", {});
  flush();
  REQUIRE(disk.rejects.size() == 1);
  auto id = disk.rejects.begin()->first;

  SECTION("because the file takes nothing") {
    disk.refuses_appends = true;
    REQUIRE(failure_of(decide({id}, false)).code == errc::disk_full);
    disk.refuses_appends = false;
  }
  SECTION("because no such row is meant") { REQUIRE(value_of(decide({id + 1}, false)) == 0); }
  REQUIRE(status().pending == 0);
  REQUIRE(disk.journal.empty());
  REQUIRE(disk.rejects.size() == 1);
  REQUIRE(disk.rejects.begin()->first == id);
  REQUIRE(value_of(rejected()).rows.size() == 1);
}

} // namespace sluice::test::buffer_journal_test
