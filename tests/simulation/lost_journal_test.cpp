#include "runtime/sqlite/buffer/buffer_store.hpp"
#include "tests/runtime/sqlite/buffer/buffer_fixture.hpp"
#include "tests/simulation/memory_machine.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::lost_journal_test {

namespace {

using memory_machine::machine;
using sqlite::disk_effect;
using sqlite::disk_operation;
using sqlite::test::put;

// The buffer's journal on a disk whose syncs fail.
struct failing_journal {
  explicit failing_journal(uint64_t seed, synchronous_mode synchronous = synchronous_mode::full)
    : at(seed), synchronous_(synchronous) {
    open();
    REQUIRE(append(1));
  }

  void open() { store = sqlite::open_buffer_store(at.file(), synchronous_); }

  caf::expected<uint64_t> append(int row) {
    std::vector<buffer_put> rows{put(row)};
    return store->append(rows);
  }

  void fail(disk_operation on, uint64_t times) {
    sqlite::disk_fault fault;
    fault.file = "app.db-wal";
    fault.on = on;
    fault.times = times;
    at.faults.inject(fault);
  }

  // The content after a crash.
  journal_content crash(bool power) {
    at.disk.cut_power();
    store.reset();
    at.faults.heal();
    power ? at.disk.restart(at.random) : at.disk.restart_after_kill();
    open();
    auto found = store->recover();
    REQUIRE(found);
    return std::move(*found);
  }

  size_t after_crash(bool power) { return crash(power).operations.size(); }

  machine at;
  std::unique_ptr<buffer_store> store;

private:
  synchronous_mode synchronous_;
};

outcome outcome_of(const caf::expected<uint64_t>& result) {
  REQUIRE_FALSE(result);
  return describe(result.error()).outcome;
}

} // namespace

TEST_CASE("an operation whose journal could not be synced does not come back after any crash") {
  for (auto power : {false, true})
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      INFO("power " << power << ", seed " << seed);
      failing_journal f{seed};
      f.fail(disk_operation::sync, 1);
      CHECK(outcome_of(f.append(2)) == outcome::not_committed);
      CHECK(f.after_crash(power) == 1);
    }
}

TEST_CASE("an operation whose journal could not be written does not come back after any crash") {
  for (auto power : {false, true}) {
    failing_journal f{1};
    f.fail(disk_operation::write, 1);
    CHECK(outcome_of(f.append(2)) == outcome::not_committed);
    CHECK(f.after_crash(power) == 1);
  }
}

TEST_CASE(
  "while the disk does not sync, the outcome of an operation is unknown, and none follows it into the journal") {
  failing_journal f{1};
  f.fail(disk_operation::sync, 0);
  CHECK(outcome_of(f.append(2)) == outcome::unknown);
  CHECK(outcome_of(f.append(3)) == outcome::not_committed);
  f.at.faults.heal();
  REQUIRE(f.append(4));
  CHECK(f.after_crash(true) == 2);
}

TEST_CASE("a batch that has begun is known after a power cut, even where nothing else waits for the disk") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    failing_journal f{seed, synchronous_mode::normal};
    REQUIRE(f.store->begin_batch(sqlite::test::batch("key", {1})));
    auto syncs = f.at.faults.count("app.db-wal", disk_operation::sync);
    REQUIRE(f.append(2));
    CHECK(f.at.faults.count("app.db-wal", disk_operation::sync) == syncs);
    auto found = f.crash(true);
    REQUIRE(found.batches.size() == 1);
    CHECK(found.batches[0].idempotency_key == "key");
  }
}

} // namespace sluice::test::lost_journal_test
