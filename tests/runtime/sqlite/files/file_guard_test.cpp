#include "runtime/sqlite/files/file_guard.hpp"

#include "tests/runtime/sqlite/files/file_fixture.hpp"

#include <atomic>
#include <fstream>
#include <latch>
#include <thread>

namespace sluice::test::file_guard_test {

TEST_CASE("a file renamed over an open one is read and written without the old file's WAL") {
  busy_fixture fixture;
  auto reads_first = GENERATE(true, false);
  fs::rename(fixture.another(), fixture.file);
  if (reads_first)
    CHECK(fixture.count() == value{1});
  fixture.write("INSERT INTO t(body) VALUES ('after')");
  CHECK(fixture.count() == value{2});
  CHECK(fixture.count_after_a_kill() == "2");
  CHECK(fixture.events() == std::vector<std::string>{"replaced"});
}

TEST_CASE("a file that was moved away holds every acknowledged commit, wherever it lies") {
  busy_fixture fixture;
  auto away = fixture.folder / "away.db";
  fs::rename(fixture.file, away);
  must(fixture.store->begin());
  fixture.store->rollback();
  CHECK(fixture.events() == std::vector<std::string>{"deleted"});
  other_program db{away};
  CHECK(db.one("PRAGMA integrity_check(1)") == "ok");
  CHECK(db.one("SELECT count(*) FROM t") == "4000");
}

TEST_CASE("a removed WAL is written again before a commit is acknowledged") {
  busy_fixture fixture;
  auto which = GENERATE(1, 2, 3);
  if (which & 1)
    fs::remove(fixture.log());
  if (which & 2)
    fs::remove(fixture.index());
  SECTION("between two writes") { fixture.write("INSERT INTO t(body) VALUES ('after')"); }
  SECTION("while one is under way") {
    auto begun = must(fixture.store->begin());
    must(fixture.store->execute(request_of("INSERT INTO t(body) VALUES ('after')"), no_deadline));
    // The second time.
    fs::remove(fixture.log());
    must(commit_of(*fixture.store, begun, request_of("SELECT 1")));
  }
  SECTION("and a read comes first") {
    CHECK(fixture.count() == value{4'000});
    CHECK(fixture.count_after_a_kill() == "4000");
    fs::remove(fixture.folder / "copy.db");
    fs::remove(fixture.folder / "copy.db-wal");
    fixture.write("INSERT INTO t(body) VALUES ('after')");
  }
  CHECK(fixture.count_after_a_kill() == "4001");
  CHECK(fixture.count() == value{4'001});
  auto events = fixture.events();
  REQUIRE(!events.empty());
  CHECK(events[0] == "log_restored");
}

TEST_CASE("when another program has begun a new WAL, the old one is kept and the loss is reported") {
  busy_fixture fixture;
  fs::remove(fixture.log());
  fs::remove(fixture.index());
  // Uses another process, because SQLite shares the index within one.
  auto command = "sqlite3 '" + fixture.file.string() + "' 'CREATE TABLE theirs(a)'";
  REQUIRE(std::system(command.c_str()) == 0);
  // Acknowledged commits are no longer in the file, so writes are refused until a repair.
  CHECK(failure_of(fixture.store->begin()).code == errc::ledger_damaged);
  CHECK(fixture.read_one("SELECT count(*) FROM theirs") == value{0});
  CHECK(fixture.events() == std::vector<std::string>{"log_lost"});
  auto kept = std::any_of(fs::directory_iterator{fixture.folder.path()}, {}, [](const auto& each) {
    return each.path().filename().string().starts_with("app.db-wal.") && each.file_size() > 100'000;
  });
  CHECK(kept);
}

TEST_CASE("a file overwritten in place is noticed once, and then read and written as it is") {
  busy_fixture fixture;
  auto reads_first = GENERATE(true, false);
  fs::copy_file(fixture.another(), fixture.file, fs::copy_options::overwrite_existing);
  if (reads_first)
    CHECK(failure_of(fixture.try_read("SELECT count(*) FROM t")).code == errc::file_replaced);
  else
    CHECK(failure_of(fixture.store->begin()).code == errc::file_replaced);
  CHECK(fixture.count() == value{1});
  fixture.write("INSERT INTO t(body) VALUES ('after')");
  CHECK(fixture.count() == value{2});
  fixture.store.reset();
  fixture.reader.reset();
  other_program db{fixture.file};
  CHECK(db.one("PRAGMA integrity_check(1)") == "ok");
  CHECK(db.one("SELECT count(*) FROM t") == "2");
}

TEST_CASE("an older copy with the same header is not mixed with the broker's cached state of the file") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)");
  fixture.write("INSERT INTO t(body) VALUES ('a'), ('b')");
  must(fixture.store->checkpoint(checkpoint_mode::truncate));
  auto copy = fixture.folder / "copy.db";
  fs::copy_file(fixture.file, copy);
  fixture.write("UPDATE t SET body = 'c' WHERE id = 1");
  must(fixture.store->checkpoint(checkpoint_mode::passive));
  CHECK(fixture.read_one("SELECT body FROM t WHERE id = 1") == value{"c"});
  auto written = fs::last_write_time(fixture.file);
  fs::copy_file(copy, fixture.file, fs::copy_options::overwrite_existing);
  fs::last_write_time(fixture.file, written + std::chrono::seconds{1});
  auto seen = fixture.try_read("SELECT group_concat(body) FROM t");
  if (!seen)
    seen = fixture.try_read("SELECT group_concat(body) FROM t");
  CHECK(must(std::move(seen)).result.rows->at(0, 0) == value{"a,b"});
}

TEST_CASE("checkpoints of any process are not taken for an overwritten file") {
  busy_fixture fixture;
  other_program other{fixture.file};
  for (auto i = 0; i < 5; ++i) {
    fixture.write("INSERT INTO t(body) VALUES ('ours')");
    other.run("PRAGMA wal_checkpoint(PASSIVE)");
    CHECK(fixture.count() == value{4'001 + 2 * i});
    other.run("INSERT INTO t(body) VALUES ('theirs')");
    other.run("PRAGMA wal_checkpoint(TRUNCATE)");
    must(fixture.store->checkpoint(checkpoint_mode::passive));
    fixture.write(("CREATE TABLE u" + std::to_string(i) + "(a)").c_str());
  }
  CHECK(fixture.events().empty());
}

TEST_CASE("a database that was opened for reading before it had a WAL does not count as overwritten") {
  store_fixture fixture;
  std::ofstream{fixture.file};
  CHECK(fixture.read_one("SELECT 1") == value{1});
  // The reader sees the log before the writer has opened the file.
  other_program other{fixture.file};
  other.run("PRAGMA journal_mode = WAL");
  CHECK(fixture.read_one("SELECT count(*) FROM sqlite_schema") == value{0});
  must(fixture.store->begin());
  CHECK(fixture.read_one("SELECT count(*) FROM sqlite_schema") == value{0});
  fixture.store->rollback();
  fixture.write("CREATE TABLE t(body)");
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{0});
  CHECK(fixture.store->take_file_events().empty());
}

TEST_CASE("a database that is opened by its writer and a reader at once has not been changed by another program") {
  for (auto round = 0; round < 100; ++round) {
    store_fixture fixture;
    std::ofstream{fixture.file};
    std::latch both{2};
    std::atomic<bool> done = false;
    std::vector<errc> refused;
    std::thread reads{[&] {
      both.arrive_and_wait();
      while (!done)
        if (auto seen = fixture.try_read("SELECT 1"); !seen && code_of(seen.error()) != errc::busy)
          refused.push_back(code_of(seen.error()));
    }};
    both.arrive_and_wait();
    // The write may be refused with a temporary error.
    auto begun = fixture.store->begin();
    while (!begun && code_of(begun.error()) == errc::busy)
      begun = fixture.store->begin();
    if (begun)
      fixture.store->rollback();
    done = true;
    reads.join();
    CHECK(refused.empty());
    must(std::move(begun));
    fixture.write("CREATE TABLE t(body)");
    CHECK(fixture.read_one("SELECT count(*) FROM t") == value{0});
    CHECK(fixture.store->take_file_events().empty());
  }
}

TEST_CASE("a file that is replaced while it is written makes the write fail, and the new one stays as it is") {
  busy_fixture fixture;
  auto begun = must(fixture.store->begin());
  must(fixture.store->execute(request_of("INSERT INTO t(body) VALUES ('lost')"), no_deadline));
  fs::rename(fixture.another(), fixture.file);
  CHECK(failure_of(commit_of(*fixture.store, begun, request_of("SELECT 1"))).code == errc::file_replaced);
  CHECK(!must(fixture.store->committed(begun.next_seq)));
  CHECK(fixture.count() == value{1});
  CHECK(fixture.count_after_a_kill() == "1");
}

TEST_CASE("a commit is applied once when its file is touched or moved away and back during the write") {
  busy_fixture fixture;
  auto touches = GENERATE(true, false);
  auto notices = GENERATE(true, false);
  auto begun = must(fixture.store->begin());
  must(fixture.store->execute(request_of("INSERT INTO t(body) VALUES ('kept')"), no_deadline));
  if (touches)
    fs::last_write_time(fixture.file, fs::last_write_time(fixture.file) + std::chrono::seconds{1});
  else
    fs::rename(fixture.file, fixture.folder / "away.db");
  if (!touches && !notices)
    fs::rename(fixture.folder / "away.db", fixture.file);
  auto committed = commit_of(*fixture.store, begun, request_of("SELECT 1"));
  if (!touches && notices)
    fs::rename(fixture.folder / "away.db", fixture.file);
  CHECK((committed || must(fixture.store->committed(begun.next_seq))));
  CHECK(fixture.count() == value{4'001});
  CHECK(fixture.count_after_a_kill() == "4001");
}

TEST_CASE("a database that gets a second name while it is open is not written until it has one name again") {
  busy_fixture fixture;
  fs::create_hard_link(fixture.file, fixture.folder / "second.db");
  CHECK(failure_of(fixture.store->begin()).code == errc::invalid_request);
  CHECK(failure_of(fixture.try_read("SELECT count(*) FROM t")).code == errc::invalid_request);
  fs::remove(fixture.folder / "second.db");
  fixture.write("INSERT INTO t(body) VALUES ('after')");
  CHECK(fixture.count() == value{4'001});
}

TEST_CASE("closing after the files were replaced leaves the new ones alone") {
  busy_fixture fixture;
  SECTION("renamed over") { fs::rename(fixture.another(), fixture.file); }
  SECTION("overwritten") { fs::copy_file(fixture.another(), fixture.file, fs::copy_options::overwrite_existing); }
  static_cast<void>(fixture.store->checkpoint(checkpoint_mode::truncate));
  fixture.reader.reset();
  fixture.store.reset();
  other_program db{fixture.file};
  CHECK(db.one("PRAGMA integrity_check(1)") == "ok");
  CHECK(db.one("SELECT count(*) FROM t") == "1");
}

TEST_CASE("a link put in the place of a database is not followed") {
  busy_fixture fixture;
  auto outside = fixture.another();
  for (const auto* suffix : {"", "-wal", "-shm"})
    fs::remove(fixture.file.string() + suffix);
  fs::create_symlink(outside, fixture.file);
  CHECK(failure_of(fixture.try_read("SELECT count(*) FROM t")).code == errc::invalid_request);
  CHECK(failure_of(fixture.store->begin()).code == errc::invalid_request);
  CHECK(other_program{outside}.one("SELECT count(*) FROM sqlite_master") == "1");
}

TEST_CASE("a database is opened under the name that it was resolved from, or not at all") {
  temp_dir folder;
  sqlite::file_guard::settings settings;
  settings.path = folder / "app.db";
  settings.name = "app.db";
  settings.resolve = [] { return make_error(errc::invalid_request, "it leads out of the store"); };
  auto store =
    sqlite::make_write_store(settings.path, {}, machine_time(), {}, std::make_shared<sqlite::file_guard>(settings));
  CHECK(failure_of(store->begin()).code == errc::invalid_request);
  CHECK(!fs::exists(folder / "app.db"));
}

TEST_CASE("a database that was changed while no broker ran is noticed when it is opened next") {
  lives lives;
  {
    auto files = lives.guard();
    auto store = sqlite::make_write_store(lives.file, {}, machine_time(), {}, files);
    lives.write(*store, "CREATE TABLE t(body)");
    store.reset();
    files->note_closed();
  }
  auto changes = GENERATE(true, false);
  if (changes)
    other_program{lives.file}.run("INSERT INTO t VALUES (1)");
  auto store = sqlite::make_write_store(lives.file, {}, machine_time(), {}, lives.guard());
  CHECK(store->take_external_commit() == changes);
  auto events = store->take_file_events();
  REQUIRE(events.size() == (changes ? 1 : 0));
  if (changes)
    CHECK(events[0].status == "changed_while_closed");
}

TEST_CASE("the WAL of a killed broker is not replayed into a file that replaced the database meanwhile") {
  lives lives;
  // The connection stays open, so the files are as after a kill.
  auto killed = lives.store();
  lives.write(*killed, "CREATE TABLE t(body)");
  lives.write(*killed, "INSERT INTO t VALUES ('old')");
  auto replaced = GENERATE(true, false);
  auto other = lives.folder / "other.db";
  other_program{other}.run("CREATE TABLE t(body); INSERT INTO t VALUES ('new')");
  if (replaced)
    fs::rename(other, lives.file);
  fs::remove(lives.file.string() + "-shm");
  auto store = lives.store();
  lives.write(*store, "INSERT INTO t VALUES ('after')");
  auto events = store->take_file_events();
  store.reset();
  other_program db{lives.file};
  CHECK(db.one("PRAGMA integrity_check(1)") == "ok");
  CHECK(db.one("SELECT group_concat(body) FROM t") == (replaced ? "new,after" : "old,after"));
  CHECK(events.size() == (replaced ? 1 : 0));
  CHECK(fs::exists(lives.kept) == replaced);
}

TEST_CASE("a WAL that was written again is not replayed into a file that replaced the database before it was opened") {
  lives lives;
  auto store = lives.store();
  lives.write(*store, "CREATE TABLE t(body)");
  auto begun = must(store->begin());
  must(store->execute(request_of("INSERT INTO t VALUES ('old')"), no_deadline));
  fs::remove(lives.file.string() + "-wal");
  // Writes the log again, and closes the file.
  must(commit_of(*store, begun, request_of("SELECT 1")));
  auto other = lives.folder / "other.db";
  other_program{other}.run("CREATE TABLE t(body); INSERT INTO t VALUES ('new')");
  fs::rename(other, lives.file);
  lives.write(*store, "INSERT INTO t VALUES ('after')");
  store.reset();
  other_program db{lives.file};
  CHECK(db.one("PRAGMA integrity_check(1)") == "ok");
  CHECK(db.one("SELECT group_concat(body) FROM t") == "new,after");
  CHECK(fs::exists(lives.kept));
}

} // namespace sluice::test::file_guard_test
