#include "actors/buffer/flush_waiters.hpp"
#include "tests/support/fake_clock.hpp"

#include <catch2/catch.hpp>

#include <optional>

namespace sluice::test::flush_waiters_test {

namespace {

using verdict = flush_outcome::verdict;

// The outcome of a request with one row for each number.
flush_outcome outcome_of(verdict result, std::string db, std::vector<uint64_t> numbers = {}, std::string table = "t") {
  flush_outcome outcome;
  outcome.result = result;
  outcome.db = std::move(db);
  outcome.error.message = "scripted";
  for (auto number : numbers) {
    auto& operation = outcome.completed.emplace_back();
    operation.put.row.table = table;
    operation.number = number;
  }
  return outcome;
}

struct waiters_fixture {
  void add(std::string table, uint64_t number, std::set<std::string> databases) {
    waiters.add(table, number, std::move(databases), [this](const flush_report& result) { report = result; });
  }

  // A database with pending rows in `t` for the operations with these numbers.
  buffered_database database_with(const std::vector<uint64_t>& numbers) {
    buffered_database db{"app.db", settings, time, ids};
    for (auto number : numbers) {
      checked_operation operation;
      operation.put.row = {"app.db", "t", {{"k", static_cast<int64_t>(number)}}};
      db.add(std::move(operation), number, time.now());
    }
    return db;
  }

  write_behind_settings settings;
  fake_clock time;
  request_ids ids{1};
  flush_waiters waiters;
  std::optional<flush_report> report;
};

} // namespace

TEST_CASE("a flush is answered with the rows written and rejected, when none of its rows waits any more",
          "[flush_waiters]") {
  waiters_fixture f;
  f.add({}, 3, {"app.db"});
  auto left = f.database_with({3});
  f.waiters.finish(outcome_of(verdict::written, "app.db", {1}), &left);
  f.waiters.finish(outcome_of(verdict::halved, "app.db"), &left);
  CHECK_FALSE(f.report);
  f.waiters.finish(outcome_of(verdict::rejected, "app.db", {2}), &left);
  CHECK_FALSE(f.report);
  f.waiters.finish(outcome_of(verdict::written, "app.db", {3}), nullptr);
  REQUIRE(f.report);
  CHECK(f.report->flushed == 2);
  CHECK(f.report->set_aside == 1);
  CHECK(f.report->kept == 0);
}

TEST_CASE("a flush neither waits for nor counts later puts", "[flush_waiters]") {
  waiters_fixture f;
  f.add({}, 1, {"app.db"});
  auto later = f.database_with({2, 3});
  f.waiters.finish(outcome_of(verdict::written, "app.db", {1, 4}), &later);
  REQUIRE(f.report);
  CHECK(f.report->flushed == 1);
}

TEST_CASE("a flush of one table counts its rows only, however the name is written", "[flush_waiters]") {
  waiters_fixture f;
  f.add("T", 9, {"app.db"});
  auto left = f.database_with({3});
  f.waiters.finish(outcome_of(verdict::written, "app.db", {1}, "u"), &left);
  f.waiters.finish(outcome_of(verdict::written, "app.db", {2}, "t"), nullptr);
  REQUIRE(f.report);
  CHECK(f.report->flushed == 1);
}

TEST_CASE("a flush ends when rows of a database could not be written this time, with the reason", "[flush_waiters]") {
  waiters_fixture f;
  f.add({}, 2, {"app.db", "other.db"});
  auto left = f.database_with({1, 2});
  f.waiters.finish(outcome_of(verdict::kept, "app.db"), &left);
  CHECK_FALSE(f.report);
  f.waiters.finish(outcome_of(verdict::written, "other.db", {1}), nullptr);
  REQUIRE(f.report);
  CHECK(f.report->kept == 2);
  CHECK(f.report->flushed == 1);
  CHECK(f.report->reason == "scripted");
}

TEST_CASE("a caller that was answered by a flush may wait for another one", "[flush_waiters]") {
  flush_waiters waiters;
  auto calls = 0;
  waiters.add({}, 1, {"app.db"}, [&](const flush_report&) {
    ++calls;
    waiters.add({}, 2, {"app.db"}, [&](const flush_report&) { ++calls; });
  });
  waiters.finish(outcome_of(verdict::written, "app.db", {1}), nullptr);
  CHECK(calls == 1);
  waiters.finish(outcome_of(verdict::written, "app.db", {2}), nullptr);
  CHECK(calls == 2);
}

} // namespace sluice::test::flush_waiters_test
