#include "tests/support/buffer_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::buffer_closing_test {

using namespace std::chrono_literals;

TEST_CASE_METHOD(started_buffer, "closing writes everything, also when the contexts admit no more requests",
                 "[buffer]") {
  for (auto i = 0; i < 5; ++i)
    upsert(i, {});
  failure closed;
  closed.code = errc::unavailable;
  actors->context("app.db").close(closed, false);
  REQUIRE(ok(close()));
  REQUIRE(count() == 5);
  REQUIRE(status().pending == 0);
}

TEST_CASE_METHOD(started_buffer, "closing gives up after a while, and keeps unwritten rows with the rejected rows",
                 "[buffer]") {
  upsert(1, {});
  upsert(2, {});
  db.holds = true;
  auto closed = close();
  CHECK(failure_of(upsert(3, {})).code == errc::unavailable);
  advance(9'999ms);
  REQUIRE(!closed->has_value());
  advance(1ms);
  REQUIRE(ok(closed));
  auto records = buffered_records();
  REQUIRE(records.size() == 1);
  CHECK(records[0].count == 2);
  CHECK(records[0].status == "unavailable");
  REQUIRE(disk.rejects.size() == 2);
  // The outcome of its request is unknown.
  CHECK(disk.rejects[1].message.find("it may be in the database") != std::string::npos);
  CHECK(disk.rejects[1].operation.row.columns[0].content == value{1});
  REQUIRE(operator_messages.size() == 1);
  CHECK(operator_messages[0].first == log_level::warning);
  CHECK(operator_messages[0].second.find("2 buffered rows could not be written") == 0);
  CHECK(status().pending == 0);
  CHECK(status().set_aside == 2);
}

TEST_CASE_METHOD(started_buffer,
                 "a database that has to be repaired is asked once while closing, and its rows are kept", "[buffer]") {
  upsert(1, {{"a", 1}});
  upsert(2, {});
  auto code = GENERATE(errc::ledger_damaged, errc::corrupt, errc::read_only);
  db.fail(code);
  REQUIRE(ok(close()));
  CHECK(db.requests.size() == 1);
  REQUIRE(disk.rejects.size() == 2);
  CHECK(disk.rejects[1].code == code);
  CHECK(disk.rejects[1].message == "the broker ended before it was written: scripted");
  CHECK(operator_messages.at(0).second.find(": scripted") != std::string::npos);
  start();
  REQUIRE(value_of(decide({}, false)) == 2);
  REQUIRE(value_of(flush()).flushed == 2);
  REQUIRE(cell("SELECT a FROM t WHERE k = 1") == value{1});
}

TEST_CASE_METHOD(started_buffer, "a temporary failure is retried a few times while closing", "[buffer]") {
  upsert(1, {});
  for (auto i = 0; i < 100; ++i)
    db.fail(errc::disk_full);
  auto closed = close();
  for (auto i = 0; i < 100; ++i)
    advance(100ms);
  REQUIRE(ok(closed));
  CHECK(db.requests.size() > 5);
  CHECK(db.requests.size() < 15);
  REQUIRE(disk.rejects.size() == 1);
}

TEST_CASE_METHOD(started_buffer, "closing reports the rows that are lost when the file of rejected rows refuses them",
                 "[buffer]") {
  upsert(1, {});
  db.fail(errc::ledger_damaged);
  disk.refuses = true;
  auto lost = failure_of(close());
  CHECK(lost.code == errc::unavailable);
  CHECK(lost.message.find("1 buffered row was lost") == 0);
  CHECK(lost.message.find("no space for the buffer's file") != std::string::npos);
  REQUIRE(operator_messages.size() == 1);
  CHECK(operator_messages[0].first == log_level::error);
  CHECK(status().last_error == lost.message);
}

} // namespace sluice::test::buffer_closing_test
