#include "runtime/sqlite/ledger/failed_commit.hpp"
#include "runtime/sqlite/ledger/ledger.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/simulation/memory_machine.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>
#include <string>

namespace sluice::test::lost_commit_test {

namespace {

using memory_machine::machine;
using memory_machine::plain;
using sqlite::disk_effect;
using sqlite::disk_operation;

// The crash of the machine, or only of the process, before the file is opened again.
enum class crash : uint8_t { process, power };

// A database on a disk that can fail. Another connection has it open, so that its WAL is not recovered.
struct broken_fixture {
  explicit broken_fixture(uint64_t seed = 1, broker_config config = {}) : at(seed) {
    fixture.emplace(std::move(config));
    fixture->write("CREATE TABLE t(a, pad)");
    fixture->write("INSERT INTO t VALUES ('before', NULL)");
    other.emplace(fixture->file);
    REQUIRE(other->number("SELECT count(*) FROM t") == 1);
  }

  void inject(disk_operation on, disk_effect effect, uint64_t times, uint64_t skip = 0) {
    sqlite::disk_fault fault;
    fault.file = "app.db-wal";
    fault.on = on;
    fault.effect = effect;
    fault.times = times;
    fault.skip = skip;
    at.faults.inject(fault);
  }

  // Tries to commit a row in about so many pages.
  failure fail_to_write(int pages) {
    auto request = request_of("INSERT INTO t VALUES ('lost', zeroblob(?))", {pages * 4'000});
    auto begun = must(fixture->store->begin());
    tried = begun.next_seq;
    must(fixture->store->execute(request, no_deadline));
    return failure_of(commit_of(*fixture->store, begun, request));
  }

  uint64_t wal(disk_operation on) const { return at.faults.count("app.db-wal", on); }

  // Whether the row is there after a crash; the file has to be sound.
  bool comes_back(crash kind) {
    at.disk.cut_power();
    auto file = fixture->file;
    fixture->store.reset();
    fixture->reader.reset();
    other.reset();
    at.faults.heal();
    kind == crash::power ? at.disk.restart(at.random) : at.disk.restart_after_kill();
    plain db{file};
    CHECK(db.text("PRAGMA integrity_check") == "ok");
    CHECK(db.number("SELECT count(*) FROM t WHERE a = 'before'") == 1);
    return db.number("SELECT count(*) FROM t WHERE a = 'lost'") == 1;
  }

  machine at;
  std::optional<store_fixture> fixture;
  std::optional<plain> other;
  uint64_t tried = 0;
};

} // namespace

TEST_CASE("a COMMIT whose sync failed comes back after a crash if its outcome was not determined") {
  int back = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    broken_fixture f{seed};
    f.inject(disk_operation::sync, disk_effect::io_error, 1);
    CHECK(f.fail_to_write(3).code == errc::io_error);
    CHECK(f.other->number("SELECT count(*) FROM t") == 1);
    back += f.comes_back(seed % 2 == 0 ? crash::process : crash::power) ? 1 : 0;
  }
  CHECK(back >= 10);
  CHECK(back < 20);
}

TEST_CASE("a COMMIT whose sync failed and that is not committed never comes back, whatever its length and the crash") {
  for (auto pages : {0, 1, 3, 40})
    for (auto kind : {crash::process, crash::power})
      for (uint64_t seed = 1; seed <= 8; ++seed) {
        INFO(pages << " pages, crash " << static_cast<int>(kind) << ", seed " << seed);
        broken_fixture f{seed};
        f.inject(disk_operation::sync, disk_effect::io_error, 1);
        CHECK(f.fail_to_write(pages).code == errc::io_error);
        CHECK(!must(f.fixture->store->committed(f.tried)));
        CHECK(!f.comes_back(kind));
      }
}

TEST_CASE("commits after a lost COMMIT are there after a crash, and the lost one is not") {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    INFO("seed " << seed);
    broken_fixture f{seed};
    f.inject(disk_operation::sync, disk_effect::io_error, 1);
    f.fail_to_write(40);
    CHECK(!must(f.fixture->store->committed(f.tried)));
    auto result = f.fixture->write("INSERT INTO t VALUES ('behind', NULL)");
    CHECK(result.commit_seq == f.tried);
    auto file = f.fixture->file;
    CHECK(!f.comes_back(crash::power));
    CHECK(plain{file}.number("SELECT count(*) FROM t WHERE a = 'behind'") == 1);
  }
}

TEST_CASE("while the disk does not sync, the outcome of a COMMIT is unknown") {
  broken_fixture f;
  f.inject(disk_operation::sync, disk_effect::io_error, 0);
  f.fail_to_write(3);
  CHECK(failure_of(f.fixture->store->committed(f.tried)).code == errc::io_error);
  CHECK(!f.fixture->store->in_transaction());
  // Once the disk syncs again, the outcome is determined.
  f.at.faults.heal();
  CHECK(!must(f.fixture->store->committed(f.tried)));
  CHECK(!f.comes_back(crash::power));
}

TEST_CASE("while another process holds the lock, the outcome of a COMMIT is unknown") {
  broken_fixture f;
  f.inject(disk_operation::sync, disk_effect::io_error, 1);
  f.fail_to_write(3);
  REQUIRE(f.other->run("BEGIN IMMEDIATE"));
  CHECK(failure_of(f.fixture->store->committed(f.tried)).code == errc::busy);
  REQUIRE(f.other->run("ROLLBACK"));
  CHECK(!must(f.fixture->store->committed(f.tried)));
}

TEST_CASE("a COMMIT that could not be written as a whole is not committed, without another write") {
  auto effect = GENERATE(disk_effect::io_error, disk_effect::full);
  for (uint64_t skip = 0; skip < 8; ++skip)
    for (auto kind : {crash::process, crash::power}) {
      INFO("write " << skip);
      broken_fixture f{skip + 1};
      f.inject(disk_operation::write, effect, 0, skip);
      CHECK(f.fail_to_write(3).code == (effect == disk_effect::full ? errc::disk_full : errc::io_error));
      auto writes = f.wal(disk_operation::write);
      auto syncs = f.wal(disk_operation::sync);
      CHECK(!must(f.fixture->store->committed(f.tried)));
      CHECK(f.wal(disk_operation::write) == writes);
      // The check opens the file.
      CHECK(f.wal(disk_operation::sync) == syncs + 1);
      CHECK(!f.comes_back(kind));
    }
}

TEST_CASE("the first commit of a file does not come back either") {
  for (auto kind : {crash::process, crash::power}) {
    machine at{1};
    store_fixture fixture;
    must(fixture.external_process().exec("CREATE TABLE theirs(a)"));
    std::optional<plain> other{std::in_place, fixture.file};
    REQUIRE(other->number("SELECT count(*) FROM theirs") == 0);
    auto begun = must(fixture.store->begin());
    must(fixture.store->execute(request_of("CREATE TABLE t(a)"), no_deadline));
    sqlite::disk_fault fault;
    fault.file = "app.db-wal";
    fault.on = disk_operation::sync;
    // The first sync is that of the header of a new WAL.
    fault.skip = 1;
    at.faults.inject(fault);
    CHECK(failure_of(commit_of(*fixture.store, begun, request_of("SELECT 1"))).code == errc::io_error);
    CHECK(!must(fixture.store->committed(begun.next_seq)));
    at.disk.cut_power();
    fixture.store.reset();
    other.reset();
    kind == crash::power ? at.disk.restart(at.random) : at.disk.restart_after_kill();
    plain db{fixture.file};
    CHECK(db.number("SELECT count(*) FROM sqlite_schema") == 1);
  }
}

TEST_CASE("overwriting a lost COMMIT changes nothing visible, and is not an external commit") {
  broken_fixture f;
  must(f.fixture->external_process().exec("PRAGMA user_version = 7"));
  must(f.fixture->store->begin());
  f.fixture->store->rollback();
  f.inject(disk_operation::sync, disk_effect::io_error, 1);
  f.fail_to_write(3);
  CHECK(!must(f.fixture->store->committed(f.tried)));
  CHECK(f.fixture->store->is_open());
  auto begun = must(f.fixture->store->begin());
  CHECK(!begun.external_commit);
  CHECK(begun.next_seq == f.tried);
  f.fixture->store->rollback();
  CHECK(f.other->number("PRAGMA user_version") == 7);
  CHECK(f.other->number("SELECT count(*) FROM t") == 1);
}

TEST_CASE("overwriting a lost COMMIT syncs once where commits do not sync") {
  broken_fixture f;
  sqlite::connection_options options;
  options.mode = sqlite::open_mode::read_write_create;
  options.synchronous = synchronous_mode::normal;
  auto db = must(sqlite::connection::open(f.fixture->file, options));
  auto syncs = f.wal(disk_operation::sync);
  auto writes = f.wal(disk_operation::write);
  CHECK(must(sqlite::overwrite_lost_commit(db, 99, {}, options.synchronous)));
  CHECK(f.wal(disk_operation::sync) == syncs + 1);
  // It writes a header and a page.
  CHECK(f.wal(disk_operation::write) == writes + 2);
  must(db.exec("INSERT INTO t VALUES ('more', NULL)"));
  CHECK(f.wal(disk_operation::sync) == syncs + 1);
}

TEST_CASE("a commit that is visible by now is not overwritten") {
  broken_fixture f;
  auto db = f.fixture->external_process();
  auto hash = must(sqlite::find_commit(db, 2));
  REQUIRE(hash);
  sqlite::digest wanted{};
  std::copy(hash->begin(), hash->end(), wanted.begin());
  auto writes = f.wal(disk_operation::write);
  CHECK(!must(sqlite::overwrite_lost_commit(db, 2, wanted, synchronous_mode::full)));
  CHECK(!db.in_transaction());
  CHECK(f.wal(disk_operation::write) == writes);
}

} // namespace sluice::test::lost_commit_test
