#include "runtime/sqlite/core/inspection.hpp"
#include "runtime/sqlite/files/file_header.hpp"
#include "runtime/sqlite/reader/query_plan.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>

namespace sluice::test::inspection_test {

using namespace sluice::sqlite;
using sluice::test::temp_dir;

namespace {

namespace fs = std::filesystem;

connection writer(const fs::path& path) {
  connection_options options;
  options.mode = open_mode::read_write_create;
  auto db = connection::open(path, options);
  REQUIRE(db);
  return std::move(*db);
}

// A WAL database with rows, closed and without its WAL.
fs::path make(const temp_dir& dir, const std::string& name = "a b%?#.db") {
  auto path = dir / name;
  auto db = writer(path);
  REQUIRE(db.exec("CREATE TABLE t(x); CREATE INDEX i ON t(x);"
                  "INSERT INTO t SELECT value FROM json_each('[1,2,3,4,5,6,7,8]')"));
  return path;
}

std::vector<std::string> names_in(const temp_dir& dir) {
  std::vector<std::string> result;
  for (const auto& f : fs::directory_iterator{dir.path()})
    result.push_back(f.path().filename());
  return result;
}

void spoil(const fs::path& path, std::streamoff at) {
  std::fstream file{path, std::ios::binary | std::ios::in | std::ios::out};
  file.seekp(at);
  file << std::string(2'000, '\x5a');
}

} // namespace

TEST_CASE("a sound database is reported as such, and no file is left beside it", "[sqlite]") {
  temp_dir dir;
  auto path = make(dir);
  REQUIRE(names_in(dir).size() == 1);
  for (auto deep : {false, true}) {
    auto result = inspect(path, {deep, {}});
    REQUIRE(result);
    CHECK(result->damage.empty());
    CHECK(result->checked);
    CHECK_FALSE(result->ledger);
    CHECK_FALSE(result->ledger_error);
  }
  CHECK(names_in(dir).size() == 1);
}

TEST_CASE("a database in use is checked together with its WAL", "[sqlite]") {
  temp_dir dir;
  auto path = make(dir);
  auto db = writer(path);
  REQUIRE(db.exec("INSERT INTO t VALUES (9)"));
  REQUIRE(names_in(dir).size() == 3);
  auto result = inspect(path, {});
  REQUIRE(result);
  CHECK(result->damage.empty());
  CHECK(db.exec("INSERT INTO t VALUES (10)"));
  CHECK(names_in(dir).size() == 3);
}

TEST_CASE("a check that begins while a file is being checked runs after it", "[sqlite]") {
  temp_dir dir;
  auto path = make(dir);
  std::vector<bool> ways;
  std::optional<connection> other;
  look_without_traces(path, [&](bool immutable) {
    ways.push_back(immutable);
    if (!other) {
      other = writer(path);
      REQUIRE(other->exec("INSERT INTO t VALUES (9)"));
    }
  });
  CHECK(ways == std::vector<bool>{true, false});
  ways.clear();
  look_without_traces(path, [&](bool immutable) { ways.push_back(immutable); });
  CHECK(ways == std::vector<bool>{false});
}

TEST_CASE("damage is found, or the file is refused", "[sqlite]") {
  temp_dir dir;
  auto path = make(dir);
  spoil(path, 4'096);
  auto result = inspect(path, {});
  REQUIRE(result);
  CHECK_FALSE(result->damage.empty());
  spoil(path, 0);
  CHECK(code_of(inspect(path, {}).error()) == errc::corrupt);
  CHECK(code_of(inspect(dir / "missing.db", {}).error()) == errc::unknown_database);
}

TEST_CASE("a check that takes too long ends, and reports this", "[sqlite]") {
  temp_dir dir;
  auto path = make(dir);
  {
    auto db = writer(path);
    REQUIRE(db.exec("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000) "
                    "INSERT INTO t SELECT n FROM c"));
  }
  auto result = inspect(path, {true, std::chrono::milliseconds{1}});
  REQUIRE(result);
  CHECK_FALSE(result->checked);
  CHECK(result->damage.empty());
}

TEST_CASE("a file has its journal mode, and an invalid database has none", "[sqlite]") {
  temp_dir dir;
  CHECK(journal_of(make(dir)) == journal_kind::wal);
  auto rollback = dir / "rollback.db";
  {
    auto db = writer(rollback);
    REQUIRE(db.exec("CREATE TABLE t(x); PRAGMA journal_mode = DELETE"));
  }
  CHECK(journal_of(rollback) == journal_kind::rollback);
  std::ofstream{dir / "empty.db"};
  CHECK(journal_of(dir / "empty.db") == journal_kind::undecided);
  CHECK(looks_like_database(dir / "empty.db"));
  std::ofstream{dir / "short.db"} << "SQLite";
  CHECK_FALSE(looks_like_database(dir / "short.db"));
  std::ofstream{dir / "other.db"} << std::string(5'000, 'x');
  CHECK_FALSE(looks_like_database(dir / "other.db"));
  CHECK_FALSE(looks_like_database(dir / "missing.db"));
  CHECK_FALSE(looks_like_database(dir.path()));
  CHECK(fs::exists(dir / "missing.db") == false);
}

TEST_CASE("plans are read step by step, and nothing is executed for them", "[sqlite]") {
  temp_dir dir;
  auto db = writer(make(dir));
  std::vector<statement> both{{"DELETE FROM t WHERE x = ?", {}}, {"SELECT * FROM t ORDER BY x + 1", {}}};
  auto plan = query_plan(db, both);
  REQUIRE(plan);
  CHECK(plan->find("SEARCH t USING") == 0);
  CHECK(plan->find("i (x=?)") != std::string::npos);
  CHECK(plan->find("\nSCAN t") != std::string::npos);
  CHECK(plan->find("\nUSE TEMP B-TREE FOR ORDER BY") != std::string::npos);
  auto nested = query_plan(db, std::vector<statement>{{"SELECT x FROM t UNION SELECT 1", {}}});
  REQUIRE(nested);
  CHECK(nested->find("\n  ") != std::string::npos);
  CHECK_FALSE(query_plan(db, std::vector<statement>{{"SELEC", {}}}));
  CHECK(query_plan(db, {})->empty());
}

} // namespace sluice::test::inspection_test
