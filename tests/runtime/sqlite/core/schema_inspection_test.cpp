#include "runtime/sqlite/core/schema_inspection.hpp"

#include "runtime/sqlite/core/connection.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::schema_inspection_test {

TEST_CASE("tables and views are described with their columns, without those of SQLite and sluice") {
  temp_dir folder;
  {
    sqlite::connection_options way;
    way.mode = sqlite::open_mode::read_write_create;
    auto db = sqlite::connection::open(folder / "app.db", way);
    REQUIRE(db);
    REQUIRE(db->exec("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT NOT NULL DEFAULT 'x', "
                     "b AS (a || 'y'))"));
    REQUIRE(db->exec("CREATE VIEW v AS SELECT a FROM t"));
    REQUIRE(db->exec("CREATE VIEW broken AS SELECT a FROM nowhere"));
    REQUIRE(db->exec("CREATE VIRTUAL TABLE f USING fts5(text)"));
    REQUIRE(db->exec("CREATE TABLE _sluice_commits (a)"));
  }
  auto found = sqlite::describe_tables(folder / "app.db", 10);
  REQUIRE(found);
  std::vector<std::string> names;
  for (const auto& table : *found)
    names.push_back(table.kind + " " + table.name);
  CHECK(names == std::vector<std::string>{"view broken", "virtual f", "table t", "view v"});
  CHECK((*found)[0].columns.empty());
  CHECK((*found)[1].columns.size() == 1);
  const auto& columns = (*found)[2].columns;
  REQUIRE(columns.size() == 3);
  CHECK((columns[0].name == "id" && columns[0].type == "INTEGER" && columns[0].key_place == 1));
  CHECK((columns[1].name == "a" && !columns[1].is_nullable && columns[1].default_value == "'x'"));
  CHECK((columns[2].name == "b" && columns[2].is_generated));
  CHECK(sqlite::describe_tables(folder / "app.db", 2)->size() == 2);
  CHECK_FALSE(sqlite::describe_tables(folder / "none.db", 2));
}

} // namespace sluice::test::schema_inspection_test
