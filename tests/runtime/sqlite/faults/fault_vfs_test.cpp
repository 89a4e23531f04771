#include "runtime/sqlite/faults/fault_vfs.hpp"

#include "tests/runtime/sqlite/writer/store_fixture.hpp"

#include <atomic>
#include <functional>
#include <sqlite3.h>
#include <stdexcept>
#include <thread>

namespace sluice::test::fault_vfs_test {

namespace {

using sqlite::disk_effect;
using sqlite::disk_fault;
using sqlite::disk_operation;
using sqlite::fault_vfs;

disk_fault fault_on(std::string file, disk_operation on, disk_effect effect = disk_effect::io_error) {
  disk_fault result;
  result.file = std::move(file);
  result.on = on;
  result.effect = effect;
  return result;
}

disk_fault always(disk_fault fault) {
  fault.times = 0;
  return fault;
}

// A disk with a database on it; deaths and delays are only counted.
struct faulty_fixture {
  std::atomic<int> deaths{0};
  std::atomic<int64_t> waited_ms{0};
  // Called at the moment of a death.
  std::function<void()> at_death = [] {};
  fault_vfs disk{{[this](milliseconds time) { waited_ms += time.count(); },
                  [this] {
                    ++deaths;
                    at_death();
                  }}};
  table_fixture fixture;

