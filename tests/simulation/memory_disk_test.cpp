#include "tests/simulation/memory_disk.hpp"

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/file_header.hpp"
#include "runtime/sqlite/files/wal_cleanup.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/simulation/memory_machine.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <sqlite3.h>
#include <string>

namespace sluice::test::memory_disk_test {

namespace {

namespace fs = std::filesystem;
using memory_machine::machine;
using memory_machine::plain;
using simulation::memory_disk;
using std::chrono::microseconds;

} // namespace

TEST_CASE("connections on a disk in memory see each other's commits and locks at once") {
  machine at{1};
  plain first{at.file()};
  REQUIRE(first.run("PRAGMA journal_mode = WAL; CREATE TABLE t (a)"));
  plain second{at.file()};
  REQUIRE(second.number("SELECT count(*) FROM t") == 0);
  REQUIRE(first.run("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)"));
  CHECK(second.number("SELECT count(*) FROM t") == 0);
  CHECK(!second.run("INSERT INTO t VALUES (2)"));
  CHECK(second.code() == SQLITE_BUSY);
  REQUIRE(first.run("COMMIT"));
  CHECK(second.number("SELECT count(*) FROM t") == 1);
  CHECK(second.run("INSERT INTO t VALUES (2)"));
  CHECK(first.number("SELECT count(*) FROM t") == 2);
}

TEST_CASE("rollback journals work on a disk in memory, with readers and a writer that waits for them") {
  machine at{1};
  plain first{at.file()};
  plain second{at.file()};
  REQUIRE(first.run("CREATE TABLE t (a)"));
  REQUIRE(second.run("BEGIN; SELECT count(*) FROM t"));
  REQUIRE(first.run("BEGIN; INSERT INTO t VALUES (1)"));
  CHECK(!first.run("COMMIT"));
  CHECK(first.code() == SQLITE_BUSY);
  plain third{at.file()};
  CHECK(!third.number("SELECT count(*) FROM t"));
  CHECK(third.code() == SQLITE_BUSY);
  REQUIRE(second.run("COMMIT"));
  CHECK(first.run("COMMIT"));
  CHECK(third.number("SELECT count(*) FROM t") == 1);
}

TEST_CASE("a real placeholder exists for each file of the disk in memory, as long as the file exists") {
  machine at{1};
  auto wal = at.file().string() + "-wal";
  auto shm = at.file().string() + "-shm";
  {
    plain db{at.file()};
    REQUIRE(db.run("PRAGMA journal_mode = WAL; CREATE TABLE t (a)"));
    CHECK(fs::exists(at.file()));
    CHECK(fs::exists(wal));
    CHECK(fs::exists(shm));
    CHECK(sqlite::journal_of(at.file()) == sqlite::journal_kind::wal);
  }
  CHECK(fs::exists(at.file()));
  CHECK(!fs::exists(wal));
  CHECK(!fs::exists(shm));
  CHECK(at.disk.open_files() == 0);
  {
    // A reader leaves the WAL's files behind; the broker removes them.
    auto db = must(sqlite::connection::open(at.file(), {}));
    must(must(sqlite::prepared_statement::prepare(db, "SELECT count(*) FROM t")).step());
  }
  CHECK(fs::exists(shm));
  sqlite::remove_wal_files(at.file());
  CHECK(!fs::exists(wal));
  CHECK(!fs::exists(shm));
}

TEST_CASE("a file that is removed or replaced has moved, for connections that have it open") {
  machine at{1};
  sqlite::connection_options writes;
  writes.mode = sqlite::open_mode::read_write_create;
  auto db = must(sqlite::connection::open(at.file(), writes));
  must(db.exec("CREATE TABLE t (a)"));
  CHECK(!db.file_moved());
  fs::rename(at.file(), at.folder / "old.db");
  CHECK(db.file_moved());
  plain moved{at.folder / "old.db"};
  CHECK(moved.number("SELECT count(*) FROM sqlite_schema") == 0);
  plain anew{at.file()};
  CHECK(anew.run("CREATE TABLE u (a)"));
  CHECK(db.file_moved());
}

TEST_CASE("writes that were not synced survive the death of the process, and not always that of the machine") {
  int gone = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    machine at{seed};
    for (auto dies : {"process", "machine"}) {
      {
        plain db{at.file()};
        REQUIRE(db.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE IF NOT EXISTS t (a); "
                       "PRAGMA wal_checkpoint; INSERT INTO t VALUES (1)"));
        at.disk.cut_power();
        CHECK(!db.run("INSERT INTO t VALUES (2)"));
      }
      dies == std::string{"process"} ? at.disk.restart_after_kill() : at.disk.restart(at.random);
      auto rows = plain{at.file()}.number("SELECT count(*) FROM t");
      if (dies == std::string{"process"})
        CHECK(rows == 1);
      else
        gone += rows == 1 ? 1 : 0;
    }
  }
  CHECK(gone > 0);
  CHECK(gone < 10);
}

