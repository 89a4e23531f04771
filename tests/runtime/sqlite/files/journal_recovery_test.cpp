#include "runtime/sqlite/files/journal_recovery.hpp"

#include "runtime/sqlite/core/inspection.hpp"
#include "runtime/sqlite/files/file_header.hpp"
#include "runtime/sqlite/ledger/ledger.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"

#include <sqlite3.h>

#include <fstream>
#include <sys/stat.h>

namespace sluice::test::journal_recovery_test {

using sqlite::has_rollback_journal;
using sqlite::recover_journal;

namespace {

/// A connection of another program, with a rollback journal.
struct program {
  sqlite3* db = nullptr;

  explicit program(const std::filesystem::path& file) { REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK); }
  ~program() { sqlite3_close(db); }
  program(const program&) = delete;
  program& operator=(const program&) = delete;

  void run(const char* sql) { REQUIRE(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK); }
};

/// Leaves `file` as after the kill of a program in the middle of a transaction, with half of its pages in the file.
struct half_written_fixture : store_fixture {
  half_written_fixture() {
    auto original = folder / "original.db";
    program other{original};
    other.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t(v) WITH RECURSIVE n(i) AS (SELECT 1 UNION "
              "ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT printf('%200d', i) FROM n");
    other.run("PRAGMA cache_size = 5; BEGIN; UPDATE t SET v = 'HALF' || v");
    for (const auto* suffix : {"", "-journal"})
      std::filesystem::copy_file(original.string() + suffix, file.string() + suffix);
    other.run("ROLLBACK");
  }

  int64_t half_rows() { return *read_one("SELECT count(*) FROM t WHERE v LIKE 'HALF%'").integer(); }
};

} // namespace

TEST_CASE("a read rolls back the partial write of a killed program, and keeps the journal mode") {
  half_written_fixture fixture;
  REQUIRE(has_rollback_journal(fixture.file));
  auto recovered = 0;
  fixture.reader = sqlite::make_read_store(
    fixture.file, fixture.config, machine_time(), [&] { ++recovered; }, fixture.files);
  CHECK(fixture.half_rows() == 0);
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{2'000});
  CHECK(recovered == 1);
  CHECK(sqlite::journal_of(fixture.file) == sqlite::journal_kind::rollback);
  CHECK(fixture.read_one("SELECT count(*) FROM sqlite_schema") == value{1});
  CHECK(!std::filesystem::exists(fixture.file.string() + "-wal"));
  CHECK(!has_rollback_journal(fixture.file));
}

TEST_CASE("a reader that has the database open rolls back, too") {
  half_written_fixture fixture;
  auto half = fixture.folder / "half";
  std::filesystem::create_directory(half);
  for (const auto* suffix : {"", "-journal"})
    std::filesystem::copy_file(fixture.file.string() + suffix, (half / "app.db").string() + suffix);
  CHECK(fixture.half_rows() == 0);
  // Overwrites the content of the open file, as a program that is killed later would.
  for (const auto* suffix : {"", "-journal"}) {
    std::ifstream from{(half / "app.db").string() + suffix, std::ios::binary};
    std::ofstream to{fixture.file.string() + suffix, std::ios::binary};
    to << from.rdbuf();
  }
  CHECK(fixture.half_rows() == 0);
}

TEST_CASE("a first write rolls back the partial write of a killed program") {
  half_written_fixture fixture;
  fixture.write("INSERT INTO t(v) VALUES ('new')");
  CHECK(fixture.half_rows() == 0);
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{2'001});
}

TEST_CASE("an inspection does not touch a hot journal") {
  half_written_fixture fixture;
  CHECK(failure_of(sqlite::inspect(fixture.file, {})).code == errc::read_only);
  CHECK(has_rollback_journal(fixture.file));
}

TEST_CASE("a ledger is read once the journal is rolled back") {
  half_written_fixture fixture;
  CHECK(!sqlite::last_commit_seq(fixture.file));
  CHECK(must(recover_journal(fixture.file, milliseconds{0})));
  CHECK(must(sqlite::last_commit_seq(fixture.file)) == 0);
  CHECK(!must(recover_journal(fixture.file, milliseconds{0})));
}

TEST_CASE("finished journals, empty ones and folders are not hot") {
  for (const auto* mode : {"PERSIST", "TRUNCATE"}) {
    INFO(mode);
    store_fixture fixture;
    {
      program other{fixture.file};
      other.run((std::string{"PRAGMA journal_mode = "} + mode).c_str());
      other.run("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
    }
    REQUIRE(std::filesystem::exists(fixture.file.string() + "-journal"));
    CHECK(!has_rollback_journal(fixture.file));
    CHECK(fixture.read_one("SELECT a FROM t") == value{1});
  }
  store_fixture fixture;
  std::filesystem::create_directory(fixture.file.string() + "-journal");
  CHECK(!has_rollback_journal(fixture.file));
}

TEST_CASE("the journal of a running program is not rolled back") {
  store_fixture fixture;
  program other{fixture.file};
  other.run("CREATE TABLE t(a); INSERT INTO t VALUES (1); BEGIN; INSERT INTO t VALUES (2)");
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{1});
  CHECK(!must(recover_journal(fixture.file, milliseconds{0})));
  other.run("COMMIT");
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{2});
}

TEST_CASE("new databases are private to their owner regardless of the umask; existing ones keep their mode") {
  auto mode_of = [](const std::string& path) {
    struct stat f {};
    return stat(path.c_str(), &f) == 0 ? f.st_mode & 0777U : 0U;
  };
  auto before = umask(0);
  store_fixture fixture;
  fixture.write("CREATE TABLE t(a)");
  for (const auto* suffix : {"", "-wal", "-shm"})
    CHECK(mode_of(fixture.file.string() + suffix) == 0600);
  umask(0277);
  store_fixture strict;
  strict.write("CREATE TABLE t(a)");
  umask(before);
  CHECK(mode_of(strict.file) == 0600);
  store_fixture old;
  {
    program other{old.file};
    other.run("CREATE TABLE t(a)");
  }
  chmod(old.file.c_str(), 0644);
  old.write("INSERT INTO t VALUES (1)");
  for (const auto* suffix : {"", "-wal"})
    CHECK(mode_of(old.file.string() + suffix) == 0644);
}

} // namespace sluice::test::journal_recovery_test
