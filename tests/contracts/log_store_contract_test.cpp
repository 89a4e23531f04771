// Contract tests of log_store (actors/log/log_store.hpp), run on the fake of the actors' tests and on the SQLite store.

#include "runtime/sqlite/log/log_file.hpp"
#include "tests/runtime/sqlite/files/file_fixture.hpp"
#include "tests/support/fake_log_store.hpp"

#include <limits>

namespace sluice::test::log_store_contract_test {

namespace {

class fake_log {
public:
  std::unique_ptr<log_store> open() { return std::make_unique<fake_log_store>(file_); }

  void refuse_appends(bool refuses) { file_.fault = refuses ? std::optional{errc::disk_full} : std::nullopt; }

private:
  fake_log_file file_;
};

class sqlite_log {
public:
  std::unique_ptr<log_store> open() { return sqlite::make_log_store(path_); }

  // Fails with the second entry, so that the first must be rolled back.
  void refuse_appends(bool refuses) {
    other_program{path_}.run(refuses ? "CREATE TRIGGER full BEFORE INSERT ON log WHEN NEW.message = 'second'"
                                       " BEGIN SELECT RAISE(ABORT, 'full'); END"
                                     : "DROP TRIGGER full");
  }

private:
  temp_dir folder_;
  fs::path path_ = folder_ / "logs.db";
};

log_entry entry(std::string message, int64_t ts_us = 1, log_level level = log_level::info, std::string source = "test",
                std::string agent = {}) {
  return {0, ts_us, level, std::move(source), std::move(agent), std::move(message)};
}

void append(log_store& aut, const std::vector<log_entry>& entries) { must(aut.append(entries)); }

std::vector<std::string> texts(log_store& aut, const log_query& query = {}) {
  std::vector<std::string> result;
  for (const auto& each : must(aut.list(query)).entries)
    result.push_back(each.message);
  return result;
}

std::vector<uint64_t> ids(log_store& aut) {
  std::vector<uint64_t> result;
  for (const auto& each : must(aut.list({})).entries)
    result.push_back(each.id);
  return result;
}

using names = std::vector<std::string>;
using places = std::vector<uint64_t>;

} // namespace

TEMPLATE_TEST_CASE("a log store lists its entries unchanged, numbered from 1", "[contract]", fake_log, sqlite_log) {
  TestType subject;
  auto aut = subject.open();
  CHECK(texts(*aut).empty());
  append(*aut, {entry("one", -5, log_level::critical, "source", "alice")});
  append(*aut, {entry("two"), entry("three")});
  aut = subject.open();
  auto page = must(aut->list({}));
  CHECK_FALSE(page.truncated);
  REQUIRE(page.entries.size() == 3);
  const auto& first = page.entries[0];
  CHECK(first.ts_us == -5);
  CHECK(first.level == log_level::critical);
  CHECK(first.source == "source");
  CHECK(first.agent == "alice");
  CHECK(texts(*aut) == names{"one", "two", "three"});
  CHECK(ids(*aut) == places{1, 2, 3});
}

TEMPLATE_TEST_CASE("a log store lists the entries that match every filter", "[contract]", fake_log, sqlite_log) {
  TestType subject;
  auto aut = subject.open();
  append(*aut, {entry("one apple", 10, log_level::debug, "a", "alice"), entry("two", 20, log_level::warning, "b"),
                entry("three Apple", 30, log_level::error, "a", "bob"), entry("50% off_", 40)});
  auto with = [&](auto change) {
    log_query query;
    change(query);
    return texts(*aut, query);
  };
  CHECK(with([](auto& q) { q.least = log_level::warning; }) == names{"two", "three Apple"});
  CHECK(with([](auto& q) { q.source = "a"; }) == names{"one apple", "three Apple"});
  CHECK(with([](auto& q) { q.agent = "bob"; }) == names{"three Apple"});
  CHECK(with([](auto& q) { q.contains = "apple"; }) == names{"one apple"});
  CHECK(with([](auto& q) { q.contains = "%"; }) == names{"50% off_"});
  CHECK(with([](auto& q) { q.since_us = 30; }) == names{"three Apple", "50% off_"});
  CHECK(with([](auto& q) { q.after_id = 3; }) == names{"50% off_"});
  CHECK(with([](auto& q) { q.after_id = std::numeric_limits<uint64_t>::max(); }).empty());
}

TEMPLATE_TEST_CASE("a page of the log is cut at its beginning, or without `newest` at its end", "[contract]", fake_log,
                   sqlite_log) {
  TestType subject;
  auto aut = subject.open();
  append(*aut, {entry("one"), entry("two"), entry("three")});
  log_query query;
  query.limit = 2;
  CHECK(texts(*aut, query) == names{"two", "three"});
  query.newest = false;
  CHECK(texts(*aut, query) == names{"one", "two"});
  query.after_id = 1;
  CHECK(texts(*aut, query) == names{"two", "three"});
  query.limit = 0;
  CHECK(texts(*aut, query).empty());
  query.limit = std::numeric_limits<uint64_t>::max();
  CHECK(texts(*aut, query).size() == 2);
}

TEMPLATE_TEST_CASE("pruning a log removes older entries, and numbers are not reused", "[contract]", fake_log,
                   sqlite_log) {
  TestType subject;
  auto aut = subject.open();
  CHECK(must(aut->prune(1'000)) == 0);
  append(*aut, {entry("old", 10), entry("new", 20)});
  CHECK(must(aut->prune(20)) == 1);
  CHECK(texts(*aut) == names{"new"});
  CHECK(must(aut->prune(1'000)) == 1);
  CHECK(must(aut->prune(1'000)) == 0);
  aut = subject.open();
  append(*aut, {entry("next", 30)});
  CHECK(ids(*aut) == places{3});
}

TEMPLATE_TEST_CASE("an append to the log that fails appends nothing, and the next one may work", "[contract]", fake_log,
                   sqlite_log) {
  TestType subject;
  auto aut = subject.open();
  append(*aut, {entry("zero")});
  const std::vector<log_entry> both{entry("first"), entry("second")};
  subject.refuse_appends(true);
  CHECK_FALSE(aut->append(both));
  subject.refuse_appends(false);
  CHECK(texts(*aut) == names{"zero"});
  append(*aut, both);
  CHECK(texts(*aut) == names{"zero", "first", "second"});
  CHECK(ids(*aut) == places{1, 2, 3});
}

} // namespace sluice::test::log_store_contract_test