TEST_CASE("without power every operation fails and changes nothing, except releasing resources") {
  machine at{1};
  plain db{at.file()};
  REQUIRE(db.run("PRAGMA journal_mode = WAL; CREATE TABLE t (a)"));
  sqlite3_file* file = nullptr;
  REQUIRE(db.file(file));
  auto& does = *file->pMethods;
  auto* vfs = sqlite3_vfs_find(nullptr);
  std::string name = at.file();
  std::array<char, 512> bytes{};
  sqlite3_int64 size = 0;
  int yes = 0;
  void volatile* memory = nullptr;
  auto before = at.disk.digest();
  at.disk.cut_power();
  CHECK(does.xRead(file, bytes.data(), 512, 0) == SQLITE_IOERR_READ);
  CHECK(does.xWrite(file, bytes.data(), 512, 0) == SQLITE_IOERR_WRITE);
  CHECK(does.xTruncate(file, 0) == SQLITE_IOERR_TRUNCATE);
  CHECK(does.xSync(file, SQLITE_SYNC_FULL) == SQLITE_IOERR_FSYNC);
  CHECK(does.xFileSize(file, &size) == SQLITE_IOERR_FSTAT);
  CHECK(does.xLock(file, SQLITE_LOCK_RESERVED) == SQLITE_IOERR_LOCK);
  CHECK(does.xCheckReservedLock(file, &yes) == SQLITE_IOERR_CHECKRESERVEDLOCK);
  CHECK(does.xShmMap(file, 0, 32768, 1, &memory) == SQLITE_IOERR_SHMMAP);
  CHECK(does.xShmLock(file, 0, 1, SQLITE_SHM_LOCK | SQLITE_SHM_SHARED) == SQLITE_IOERR_SHMLOCK);
  CHECK(does.xShmLock(file, 0, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED) == SQLITE_OK);
  CHECK(does.xUnlock(file, SQLITE_LOCK_SHARED) == SQLITE_OK);
  CHECK(vfs->xAccess(vfs, name.c_str(), SQLITE_ACCESS_EXISTS, &yes) == SQLITE_IOERR_ACCESS);
  CHECK(vfs->xDelete(vfs, name.c_str(), 1) == SQLITE_IOERR_DELETE);
  plain late{at.file()};
  CHECK(!late.run("SELECT count(*) FROM t"));
  CHECK(at.disk.digest() == before);
}

TEST_CASE("a machine is not started again under open connections") {
  machine at{1};
  plain db{at.file()};
  REQUIRE(db.run("CREATE TABLE t (a)"));
  CHECK_THROWS_AS(at.disk.restart(at.random), std::logic_error);
  CHECK_THROWS_AS(at.disk.restart_after_kill(), std::logic_error);
}

TEST_CASE("SQL gets the simulated time, and waiting advances it") {
  temp_dir folder;
  microseconds slept{0};
  memory_disk disk{1, [&](microseconds time) { slept += time; }};
  plain first{folder / "app.db"};
  CHECK(first.text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')") == "2000-01-01 00:00:00.000");
  REQUIRE(first.run("CREATE TABLE t (a); BEGIN IMMEDIATE"));
  plain second{folder / "app.db"};
  REQUIRE(second.run("PRAGMA busy_timeout = 400"));
  CHECK(!second.run("INSERT INTO t VALUES (1)"));
  CHECK(slept >= std::chrono::milliseconds{300});
  CHECK(first.text("SELECT strftime('%Y-%m-%d', 'now')") == "2000-01-01");
  CHECK(first.text("SELECT strftime('%f', 'now')") > "00.300");
}

TEST_CASE("the stores of the broker work on a disk in memory, and their full disk heals") {
  memory_disk disk{1, [](microseconds) {}};
  sqlite::fault_vfs faults{{[](std::chrono::milliseconds) {}, [&] { disk.cut_power(); }}};
  store_fixture fixture;
  fixture.write("CREATE TABLE t (a)");
  fixture.write("INSERT INTO t VALUES (1)");
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{1});
  faults.set_room(0);
  must(fixture.store->begin());
  CHECK(failure_of(fixture.store->execute(request_of("INSERT INTO t WITH n(i) AS (VALUES (1), (2), (3), (4), (5), (6), "
                                                     "(7), (8), (9), (10)) SELECT zeroblob(10000000) FROM n"),
                                          no_deadline))
          .code
        == errc::disk_full);
  fixture.store->rollback();
  faults.heal();
  fixture.write("INSERT INTO t VALUES (2)");
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{2});
  must(fixture.store->checkpoint(checkpoint_mode::truncate));
}

} // namespace sluice::test::memory_disk_test
