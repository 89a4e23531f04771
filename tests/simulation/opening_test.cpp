#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/files/file_header.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/simulation/memory_machine.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::opening_test {

using memory_machine::machine;
using memory_machine::plain;
using sqlite::disk_effect;
using sqlite::disk_operation;

namespace {

sqlite::connection_options opening(sqlite::open_mode mode, synchronous_mode synchronous = synchronous_mode::full) {
  sqlite::connection_options result;
  result.mode = mode;
  result.synchronous = synchronous;
  return result;
}

// A database that no connection has open, with an unsynced transaction in its WAL.
std::filesystem::path leave_unsynced_commit(machine& at) {
  plain db{at.file()};
  REQUIRE(db.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t(a); PRAGMA wal_checkpoint"));
  sqlite::disk_fault fault;
  fault.file = "app.db-wal";
  fault.on = disk_operation::sync;
  fault.effect = disk_effect::kill_before;
  // The first sync is that of the header of a WAL that restarts.
  fault.skip = 1;
  at.faults.inject(fault);
  REQUIRE(!db.run("INSERT INTO t VALUES ('left')"));
  return at.file();
}

} // namespace

TEST_CASE("the WAL of a process that died in its COMMIT is synced by the next connection before it is read") {
  auto mode = GENERATE(sqlite::open_mode::read_only, sqlite::open_mode::read_write_create);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    machine at{seed};
    auto file = leave_unsynced_commit(at);
    at.disk.restart_after_kill();
    {
      auto db = must(sqlite::connection::open(file, opening(mode)));
      at.disk.cut_power();
    }
    at.disk.restart(at.random);
    CHECK(plain{file}.number("SELECT count(*) FROM t") == 1);
  }
}

TEST_CASE("a WAL that cannot be synced is not read") {
  auto mode = GENERATE(sqlite::open_mode::read_only, sqlite::open_mode::read_write_create);
  machine at{1};
  auto file = leave_unsynced_commit(at);
  at.disk.restart_after_kill();
  sqlite::disk_fault fault;
  fault.file = "app.db-wal";
  fault.on = disk_operation::sync;
  at.faults.inject(fault);
  CHECK(failure_of(sqlite::connection::open(file, opening(mode))).code == errc::io_error);
  auto db = must(sqlite::connection::open(file, opening(mode)));
}

TEST_CASE("opening a file whose WAL is empty, or whose commits may be lost, does not wait for the disk") {
  auto mode = GENERATE(sqlite::open_mode::read_only, sqlite::open_mode::read_write_create);
  machine at{1};
  plain other{at.file()};
  REQUIRE(other.run("PRAGMA journal_mode = WAL; CREATE TABLE t(a)"));
  auto syncs = [&] { return at.faults.count("app.db-wal", disk_operation::sync); };
  auto before = syncs();
  auto careless = must(sqlite::connection::open(at.file(), opening(mode, synchronous_mode::normal)));
  CHECK(syncs() == before);
  auto careful = must(sqlite::connection::open(at.file(), opening(mode)));
  CHECK(syncs() == before + 1);
  REQUIRE(other.text("PRAGMA wal_checkpoint(TRUNCATE)") == "0");
  before = syncs();
  auto nothing = must(sqlite::connection::open(at.file(), opening(mode)));
  CHECK(syncs() == before);
}

TEST_CASE("after any failure while a file is created or converted, no write happens before it is in WAL mode") {
  auto existing = GENERATE(false, true);
  auto effect = GENERATE(disk_effect::io_error, disk_effect::full);
  auto on = GENERATE(disk_operation::open, disk_operation::read, disk_operation::write, disk_operation::sync,
                     disk_operation::truncate, disk_operation::remove, disk_operation::lock);
  int refused = 0;
  for (uint64_t skip = 0; skip < 12; ++skip)
    for (auto times : {uint64_t{1}, uint64_t{2}, uint64_t{1'000}}) {
      INFO("operation " << static_cast<int>(on) << ", " << skip << " pass, " << times << " fail");
      machine at{1};
      if (existing)
        REQUIRE(plain{at.file()}.run("CREATE TABLE t(a)"));
      sqlite::disk_fault fault;
      fault.on = on;
      fault.effect = effect;
      fault.skip = skip;
      fault.times = times;
      at.faults.inject(fault);
      auto db = sqlite::connection::open(at.file(), opening(sqlite::open_mode::read_write_create));
      at.faults.heal();
      if (!db) {
        ++refused;
        db = sqlite::connection::open(at.file(), opening(sqlite::open_mode::read_write_create));
      }
      REQUIRE(db);
      CHECK(sqlite::journal_of(at.file()) == sqlite::journal_kind::wal);
      must(db->exec("CREATE TABLE u(a)"));
      CHECK(at.faults.count("app.db-wal", disk_operation::write) > 0);
    }
  CHECK((refused > 0 || on == disk_operation::truncate || effect == disk_effect::full));
}

} // namespace sluice::test::opening_test
