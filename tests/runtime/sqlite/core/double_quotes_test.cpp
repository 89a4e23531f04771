#include "runtime/sqlite/core/double_quotes.hpp"

#include "runtime/sqlite/core/inspection.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"

#include <sqlite3.h>

namespace sluice::test::double_quotes_test {

using names = std::vector<std::string>;

namespace {

/// A database that another program created with SQLite's defaults.
struct legacy_fixture : store_fixture {
  legacy_fixture() {
    by_program(R"(
      CREATE TABLE job(id INTEGER PRIMARY KEY, state TEXT CHECK(state <> "none"), size GENERATED ALWAYS AS (state || "!"));
      CREATE INDEX done ON job(id) WHERE state = "done";
      CREATE TABLE log(id, what);
      CREATE TRIGGER finished AFTER UPDATE ON job WHEN NEW.state = "done" BEGIN
        INSERT INTO log VALUES (NEW.id, "finished");
      END;
      CREATE VIEW ended AS SELECT id, "ended" AS kind FROM job WHERE state = "done";
      CREATE VIEW plain AS SELECT "id" FROM job;
      INSERT INTO job(state) VALUES ('new');)");
  }

  void by_program(const char* sql) {
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr) == SQLITE_OK);
    auto code = sqlite3_exec(raw, sql, nullptr, nullptr, nullptr);
    std::string message = sqlite3_errmsg(raw);
    sqlite3_close(raw);
    INFO(message);
    REQUIRE(code == SQLITE_OK);
  }
};

} // namespace

