#include "runtime/migrations/migrate.hpp"

#include "messages/error.hpp"
#include "runtime/broker/migrate.hpp"
#include "runtime/client/migrate.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace sluice::test::migrate_test {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;

namespace {

struct migrated_store {
  temp_dir dir;
  fs::path folder = dir / "migrations";

  migrated_store() {
    fs::create_directory(folder);
    put("1_notes.sql", "CREATE TABLE notes(id INTEGER PRIMARY KEY, text);");
    put("2_fill.sql", "INSERT INTO notes(text) VALUES ('a');\nINSERT INTO notes(text) VALUES ('b');");
  }

  void put(const std::string& name, const std::string& text) const { std::ofstream{folder / name} << text; }

  broker open() const {
    broker_config config;
    config.root = dir.path();
    auto result = broker::open(std::move(config));
    REQUIRE(result);
    return std::move(*result);
  }
};

template <class T> T must(caf::expected<T> result) {
  if (!result)
    FAIL(describe(result.error()).message);
  return std::move(*result);
}

int64_t count(const database& db, const char* sql) {
  auto answer = must(db.read("test", sql));
  return *answer.rows->at(0, 0).integer();
}

} // namespace

TEST_CASE("a host applies the migrations of a folder once", "[migrations]") {
  migrated_store s;
  auto host = s.open();
  auto db = must(host.open_database("app.db"));
  std::vector<std::string> progress;
  auto note = [&](const migration_file& file, const write_result* done) {
    progress.push_back((done ? "done " : "") + file.name);
  };
  auto first = must(migrate(db, s.folder, {"alice", {}, note}));
  REQUIRE(first.steps.size() == 2);
  CHECK((first.before == 0 && first.steps[1].number == 2 && first.steps[1].name == "2_fill.sql"));
  CHECK((first.steps[1].commit_seq == first.steps[0].commit_seq + 1 && !first.steps[1].by_another));
  CHECK(progress == std::vector<std::string>{"1_notes.sql", "done 1_notes.sql", "2_fill.sql", "done 2_fill.sql"});
  auto again = must(migrate(db, s.folder));
  CHECK((again.steps.empty() && again.before == 2));
  CHECK(count(db, "SELECT count(*) FROM notes") == 2);
  CHECK(count(db, "SELECT count(*) FROM _sluice_migrations WHERE agent = 'alice' AND applied_us > 0 AND commit_seq > 0")
        == 2);
}

TEST_CASE("a migration that fails is undone, names its line, and leaves the earlier ones", "[migrations]") {
  migrated_store s;
  s.put("3_more.sql", "INSERT INTO notes(text) VALUES ('c');\n\nINSERT INTO nowhere VALUES (1);");
  s.put("4_never.sql", "CREATE TABLE never(a);");
  auto host = s.open();
  auto db = must(host.open_database("app.db"));
  auto failed = migrate(db, s.folder);
  REQUIRE_FALSE(failed);
  auto error = describe(failed.error());
  CHECK(error.code == errc::sql_error);
  CHECK_THAT(error.message,
             Contains("3_more.sql:3: ") && Contains("nowhere") && Contains("the 2 migrations before it stay applied"));
  CHECK(count(db, "SELECT count(*) FROM notes") == 2);
  CHECK(count(db, "SELECT max(number) FROM _sluice_migrations") == 2);
  s.put("3_more.sql", "INSERT INTO notes(text) VALUES ('c');");
  CHECK(must(migrate(db, s.folder)).steps.size() == 2);
  CHECK(count(db, "SELECT count(*) FROM notes") == 3);
}

TEST_CASE("a table is rebuilt without foreign keys, and a violation is refused with the name of the file",
          "[migrations]") {
  migrated_store s;
  s.put("3_refs.sql",
        "CREATE TABLE refs(note REFERENCES notes(id) ON DELETE CASCADE); INSERT INTO refs VALUES (1), (2);");
  s.put("4_rebuild.sql", "-- foreign_keys: off\nCREATE TABLE n2(id INTEGER PRIMARY KEY, text, stars DEFAULT 0);\n"
                         "INSERT INTO n2(id, text) SELECT id, text FROM notes;\nDROP TABLE notes;\n"
                         "ALTER TABLE n2 RENAME TO notes;");
  auto host = s.open();
  auto db = must(host.open_database("app.db"));
  CHECK(must(migrate(db, s.folder)).steps.size() == 4);
  CHECK(count(db, "SELECT count(*) FROM refs") == 2);
  s.put("5_break.sql", "-- foreign_keys off\nDELETE FROM notes WHERE id = 1;");
  auto failed = migrate(db, s.folder);
  REQUIRE_FALSE(failed);
  CHECK(code_of(failed.error()) == errc::constraint);
  CHECK_THAT(describe(failed.error()).message, Contains("5_break.sql: ") && Contains("refs"));
  CHECK(count(db, "SELECT count(*) FROM notes") == 2);
}

TEST_CASE("a client applies migrations, and says what it cannot send", "[migrations]") {
  migrated_store s;
  client_options options;
  options.start_broker = false;
  options.warn = [](std::string_view) {};
  auto store = must(open_client(s.dir.path(), std::move(options)));
  CHECK(must(migrate(*store, "app.db", s.folder, {"alice"})).steps.size() == 2);
  client_migrations target{*store, "app.db"};
  auto plan = must(plan_migrations(target, s.folder));
  REQUIRE(plan.size() == 2);
  CHECK((plan[0].state == migration_state::applied && plan[0].row.agent == "alice"));
  s.put("1_notes.sql", "CREATE TABLE other(a);");
  auto failed = migrate(*store, "app.db", s.folder);
  REQUIRE_FALSE(failed);
  CHECK(code_of(failed.error()) == errc::conflict);
  // The broker decides, whatever the client compared.
  auto refused = target.apply({1, "1_notes.sql", "CREATE TABLE other(a);"}, {});
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::conflict);
  CHECK(
    must(target.apply(
           {2, "2_other_name.sql", "INSERT INTO notes(text) VALUES ('a');\nINSERT INTO notes(text) VALUES ('b');"}, {}))
      .replayed);
}

} // namespace sluice::test::migrate_test
