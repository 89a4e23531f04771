#include "runtime/sqlite/files/leftovers.hpp"

#include "tests/runtime/sqlite/writer/store_rig.hpp"

#include <fstream>

namespace sluice::test::leftovers_test {

using sqlite::remove_leftovers;

namespace {

struct leftovers_rig : store_rig {
  bool beside(const char* suffix) const { return std::filesystem::exists(file.string() + suffix); }
};

} // namespace

TEST_CASE("what readers leave beside a database is removed") {
  leftovers_rig rig;
  rig.write("CREATE TABLE t(a)");
  rig.store.reset();
  CHECK(!rig.beside("-wal"));
  rig.read("SELECT * FROM t");
  rig.reader.reset();
  REQUIRE(rig.beside("-wal"));
  REQUIRE(rig.beside("-shm"));
  remove_leftovers(rig.file);
  CHECK(!rig.beside("-wal"));
  CHECK(!rig.beside("-shm"));
}

TEST_CASE("what a log still holds is in the database when it is removed") {
  leftovers_rig rig;
  rig.write("CREATE TABLE t(a)");
  rig.read("SELECT * FROM t");
  // As after a crash: the file and its log, but nobody who has them open.
  auto copy = rig.folder / "copy.db";
  for (auto* suffix : {"", "-wal"})
    std::filesystem::copy_file(rig.file.string() + suffix, copy.string() + suffix);
  REQUIRE(std::filesystem::file_size(copy.string() + "-wal") > 0);
  remove_leftovers(copy);
  CHECK(!std::filesystem::exists(copy.string() + "-wal"));
  auto db = must(sqlite::connection::open(copy, {}));
  CHECK(sqlite::prepared_statement::prepare(db, "SELECT a FROM t"));
}

TEST_CASE("nothing is removed while another connection has the database open") {
  leftovers_rig rig;
  rig.write("CREATE TABLE t(a)");
  remove_leftovers(rig.file);
  CHECK(rig.beside("-wal"));
  rig.write("INSERT INTO t VALUES (1)");
  CHECK(rig.read_one("SELECT count(*) FROM t") == value{1});
  rig.store.reset();
  rig.read("SELECT * FROM t");
  remove_leftovers(rig.file);
  CHECK(rig.beside("-wal"));
  CHECK(rig.read_one("SELECT count(*) FROM t") == value{1});
}

TEST_CASE("a database that is none, or not there, or has nothing beside it is left as it is") {
  leftovers_rig rig;
  remove_leftovers(rig.file);
  CHECK(!std::filesystem::exists(rig.file));
  std::ofstream{rig.file.string() + "-wal"} << "of a file that is gone";
  remove_leftovers(rig.file);
  CHECK(!std::filesystem::exists(rig.file));
  CHECK(rig.beside("-wal"));
  std::ofstream{rig.file} << "no database, but somebody's";
  remove_leftovers(rig.file);
  CHECK(std::filesystem::file_size(rig.file) == 27);
}

} // namespace sluice::test::leftovers_test
