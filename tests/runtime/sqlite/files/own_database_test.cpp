#include "runtime/sqlite/files/own_database.hpp"

#include "runtime/sqlite/core/statement.hpp"
#include "tests/runtime/sqlite/files/file_fixture.hpp"

#include <fstream>

namespace sluice::test::own_database_test {

using sqlite::connection;
using sqlite::explain_mismatch;
using sqlite::is_own_database;
using sqlite::open_own_database;
using sqlite::own_database;

namespace {

constexpr own_database notes{"notes file", "this file is not a notes file", 0x6e6f7465, 3};
constexpr const char* schema = "CREATE TABLE note(text TEXT NOT NULL) STRICT; CREATE INDEX note_text ON note(text)";

struct fixture {
  temp_dir folder;
  fs::path path = folder / "notes.db";

  caf::expected<connection> open(const own_database& kind = notes) { return open_own_database(path, kind, schema, {}); }

  // As another program would leave it.
  void make(const std::string& sql) { other_program{path}.run(sql); }

  int64_t tables() { return std::stoll(other_program{path}.one("SELECT count(*) FROM sqlite_schema")); }
};

} // namespace

TEST_CASE("a database of the broker is created with its tables, private to its owner") {
  fixture f;
  {
    auto db = must(f.open());
    must(db.exec("INSERT INTO note VALUES ('kept')"));
    CHECK(must(is_own_database(db, notes)));
  }
  CHECK(f.tables() == 2);
  CHECK((fs::status(f.path).permissions() & fs::perms::all) == (fs::perms::owner_read | fs::perms::owner_write));
  auto again = must(f.open());
  CHECK(must(sqlite::read_number(again, "SELECT count(*) FROM note")) == 1);
}

TEST_CASE("an empty file of a killed process becomes a database of the broker") {
  fixture f;
  auto is_cut_short = GENERATE(false, true);
  if (is_cut_short)
    f.make("PRAGMA journal_mode = WAL");
  else
    std::ofstream{f.path};
  {
    sqlite::connection_options options;
    auto db = must(connection::open(f.path, options));
    CHECK_FALSE(must(is_own_database(db, notes)));
  }
  CHECK(f.open());
  CHECK(f.tables() == 2);
}

TEST_CASE("a database of another application, or of another format, is refused and not changed") {
  fixture f;
  SECTION("of no application that says so") {
    f.make("CREATE TABLE other(x)");
    auto error = failure_of(f.open());
    CHECK(error.code == errc::corrupt);
    CHECK(error.message == "this file is not a notes file");
    CHECK(f.tables() == 1);
  }
  SECTION("of another one, and empty") {
    f.make("PRAGMA application_id = 7; PRAGMA user_version = 3");
    CHECK(failure_of(f.open()).code == errc::corrupt);
    CHECK(f.tables() == 0);
  }
  SECTION("of another format") {
    must(f.open());
    auto newer = notes;
    newer.format = 4;
    auto error = failure_of(f.open(newer));
    CHECK(error.code == errc::protocol_mismatch);
    CHECK(error.message == "the notes file has the format 3; this program knows format 4");
  }
}

TEST_CASE("a schema that fails leaves no table behind") {
  fixture f;
  auto db = open_own_database(f.path, notes, "CREATE TABLE note(text); CREATE TABLE note(text)", {});
  CHECK(failure_of(std::move(db)).code == errc::sql_error);
  CHECK(f.tables() == 0);
  CHECK(f.open());
}

TEST_CASE("the error of a statement that does not fit the schema names the expected kind of file") {
  auto error = describe(explain_mismatch(make_error(errc::sql_error, "no such column: text"), notes));
  CHECK(error.code == errc::corrupt);
  CHECK(error.message == "this file is not a notes file");
  CHECK(code_of(explain_mismatch(make_error(errc::io_error, "disk"), notes)) == errc::io_error);
}

} // namespace sluice::test::own_database_test
