#include "runtime/catalogue/schema_check.hpp"

#include "runtime/sqlite/core/connection.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::schema_check_test {

namespace {

using Catch::Contains;

struct store {
  temp_dir folder;

  store() {
    sqlite::connection_options way;
    way.mode = sqlite::open_mode::read_write_create;
    auto db = sqlite::connection::open(folder / "app.db", way);
    REQUIRE(db);
    REQUIRE(db->exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"));
  }

  schema_verdict verdict(const std::string& operation, const std::string& database = "app.db") const {
    auto made = make_catalogue({{"a.sql", "-- db: " + database + "\n" + operation}});
    INFO((made ? "" : describe(made.error()).message));
    REQUIRE(made);
    auto root = store_root::look_up(folder.path());
    REQUIRE(root);
    auto all = check_against_schema(**made, *root);
    REQUIRE(all.size() == 1);
    return all.front();
  }

  std::string misfit(const std::string& operation) const {
    auto found = verdict(operation);
    CHECK(to_string(found.state) == "does_not_fit");
    return found.reason;
  }
};

} // namespace

TEST_CASE("an operation fits when its database would prepare each statement", "[catalogue]") {
  store f;
  for (const auto* operation :
       {"-- name: a :one\n-- column id integer\nINSERT INTO notes (text) VALUES (:text) RETURNING id;",
        "-- name: a :many\n-- column n integer\nSELECT count(*) AS n FROM notes;",
        "-- name: a :exec\nDELETE FROM notes;", "-- name: a :exec\nPRAGMA user_version(6);",
        "-- name: a :exec\n-- returning id into x\nDELETE FROM notes RETURNING id;\nDELETE FROM notes WHERE id = "
        ":x;"}) {
    CAPTURE(operation);
    auto found = f.verdict(operation);
    CHECK(to_string(found.state) == "fits");
    CHECK(found.reason.empty());
  }
}

TEST_CASE("an operation that its database would refuse does not fit, with file and line", "[catalogue]") {
  store f;
  CHECK_THAT(f.misfit("-- name: a :one\nSELECT text FROM noted;"), Contains("a.sql:3: no such table: noted"));
  CHECK_THAT(f.misfit("-- name: a :exec\nDELETE FROM notes;\nUPDATE notes SET txt = 1;"),
             Contains("a.sql:4: no such column: txt"));
  CHECK_THAT(f.misfit("-- name: a :one\nSELECT no_such(1);"), Contains("no such function"));
}

TEST_CASE("columns and returned values are compared with those that the database gives", "[catalogue]") {
  store f;
  CHECK_THAT(f.misfit("-- name: a :one\n-- column id integer\nSELECT id, text FROM notes;"),
             Contains("a.sql:4: it gives id, text, and id is declared"));
  CHECK_THAT(f.misfit("-- name: a :one\n-- column nr integer\nINSERT INTO notes (text) VALUES ('x') RETURNING id;"),
             Contains("it gives id, and nr is declared"));
  CHECK_THAT(f.misfit("-- name: a :one\n-- column id integer\nINSERT INTO notes (text) VALUES ('x');"),
             Contains("it gives no columns, and id is declared"));
  CHECK_THAT(f.misfit("-- name: a :exec\n-- returning nr into x\nDELETE FROM notes RETURNING id;\n"
                      "DELETE FROM notes WHERE id = :x;"),
             Contains("a.sql:4: it gives id, and not the column nr for the parameter x"));
}

TEST_CASE("what cannot be prepared yet is not checked, and nothing is created", "[catalogue]") {
  store f;
  auto absent = f.verdict("-- name: a :one\nSELECT 1;", "later.db");
  CHECK(to_string(absent.state) == "not_checked");
  CHECK(absent.reason == "the database later.db does not exist yet");
  CHECK_FALSE(std::filesystem::exists(f.folder / "later.db"));
  auto maker = f.verdict("-- name: a :exec\nCREATE TABLE t (a);\nINSERT INTO t VALUES (1);");
  CHECK(to_string(maker.state) == "not_checked");
  CHECK_FALSE(std::filesystem::exists(f.folder / "app.db-wal"));
  CHECK_FALSE(std::filesystem::exists(f.folder / "app.db-shm"));
}

} // namespace sluice::test::schema_check_test
