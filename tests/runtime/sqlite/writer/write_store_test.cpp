#include "runtime/sqlite/writer/write_store.hpp"

#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/file_size_limit.hpp"

#include <fstream>

namespace sluice::test::write_store_test {

TEST_CASE("a commit that the disk refuses did not happen, and the store recovers") {
  table_fixture fixture;
  auto begun = must(fixture.store->begin());
  must(fixture.store->execute(request_of("INSERT INTO t(a) VALUES (zeroblob(1000000))"), no_deadline));
  {
    file_size_limit small{300'000};
    CHECK(failure_of(commit_of(*fixture.store, begun, request_of("SELECT 1"))).code == errc::io_error);
  }
  CHECK(!fixture.store->is_open());
  CHECK(!fixture.store->in_transaction());
  CHECK(!must(fixture.store->committed(begun.next_seq)));
  CHECK(must(fixture.store->begin()).next_seq == begun.next_seq);
  fixture.store->rollback();
  fixture.write("INSERT INTO t(a) VALUES (1)");
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{1});
}

TEST_CASE("a deferred foreign key left open fails its request alone, before COMMIT") {
  store_fixture fixture;
  fixture.write("CREATE TABLE p(id INTEGER PRIMARY KEY)");
  fixture.write("CREATE TABLE c(p REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
  CHECK(fixture.refuse("INSERT INTO c VALUES (1)").code == errc::constraint);
  CHECK(!fixture.survived);
  CHECK(fixture.refuse("INSERT INTO c VALUES (1)").code == errc::constraint);
  CHECK(fixture.survived);
  CHECK(fixture.refuse(request_of({{"INSERT INTO c VALUES (1)", {}}, {"SELECT 1", {}}})).code == errc::constraint);
  CHECK(fixture.survived);
  fixture.write(request_of({{"INSERT INTO c VALUES (1)", {}}, {"INSERT INTO p VALUES (1)", {}}}));
  CHECK(fixture.read_one("SELECT count(*) FROM c") == value{1});
}

TEST_CASE("a lock of another process is busy, and ends") {
  table_fixture fixture;
  auto other = fixture.external_process();
  must(other.exec("BEGIN EXCLUSIVE"));
  CHECK(failure_of(fixture.store->begin()).code == errc::busy);
  CHECK(!fixture.store->in_transaction());
  must(other.exec("ROLLBACK"));
  fixture.write("INSERT INTO t(a) VALUES (1)");
}

TEST_CASE("an external commit is noticed once, and none where there was none") {
  table_fixture fixture;
  auto foreign = [&] {
    auto begun = must(fixture.store->begin());
    fixture.store->rollback();
    return begun.external_commit;
  };
  CHECK(!foreign());
  fixture.write("INSERT INTO t(a) VALUES (1)");
  must(fixture.store->checkpoint(checkpoint_mode::passive));
  must(fixture.store->checkpoint(checkpoint_mode::truncate));
  CHECK(!foreign());
  fixture.write("INSERT INTO t(a) VALUES (2)");
  CHECK(!foreign());
  must(fixture.external_process().exec("INSERT INTO t(a) VALUES (3); CREATE VIEW v AS SELECT 1"));
  CHECK(foreign());
  CHECK(!foreign());
}

TEST_CASE("a file that was deleted is created again, so that no write is acknowledged without a file") {
  table_fixture fixture;
  for (const auto* suffix : {"", "-wal", "-shm"})
    std::filesystem::remove(fixture.file.string() + suffix);
  auto begun = must(fixture.store->begin());
  CHECK(begun.external_commit);
  // The first has been acknowledged.
  CHECK(begun.next_seq == 2);
  must(fixture.store->execute(request_of("CREATE TABLE u(a)"), no_deadline));
  must(commit_of(*fixture.store, begun, request_of("SELECT 1")));
  CHECK(fixture.read_one("SELECT name FROM sqlite_schema WHERE name IN ('t', 'u')") == value{"u"});
}

TEST_CASE("a file that was replaced by another is written, and its WAL is left alone") {
  table_fixture fixture;
  temp_dir elsewhere;
  {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    must(must(sqlite::connection::open(elsewhere / "new.db", options)).exec("CREATE TABLE n(a)"));
  }
  for (const auto* suffix : {"-wal", "-shm"})
    std::filesystem::remove(fixture.file.string() + suffix);
  std::filesystem::rename(elsewhere / "new.db", fixture.file);
  auto other = fixture.external_process();
  must(other.exec("INSERT INTO n VALUES (1)"));
  fixture.write("INSERT INTO n VALUES (2)");
  must(other.exec("INSERT INTO n VALUES (3)"));
  CHECK(fixture.read_one("SELECT count(*) FROM n") == value{3});
}

TEST_CASE("a file that is moved away or deleted during a write makes the commit fail with the outcome unknown") {
  table_fixture fixture;
  auto begun = must(fixture.store->begin());
  must(fixture.store->execute(request_of("INSERT INTO t(a) VALUES (1)"), no_deadline));
  for (const auto* suffix : {"", "-wal", "-shm"})
    std::filesystem::remove(fixture.file.string() + suffix);
  CHECK(failure_of(commit_of(*fixture.store, begun, request_of("SELECT 1"))).code == errc::file_replaced);
  CHECK(!fixture.store->in_transaction());
  CHECK(failure_of(fixture.store->committed(begun.next_seq)).code == errc::file_replaced);
  CHECK(must(fixture.store->begin()).external_commit);
}

TEST_CASE("a file that is replaced while it is written makes the commit fail, and the new one is left as it is") {
  table_fixture fixture;
  temp_dir elsewhere;
  {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    auto db = must(sqlite::connection::open(elsewhere / "new.db", options));
    must(db.exec("CREATE TABLE n(a); PRAGMA journal_mode = DELETE"));
  }
  auto begun = must(fixture.store->begin());
  must(fixture.store->execute(request_of("INSERT INTO t(a) VALUES (1)"), no_deadline));
  for (const auto* suffix : {"-wal", "-shm"})
    std::filesystem::remove(fixture.file.string() + suffix);
  std::filesystem::rename(elsewhere / "new.db", fixture.file);
  CHECK(failure_of(commit_of(*fixture.store, begun, request_of("SELECT 1"))).code == errc::file_replaced);
  CHECK(!must(fixture.store->committed(begun.next_seq)));
  auto db = must(sqlite::connection::open(fixture.file, {}));
  auto mode = must(sqlite::prepared_statement::prepare(db, "PRAGMA journal_mode"));
  REQUIRE(must(mode.step()));
  CHECK(mode.text(0) == "delete");
}

TEST_CASE("whether a commit took effect is read back from the file") {
  table_fixture fixture;
  auto begun = must(fixture.store->begin());
  CHECK(begun.next_seq == 2);
  CHECK(!must(fixture.store->committed(begun.next_seq)));
  must(fixture.store->execute(request_of("INSERT INTO t(a) VALUES (1)"), no_deadline));
  must(commit_of(*fixture.store, begun, request_of("SELECT 1")));
  CHECK(must(fixture.store->committed(2)));
  CHECK(!must(fixture.store->committed(3)));
  // Another record under that number is not the record of this commit.
  must(fixture.external_process().exec("UPDATE _sluice_commits SET hash = x'00' WHERE commit_seq = 2"));
  CHECK(!must(fixture.store->committed(2)));
}

TEST_CASE("every call without a transaction fails with that reason") {
  store_fixture fixture;
  CHECK(!fixture.store->is_open());
  CHECK(!fixture.store->in_transaction());
  CHECK(failure_of(fixture.store->execute(request_of("SELECT 1"), no_deadline)).code == errc::internal);
  CHECK(failure_of(fixture.store->recall(request_of("SELECT 1"))).code == errc::internal);
  CHECK(failure_of(fixture.store->commit(1, 0, {})).code == errc::internal);
  fixture.store->rollback();
  must(fixture.store->checkpoint(checkpoint_mode::truncate));
  CHECK(fixture.store->wal_bytes() == 0);
  CHECK(must(fixture.store->prune_keys()) == 0);
  CHECK(!std::filesystem::exists(fixture.file));
}

TEST_CASE("begin refuses a path that is not a database, every time") {
  temp_dir folder;
  std::ofstream{folder / "x.txt"} << std::string(5'000, 'x');
  broker_config config;
  CHECK(failure_of(sqlite::make_write_store(folder / "x.txt", config)->begin()).code == errc::corrupt);
  CHECK(failure_of(sqlite::make_write_store(folder.path(), config)->begin()).code == errc::unknown_database);
  CHECK(failure_of(sqlite::make_write_store(folder / "no/x.db", config)->begin()).code == errc::unknown_database);
}

TEST_CASE("the size of the WAL is counted, and a checkpoint without readers truncates it") {
  table_fixture fixture;
  fixture.write("INSERT INTO t(a) VALUES (zeroblob(100000))");
  CHECK(fixture.store->wal_bytes() >= 100'000);
  must(fixture.store->checkpoint(checkpoint_mode::passive));
  CHECK(fixture.store->wal_bytes() == 0);
  fixture.write("INSERT INTO t(a) VALUES (1)");
  CHECK(fixture.store->wal_bytes() > 0);
  CHECK(fixture.store->wal_bytes() < 100'000);
  auto other = fixture.external_process();
  must(other.exec("BEGIN; SELECT * FROM t"));
  auto held = must(sqlite::prepared_statement::prepare(other, "SELECT count(*) FROM t"));
  CHECK(must(held.step()));
  must(fixture.store->checkpoint(checkpoint_mode::truncate));
  held.reset();
  must(other.exec("COMMIT"));
  must(fixture.store->checkpoint(checkpoint_mode::truncate));
  CHECK(std::filesystem::file_size(fixture.file.string() + "-wal") == 0);
  CHECK(fixture.store->wal_bytes() == 0);
}

TEST_CASE("the tables that a write changes are reported also where there are thousands") {
  constexpr int many = 4'200;
  store_fixture fixture;
  std::vector<statement> creations, insertions;
  for (auto i = 0; i < many; ++i) {
    creations.push_back({"CREATE TABLE t" + std::to_string(i) + " (a)", {}});
    insertions.push_back({"INSERT INTO t" + std::to_string(i) + " VALUES (1)", {}});
  }
  fixture.write(request_of(std::move(creations)));
  fixture.write(request_of(std::move(insertions)));
  CHECK(fixture.last_done.tables->size() == many);
  // More names than are kept from one request for the next.
  fixture.write("INSERT INTO t9 VALUES (2)");
  CHECK(sorted(fixture.last_done.tables) == std::vector<std::string>{"t9"});
  fixture.write(request_of({{"INSERT INTO t7 VALUES (2)", {}}, {"DELETE FROM t4199", {}}}));
  CHECK(sorted(fixture.last_done.tables) == std::vector<std::string>{"t4199", "t7"});
}

} // namespace sluice::test::write_store_test
