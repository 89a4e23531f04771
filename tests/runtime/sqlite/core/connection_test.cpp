#include "runtime/sqlite/core/connection.hpp"

#include "tests/runtime/sqlite/writer/store_fixture.hpp"

#include <fstream>
#include <unistd.h>

namespace sluice::test::connection_test {

using sqlite::connection;
using sqlite::open_mode;

namespace {

caf::expected<connection> open_as(open_mode mode, const std::filesystem::path& path) {
  sqlite::connection_options options;
  options.mode = mode;
  return connection::open(path, options);
}

errc code_for(open_mode mode, const std::filesystem::path& path) { return failure_of(open_as(mode, path)).code; }

std::string setting(const connection& db, const char* sql) {
  auto stmt = must(sqlite::prepared_statement::prepare(db, sql));
  REQUIRE(must(stmt.step()));
  return std::string{stmt.text(0)};
}

} // namespace

TEST_CASE("a reader does not create a missing file") {
  temp_dir folder;
  CHECK(code_for(open_mode::read_only, folder / "none.db") == errc::unknown_database);
  CHECK(!std::filesystem::exists(folder / "none.db"));
}

TEST_CASE("a writer creates the file but not its folder") {
  temp_dir folder;
  CHECK(code_for(open_mode::read_write_create, folder / "none/app.db") == errc::unknown_database);
  CHECK(open_as(open_mode::read_write_create, folder / "app.db"));
  CHECK(std::filesystem::exists(folder / "app.db"));
}

TEST_CASE("a folder is not opened as a database") {
  temp_dir folder;
  CHECK(code_for(open_mode::read_only, folder.path()) == errc::unknown_database);
  CHECK(code_for(open_mode::read_write_create, folder.path()) == errc::unknown_database);
  CHECK(code_for(open_mode::read_only, "") == errc::unknown_database);
}

TEST_CASE("a text file is reported as not a database, by name and without its path") {
  temp_dir folder;
  std::ofstream{folder / "notes.txt"} << std::string(5'000, 'n');
  for (auto mode : {open_mode::read_only, open_mode::read_write_create}) {
    auto error = failure_of(open_as(mode, folder / "notes.txt"));
    CHECK(error.code == errc::corrupt);
    CHECK_THAT(error.message, Catch::Contains("file is not a database"));
    CHECK_THAT(error.message, !Catch::Contains(folder.path().string()));
  }
}

TEST_CASE("a file without permission is reported as not_authorized or read_only") {
  if (geteuid() == 0)
    return;
  temp_dir folder;
  REQUIRE(open_as(open_mode::read_write_create, folder / "app.db"));
  std::filesystem::permissions(folder / "app.db", std::filesystem::perms::owner_read);
  CHECK(code_for(open_mode::read_write_create, folder / "app.db") == errc::read_only);
  std::filesystem::permissions(folder / "app.db", std::filesystem::perms::none);
  CHECK(code_for(open_mode::read_only, folder / "app.db") == errc::not_authorized);
}

TEST_CASE("URI names and :memory: are opened as plain files") {
  temp_dir folder;
  auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  CHECK(code_for(open_mode::read_only, "file:app.db?mode=memory") == errc::unknown_database);
  CHECK(code_for(open_mode::read_only, ":memory:") == errc::unknown_database);
  CHECK(open_as(open_mode::read_write_create, "file:app.db?mode=memory"));
  CHECK(std::filesystem::exists(folder / "file:app.db?mode=memory"));
  std::filesystem::current_path(before);
}

TEST_CASE("a writer's connection has WAL, synchronous FULL and the other pragmas of the broker") {
  temp_dir folder;
  auto db = must(open_as(open_mode::read_write_create, folder / "app.db"));
  CHECK(setting(db, "PRAGMA journal_mode") == "wal");
  CHECK(setting(db, "PRAGMA synchronous") == "2");
  CHECK(setting(db, "PRAGMA foreign_keys") == "1");
  CHECK(setting(db, "PRAGMA temp_store") == "2");
  CHECK(setting(db, "PRAGMA cache_size") == "-65536");
  CHECK(setting(db, "PRAGMA busy_timeout") == "500");
  CHECK(setting(db, "PRAGMA wal_autocheckpoint") == "0");
  CHECK(setting(db, "PRAGMA mmap_size") == "0");
}

TEST_CASE("a reader leaves the journal mode as it is, and cannot write") {
  temp_dir folder;
  {
    auto db = must(open_as(open_mode::read_write_create, folder / "app.db"));
    must(db.exec("PRAGMA journal_mode = DELETE; CREATE TABLE t(a)"));
  }
  auto db = must(open_as(open_mode::read_only, folder / "app.db"));
  CHECK(setting(db, "PRAGMA journal_mode") == "delete");
  CHECK(setting(db, "PRAGMA query_only") == "1");
  CHECK(failure_of(db.exec("INSERT INTO t VALUES (1)")).code == errc::read_only);
}

TEST_CASE("the busy time-out is limited to half a second") {
  temp_dir folder;
  sqlite::connection_options options;
  options.mode = open_mode::read_write_create;
  options.busy_timeout = std::chrono::minutes{5};
  auto db = must(connection::open(folder / "app.db", options));
  CHECK(setting(db, "PRAGMA busy_timeout") == "500");
}

TEST_CASE("file_moved reports a renamed file") {
  temp_dir folder;
  auto db = must(open_as(open_mode::read_write_create, folder / "app.db"));
  CHECK(!db.file_moved());
  std::filesystem::rename(folder / "app.db", folder / "other.db");
  CHECK(db.file_moved());
}

} // namespace sluice::test::connection_test
