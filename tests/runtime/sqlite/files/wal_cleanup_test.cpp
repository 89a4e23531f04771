#include "runtime/sqlite/files/wal_cleanup.hpp"

#include "tests/runtime/sqlite/writer/store_fixture.hpp"

#include <fstream>

namespace sluice::test::wal_cleanup_test {

using sqlite::remove_wal_files;

namespace {

struct wal_cleanup_fixture : store_fixture {
  bool beside(const char* suffix) const { return std::filesystem::exists(file.string() + suffix); }
};

} // namespace

TEST_CASE("files that readers leave beside a database are removed") {
  wal_cleanup_fixture fixture;
  fixture.write("CREATE TABLE t(a)");
  fixture.store.reset();
  CHECK(!fixture.beside("-wal"));
  fixture.read("SELECT * FROM t");
  fixture.reader.reset();
  REQUIRE(fixture.beside("-wal"));
  REQUIRE(fixture.beside("-shm"));
  remove_wal_files(fixture.file);
  CHECK(!fixture.beside("-wal"));
  CHECK(!fixture.beside("-shm"));
}

TEST_CASE("the content of a WAL is in the database when the WAL is removed") {
  wal_cleanup_fixture fixture;
  fixture.write("CREATE TABLE t(a)");
  fixture.read("SELECT * FROM t");
  // As after a crash: the file and its log, without an open connection.
  auto copy = fixture.folder / "copy.db";
  for (auto* suffix : {"", "-wal"})
    std::filesystem::copy_file(fixture.file.string() + suffix, copy.string() + suffix);
  REQUIRE(std::filesystem::file_size(copy.string() + "-wal") > 0);
  remove_wal_files(copy);
  CHECK(!std::filesystem::exists(copy.string() + "-wal"));
  auto db = must(sqlite::connection::open(copy, {}));
  CHECK(sqlite::prepared_statement::prepare(db, "SELECT a FROM t"));
}

TEST_CASE("nothing is removed while another connection has the database open") {
  wal_cleanup_fixture fixture;
  fixture.write("CREATE TABLE t(a)");
  remove_wal_files(fixture.file);
  CHECK(fixture.beside("-wal"));
  fixture.write("INSERT INTO t VALUES (1)");
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{1});
  fixture.store.reset();
  fixture.read("SELECT * FROM t");
  remove_wal_files(fixture.file);
  CHECK(fixture.beside("-wal"));
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{1});
}

TEST_CASE("a file that is not a database, or is missing, or has nothing beside it is left as it is") {
  wal_cleanup_fixture fixture;
  remove_wal_files(fixture.file);
  CHECK(!std::filesystem::exists(fixture.file));
  std::ofstream{fixture.file.string() + "-wal"} << "of a file that is gone";
  remove_wal_files(fixture.file);
  CHECK(!std::filesystem::exists(fixture.file));
  CHECK(fixture.beside("-wal"));
  std::ofstream{fixture.file} << "no database, but somebody's";
  remove_wal_files(fixture.file);
  CHECK(std::filesystem::file_size(fixture.file) == 27);
}

} // namespace sluice::test::wal_cleanup_test