TEST_CASE("tokens in double quotes are written in backticks, and nothing else is") {
  for (auto [sql, expected] : std::vector<std::pair<const char*, const char*>>{
         {R"(SELECT "a", 'say "hi"', [a"b], `c"d` FROM "t")", R"(SELECT `a`, 'say "hi"', [a"b], `c"d` FROM `t`)"},
         {R"(SELECT "a""b", "c`d" -- "x"
             /* "y" */ , "z")",
          R"(SELECT `a"b`, `c``d` -- "x"
             /* "y" */ , `z`)"},
         {R"('it''s "so"' "")", R"('it''s "so"' ``)"},
         {R"("open)", R"(`open`)"},
         {"", ""}}) {
    INFO(sql);
    CHECK(sqlite::with_backticks(sql) == expected);
  }
  CHECK(sqlite::mentions_in_double_quotes(R"(x = "a""b")", R"(a"b)"));
  CHECK(!sqlite::mentions_in_double_quotes(R"(x = 'a' -- "a")", "a"));
}

TEST_CASE("a table whose trigger has text in double quotes is written, and the trigger runs") {
  legacy_fixture fixture;
  fixture.write("UPDATE job SET state = 'done' WHERE id = 1");
  CHECK(fixture.read_one("SELECT what FROM log") == value{"finished"});
  CHECK(fixture.read_one("SELECT kind FROM ended") == value{"ended"});
  CHECK(fixture.read_one("SELECT size FROM job") == value{"done!"});
  CHECK(fixture.refuse("UPDATE job SET state = 'none'").code == errc::constraint);
}

TEST_CASE("text in double quotes in a request is refused, whatever the schema has") {
  legacy_fixture fixture;
  fixture.write("UPDATE job SET state = 'done' WHERE id = 1");
  fixture.read("SELECT * FROM ended");
  for (const auto* sql : {R"(UPDATE job SET state = "done")", R"(INSERT INTO log VALUES (1, "finished"))",
                          R"(SELECT "ended" FROM log)", R"(CREATE TABLE copied AS SELECT "ended" AS x FROM log)",
                          R"(CREATE INDEX i ON log("finished"))", R"(CREATE TABLE other(a CHECK(a <> "finished")))",
                          R"(UPDATE job SET state = 'done' WHERE "ended" = 'ended')"}) {
    INFO(sql);
    CHECK_THAT(fixture.refuse(sql).message, Catch::Contains("no such column") || Catch::Contains("no column named"));
  }
  CHECK(failure_of(fixture.try_read(R"(SELECT "finished" FROM ended)")).code == errc::sql_error);
}

TEST_CASE("a view or trigger of a request that has text in double quotes is refused, and leaves nothing") {
  table_fixture fixture;
  for (const auto* sql : {R"(CREATE VIEW v AS SELECT "wrong" FROM t)",
                          R"(CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = "wrong" WHERE id = 0; END)"}) {
    INFO(sql);
    auto error = fixture.refuse(sql);
    CHECK(error.code == errc::sql_error);
    CHECK_THAT(error.message, Catch::Contains("double quotes"));
    CHECK(fixture.survived);
  }
  fixture.write(R"(CREATE VIEW v AS SELECT "id" FROM "t")");
  fixture.write(R"(CREATE TRIGGER g AFTER INSERT ON "t" BEGIN UPDATE "t" SET "a" = 'right' WHERE "id" = 0; END)");
  CHECK(fixture.read_one("SELECT group_concat(name) FROM sqlite_schema WHERE type IN ('view', 'trigger')")
        == value{"v,g"});
  legacy_fixture old;
  old.write(R"(CREATE VIEW IF NOT EXISTS ended AS SELECT "wrong")");
  old.write(R"(CREATE VIEW more AS SELECT "kind" FROM ended)");
}

TEST_CASE("names in double quotes also work beside such a schema") {
  legacy_fixture fixture;
  fixture.write(R"(UPDATE "job" SET "state" = 'done' WHERE "id" = 1)");
  auto rows = fixture.read(R"(SELECT "kind", "id" + 1, "id" AS "a""b" FROM "ended")").result.rows;
  CHECK(rows->columns() == names{"kind", R"("id" + 1)", R"(a"b)"});
  fixture.write(R"(CREATE VIEW mine AS SELECT "id" FROM "job")");
  CHECK(fixture.read_one("SELECT sql FROM sqlite_schema WHERE name = 'mine'")
        == value{R"(CREATE VIEW mine AS SELECT "id" FROM "job")"});
}

TEST_CASE("a view that gets text in double quotes while it is in use stays readable") {
  legacy_fixture fixture;
  fixture.by_program("DROP VIEW ended; CREATE VIEW ended AS SELECT id, 'x' AS kind FROM job");
  CHECK(fixture.read_one("SELECT kind FROM ended") == value{"x"});
  fixture.by_program(R"(DROP VIEW ended; CREATE VIEW ended AS SELECT id, "y" AS kind FROM job)");
  CHECK(fixture.read_one("SELECT kind FROM ended") == value{"y"});
}

TEST_CASE("tables of such a schema are altered") {
  for (const auto* sql : {"ALTER TABLE log RENAME TO journal", "ALTER TABLE job RENAME COLUMN state TO status",
                          "ALTER TABLE log ADD COLUMN at INT DEFAULT 0", "ALTER TABLE log DROP COLUMN id2"}) {
    INFO(sql);
    legacy_fixture fixture;
    fixture.by_program("ALTER TABLE log ADD COLUMN id2");
    fixture.write("CREATE TABLE mine(a)");
    fixture.by_program(
      "DROP TRIGGER finished; CREATE TRIGGER finished AFTER UPDATE ON job WHEN NEW.id > 0 AND \"a\" = 'a' "
      "BEGIN INSERT INTO log(id) SELECT \"b\" WHERE NEW.id = 5; END");
    fixture.write(sql);
    CHECK(fixture.read_one("SELECT kind FROM (SELECT kind FROM ended UNION ALL SELECT 'none' LIMIT 1)").text()
          != nullptr);
    CHECK_THAT(fixture.refuse(R"(CREATE TABLE other(a CHECK(a <> "finished")))").message,
               Catch::Contains("no such column"));
  }
}

TEST_CASE("a misspelt column of a healthy schema is refused, and text in double quotes with advice") {
  table_fixture fixture;
  const std::string advice = "; double quotes are for names, a text is in single quotes";
  CHECK(fixture.refuse(R"(SELECT "b" FROM t)").message == "no such column: b" + advice);
  CHECK(fixture.refuse(R"(INSERT INTO t(a) VALUES ("x"))").message == "no such column: x" + advice);
  CHECK(fixture.refuse("SELECT b FROM t").message == "no such column: b");
}

TEST_CASE("an inspection names the objects that depend on text in double quotes") {
  legacy_fixture fixture;
  auto found = must(sqlite::inspect(fixture.file, {}));
  CHECK(found.double_quoted == names{"table job", "index done", "view ended", "trigger finished"});
  table_fixture healthy;
  healthy.write(R"(CREATE VIEW v AS SELECT "id", 'x' AS "kind" FROM "t")");
  CHECK(must(sqlite::inspect(healthy.file, {})).double_quoted.empty());
}

} // namespace sluice::test::double_quotes_test