  // Writes a row, as `store_fixture::write` does, but may fail.
  caf::expected<void> try_write(int n) {
    auto request = request_of("INSERT INTO t(a) VALUES (?)", {n});
    auto begun = fixture.store->begin();
    if (!begun)
      return std::move(begun.error());
    auto done = fixture.store->execute(request, no_deadline);
    if (!done) {
      fixture.store->rollback();
      return std::move(done.error());
    }
    write_result result;
    result.commit_seq = tried = begun->next_seq;
    ledger_entry entry{&request, &result, done->tables};
    return fixture.store->commit(begun->next_seq, 1'000, std::span{&entry, 1});
  }

  failure lose(int n) { return failure_of(try_write(n)); }

  void write(int n) { fixture.write("INSERT INTO t(a) VALUES (?)", {n}); }
  int64_t rows() { return *fixture.read_one("SELECT count(*) FROM t").integer(); }

  // Checks that writes and reads work, and that the file is sound.
  void require_serving(int n) {
    auto before = rows();
    write(n);
    REQUIRE(rows() == before + 1);
    auto db = must(sqlite::connection::open(fixture.file, {}));
    auto check = must(sqlite::prepared_statement::prepare(db, "PRAGMA integrity_check"));
    REQUIRE(must(check.step()));
    REQUIRE(check.text(0) == "ok");
  }

  // The number of the last commit that was tried.
  uint64_t tried = 0;
};

} // namespace

TEST_CASE(
  "an I/O error at any write or sync of a commit is reported, leaves no partial commit, and the next write succeeds") {
  faulty_fixture at;
  int n = 0;
  for (auto on : {disk_operation::write, disk_operation::sync}) {
    uint64_t hit = 0;
    for (bool survived = false; !survived; ++hit) {
      INFO("operation " << static_cast<int>(on) << " after " << hit << " others");
      auto fault = fault_on("app.db-wal", on);
      fault.skip = hit;
      at.disk.inject(fault);
      auto done = at.try_write(++n);
      at.disk.heal();
      survived = static_cast<bool>(done);
      if (!survived) {
        CHECK(failure_of(done).code == errc::io_error);
        CHECK(failure_of(done).message.starts_with("the disk reported an error"));
      }
      auto there = must(at.fixture.store->committed(at.tried));
      CHECK((there || !survived));
      CHECK(at.fixture.read_one("SELECT count(*) FROM t WHERE a = ?", {n}) == value{there ? 1 : 0});
      at.require_serving(++n);
    }
    // A commit writes at least a page of the table and one of its ledger, each behind a header of its own.
    CHECK(hit > (on == disk_operation::write ? 4 : 1));
  }
}

TEST_CASE("a disk that cannot be read is an I/O error, and heals") {
  faulty_fixture at;
  at.write(1);
  must(at.fixture.store->checkpoint(checkpoint_mode::truncate));
  at.disk.inject(always(fault_on("app.db", disk_operation::read)));
  CHECK(failure_of(at.fixture.try_read("SELECT count(*) FROM t")).code == errc::io_error);
  at.disk.heal();
  CHECK(at.rows() == 1);
  at.require_serving(2);
}

TEST_CASE("a file that cannot be opened is an I/O error, and heals") {
  faulty_fixture at;
  at.write(1);
  at.disk.inject(always(fault_on("app.db", disk_operation::open)));
  auto other = sqlite::make_read_store(at.fixture.file, at.fixture.config);
  read_request request;
  request.query = {"SELECT count(*) FROM t", {}};
  auto error = failure_of(other->run(request, store_fixture::generous()));
  CHECK(error.code == errc::io_error);
  CHECK(error.message.starts_with("the database file cannot be opened"));
  at.disk.heal();
  CHECK(must(other->run(request, store_fixture::generous())).result.rows->at(0, 0) == value{1});
}

TEST_CASE("a checkpoint that the disk refuses loses nothing") {
  for (auto on : {disk_operation::write, disk_operation::sync, disk_operation::truncate}) {
    INFO("operation " << static_cast<int>(on));
    faulty_fixture at;
    at.write(1);
    at.disk.inject(fault_on(on == disk_operation::truncate ? "app.db-wal" : "app.db", on));
    CHECK(failure_of(at.fixture.store->checkpoint(checkpoint_mode::truncate)).code == errc::io_error);
    at.disk.heal();
    CHECK(at.rows() == 1);
    at.require_serving(2);
    must(at.fixture.store->checkpoint(checkpoint_mode::truncate));
    CHECK(at.rows() == 2);
  }
}

TEST_CASE("a full disk refuses operations that extend a file as disk_full, and accepts all others") {
  faulty_fixture at;
  at.write(1);
  at.disk.set_room(20'000);
  at.write(2);
  auto error = at.lose(3);
  for (int n = 4; error.code != errc::disk_full && n < 10; ++n)
    error = at.lose(n);
  CHECK(error.code == errc::disk_full);
  CHECK(error.message == "the disk is full");
  CHECK(at.rows() >= 2);
  at.disk.heal();
  at.require_serving(100);
}

TEST_CASE("a single write for which there is no space is reported as disk_full") {
  faulty_fixture at;
  at.disk.inject(fault_on("-wal", disk_operation::write, disk_effect::full));
  CHECK(at.lose(1).code == errc::disk_full);
  at.require_serving(2);
}

TEST_CASE("operations wait for a slow disk, and lose nothing") {
  faulty_fixture at;
  auto slow = fault_on("-wal", disk_operation::sync, disk_effect::delay);
  slow.delay = milliseconds{250};
  slow.times = 2;
  at.disk.inject(slow);
  at.write(1);
  at.write(2);
  at.write(3);
  CHECK(at.waited_ms == 500);
  CHECK(at.rows() == 3);
}

TEST_CASE("a process killed before a write has not written, one killed after it has, and neither gets its result") {
  faulty_fixture at;
  auto wal_size = [&] { return std::filesystem::file_size(at.fixture.file.string() + "-wal"); };
  int n = 0;
  for (auto effect : {disk_effect::kill_before, disk_effect::kill_after}) {
    uintmax_t size_then = 0;
    at.at_death = [&] { size_then = wal_size(); };
    auto size_before = wal_size();
    at.disk.inject(fault_on("app.db-wal", disk_operation::write, effect));
    CHECK(at.lose(++n).code == errc::io_error);
    CHECK(at.deaths == n);
    CHECK((size_then > size_before) == (effect == disk_effect::kill_after));
    // Closes the failed connection, with its WAL.
    at.fixture.store->rollback();
    must(at.fixture.external_process().exec("PRAGMA wal_checkpoint(TRUNCATE)"));
    CHECK(at.rows() == 0);
  }
  at.require_serving(++n);
}

TEST_CASE("a lock that the disk fails to give is an I/O error, and one that is held is busy") {
  faulty_fixture at;
  at.disk.inject(always(fault_on("app.db", disk_operation::lock)));
  CHECK(failure_of(at.fixture.store->begin()).code == errc::io_error);
  at.disk.heal();
  at.require_serving(1);
  // The first is a reader's, for which SQLite asks again and again; the second is the writer's.
  auto taken = fault_on("app.db", disk_operation::lock, disk_effect::busy);
  taken.skip = 1;
  at.disk.inject(taken);
  CHECK(failure_of(at.fixture.store->begin()).code == errc::busy);
  at.disk.heal();
  at.require_serving(2);
}

TEST_CASE("effects that an operation does not have are I/O errors") {
  faulty_fixture at;
  at.disk.inject(fault_on("-wal", disk_operation::sync, disk_effect::full));
  CHECK(at.lose(1).code == errc::io_error);
  at.disk.inject(fault_on("-wal", disk_operation::sync, disk_effect::busy));
  CHECK(at.lose(2).code == errc::io_error);
  at.require_serving(3);
}

TEST_CASE("operations of every kind are counted by file") {
  faulty_fixture at;
  auto wal = [&](disk_operation on) { return at.disk.count("app.db-wal", on); };
  auto writes = wal(disk_operation::write);
  auto syncs = wal(disk_operation::sync);
  auto locks = at.disk.count("app.db", disk_operation::lock);
  auto opens = at.disk.count("app.db", disk_operation::open);
  CHECK(opens > 0);
  at.write(1);
  CHECK(wal(disk_operation::write) > writes);
  CHECK(wal(disk_operation::sync) == syncs + 1);
  CHECK(at.disk.count("app.db", disk_operation::lock) > locks);
  must(at.fixture.store->checkpoint(checkpoint_mode::truncate));
  CHECK(wal(disk_operation::truncate) == 1);
  CHECK(at.disk.count("app.db", disk_operation::sync) > 0);
  at.rows();
  CHECK(at.disk.count("app.db", disk_operation::open) == opens + 1);
  CHECK(at.disk.count("app.db", disk_operation::read) > 0);
  at.fixture.reader.reset();
  at.fixture.store.reset();
  CHECK(wal(disk_operation::remove) == 1);
}

TEST_CASE("two connections on a faulty disk keep their locks and their snapshots") {
  faulty_fixture at;
  at.write(1);
  auto other = at.fixture.external_process();
  must(other.exec("BEGIN; SELECT count(*) FROM t"));
  at.write(2);
  CHECK(at.rows() == 2);
  must(other.exec("COMMIT; BEGIN IMMEDIATE; INSERT INTO t(a) VALUES (3)"));
  CHECK(failure_of(at.fixture.store->begin()).code == errc::busy);
  must(other.exec("COMMIT"));
  CHECK(at.rows() == 3);
  at.require_serving(4);
}

TEST_CASE("threads use a faulty disk together") {
  faulty_fixture at;
  auto slow = always(fault_on("", disk_operation::read, disk_effect::delay));
  slow.delay = milliseconds{1};
  at.disk.inject(slow);
  std::atomic<bool> stop{false};
  std::atomic<int> odd{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      auto store = sqlite::make_read_store(at.fixture.file, at.fixture.config);
      read_request request;
      request.query = {"SELECT count(*) FROM t", {}};
      while (!stop)
        odd += store->run(request, store_fixture::generous()) ? 0 : 1;
    });
  for (int n = 1; n <= 50; ++n)
    at.write(n);
  stop = true;
  for (auto& reader : readers)
    reader.join();
  CHECK(odd == 0);
  CHECK(at.rows() == 50);
}

TEST_CASE("a faulty disk replaces the default one for its lifetime, and only one can exist") {
  auto* before = sqlite3_vfs_find(nullptr);
  {
    fault_vfs disk;
    CHECK(sqlite3_vfs_find(nullptr) != before);
    CHECK_THROWS_AS(fault_vfs{}, std::logic_error);
  }
  CHECK(sqlite3_vfs_find(nullptr) == before);
  fault_vfs again;
  CHECK(sqlite3_vfs_find(nullptr) != before);
}

} // namespace sluice::test::fault_vfs_test
