#include "runtime/sqlite/core/bounded_program.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::bounded_program_test {

namespace {

sqlite::connection database(const temp_dir& folder) {
  sqlite::connection_options options;
  options.mode = sqlite::open_mode::read_write_create;
  auto db = sqlite::connection::open(folder / "app.db", options);
  REQUIRE(db);
  REQUIRE(db->exec(R"(
    CREATE TABLE parents(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
    CREATE TABLE items(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents(id), body TEXT CHECK (length(body) < 100));
    CREATE INDEX items_by_parent ON items(parent);
    CREATE TABLE watched(x);
    CREATE TABLE log(x);
    CREATE TRIGGER watch AFTER INSERT ON watched BEGIN INSERT INTO log VALUES (NEW.x); END;
  )"));
  return std::move(*db);
}

} // namespace

TEST_CASE("a statement that finds single rows by a key is bounded by its form") {
  temp_dir folder;
  auto db = database(folder);
  auto sql = GENERATE("INSERT INTO parents(name) VALUES (?)", "INSERT INTO items(parent, body) VALUES (?, ?)",
                      "INSERT INTO parents VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET name = excluded.name",
                      "INSERT OR REPLACE INTO log VALUES (?)", "UPDATE items SET body = ? WHERE id = ?",
                      "DELETE FROM items WHERE id = ?", "UPDATE items SET body = upper(body) WHERE id = ?;",
                      "INSERT INTO log VALUES (1) -- a comment");
  INFO(sql);
  CHECK(sqlite::is_bounded_by_its_form(db, sql));
}

TEST_CASE("a statement that scans rows, or runs a trigger, is not bounded by its form") {
  temp_dir folder;
  auto db = database(folder);
  auto sql =
    GENERATE("UPDATE items SET body = ? WHERE parent = ?", "DELETE FROM log", "DELETE FROM items WHERE body = ?",
             "INSERT INTO log SELECT x FROM watched", "INSERT INTO log VALUES (1), (2)",
             "INSERT INTO log VALUES ((SELECT count(*) FROM items))", "INSERT INTO watched VALUES (?)",
             "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 9) INSERT INTO log SELECT x FROM c",
             "DELETE FROM parents WHERE id IN (1, 2)", "VACUUM", "no SQL", "SELECT x FROM log",
             "INSERT INTO log VALUES (?) RETURNING x");
  INFO(sql);
  CHECK_FALSE(sqlite::is_bounded_by_its_form(db, sql));
}

} // namespace sluice::test::bounded_program_test
