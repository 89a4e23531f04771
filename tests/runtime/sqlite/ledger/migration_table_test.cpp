#include "runtime/sqlite/ledger/migration_table.hpp"

#include "runtime/sqlite/ledger/ledger_repair.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/fake_clock.hpp"

namespace sluice::test::migration_table_test {

using Catch::Matchers::Contains;

namespace {

write_request migration_of(uint64_t number, std::vector<statement> statements, std::string hash = "hash") {
  auto result = request_of(std::move(statements));
  result.migration =
    std::make_shared<const migration>(migration{number, std::to_string(number) + "_a.sql", std::move(hash), {3, 8}});
  return result;
}

struct migrated_fixture : store_fixture {
  caf::expected<std::optional<write_result>> recall(const write_request& request) {
    must(store->begin());
    auto found = store->recall(request);
    store->rollback();
    return found;
  }

  void meddle(const char* sql) { must(external_process().exec(sql)); }
};

} // namespace

TEST_CASE("the table of migrations is made with the first one, and has a row for each") {
  migrated_fixture f;
  f.write("CREATE TABLE t(a)");
  CHECK(f.read_one("SELECT count(*) FROM sqlite_schema WHERE name = '_sluice_migrations'") == value{0});
  auto first = f.write(migration_of(1, {{"INSERT INTO t VALUES (1)"}}, "h1"));
  f.write(migration_of(20, {{"INSERT INTO t VALUES (2)"}}, "h20"));
  CHECK(f.read_one("SELECT group_concat(number || name || hash || agent || (applied_us > 0)) FROM _sluice_migrations")
        == value{"11_a.sqlh1alice1,2020_a.sqlh20alice1"});
  CHECK(f.read_one("SELECT commit_seq FROM _sluice_migrations WHERE number = 1")
        == value{static_cast<int64_t>(first.commit_seq)});
  // The commit record, listeners and the cache learn of it.
  CHECK(sorted(f.last_done.tables) == std::vector<std::string>{"_sluice_migrations", "t"});
  CHECK(f.last_done.schema_changed);
}

TEST_CASE("a conflict of migrations names file, number and the hash that was applied") {
  migrated_fixture f;
  f.write(migration_of(2, {{"CREATE TABLE t(a)"}}, "h2"));
  CHECK_THAT(failure_of(f.recall(migration_of(2, {{"SELECT 1"}}, "other"))).message,
             Contains("2_a.sql: migration 2 was applied as '2_a.sql'") && Contains("h2"));
  CHECK_THAT(failure_of(f.recall(migration_of(1, {{"SELECT 1"}}))).message,
             Contains("1_a.sql: migration 1 was not applied, but migration 2 was"));
}

TEST_CASE("a failing statement of a migration is named by file and line, the only one too") {
  migrated_fixture f;
  f.write("CREATE TABLE t(a)");
  CHECK_THAT(f.refuse(migration_of(5, {{"SELECT 1"}, {"INSERT INTO nowhere VALUES (1)"}})).message,
             Contains("5_a.sql:8: no such table"));
  CHECK_THAT(f.refuse(migration_of(5, {{"INSERT INTO nowhere VALUES (1)"}})).message,
             Contains("5_a.sql:3: no such table"));
}

TEST_CASE("requests read the table of migrations, and do not change it") {
  migrated_fixture f;
  f.write(migration_of(1, {{"CREATE TABLE t(a)"}}));
  CHECK(f.read_one("SELECT number FROM _sluice_migrations") == value{1});
  for (const auto* sql :
       {"DELETE FROM _sluice_migrations", "UPDATE _SLUICE_MIGRATIONS SET hash = ''",
        "INSERT INTO _sluice_migrations VALUES (2, 'x', 'y', 1, 'z', 1)", "DROP TABLE _sluice_migrations",
        "ALTER TABLE _sluice_migrations ADD COLUMN x", "CREATE INDEX i ON _sluice_migrations(name)",
        "CREATE TRIGGER g AFTER INSERT ON _sluice_migrations BEGIN SELECT 1; END"}) {
    INFO(sql);
    CHECK(f.refuse(sql).code == errc::not_authorized);
    CHECK(f.refuse(migration_of(2, {{sql}})).code == errc::not_authorized);
  }
}

TEST_CASE("a request cannot take the name of the table of migrations before there is one") {
  migrated_fixture f;
  f.write("CREATE TABLE t(a)");
  CHECK(f.refuse("CREATE TABLE _sluice_migrations(number)").code == errc::not_authorized);
  CHECK(f.refuse("CREATE VIEW _sluice_migrations AS SELECT 1").code == errc::not_authorized);
}

TEST_CASE("what another program plants on the table of migrations is refused, named and repaired") {
  auto sql =
    GENERATE(as<std::string>{}, "CREATE TRIGGER evil AFTER INSERT ON _sluice_migrations BEGIN DELETE FROM t; END",
             "CREATE UNIQUE INDEX evil ON _SLUICE_MIGRATIONS(agent)",
             "DROP TABLE _sluice_migrations; CREATE TABLE _sluice_migrations(number, evil)",
             "DROP TABLE _sluice_migrations; CREATE VIEW _sluice_migrations AS SELECT 1 AS evil");
  migrated_fixture f;
  f.write(migration_of(1, {{"CREATE TABLE t(a)"}}));
  f.meddle(sql.c_str());
  auto error = failure_of(f.store->begin());
  CHECK(error.code == errc::ledger_damaged);
  CHECK_THAT(error.message, Contains("evil") || Contains("_sluice_migrations"));
  f.store.reset();
  fake_clock time;
  auto repaired = must(sqlite::repair_ledger(f.file, {}, sqlite::ledger_fault::none, time));
  CHECK_FALSE(repaired.actions.empty());
  f.store = sqlite::make_write_store(f.file, f.config, machine_time(), repaired.standing);
  f.write(migration_of(2, {{"INSERT INTO t VALUES (1)"}}));
}

TEST_CASE("a ledger without a table of migrations is complete, and one with it is no damage") {
  migrated_fixture f;
  f.write("CREATE TABLE t(a)");
  CHECK(must(sqlite::has_ledger(f.external_process())));
  f.write(migration_of(1, {{"SELECT 1"}}));
  auto found = must(sqlite::find_ledger_objects(f.external_process()));
  CHECK((found.complete() && found.has_migrations));
  CHECK(must(sqlite::has_ledger(f.external_process())));
}

TEST_CASE("the key of a migration is not that of another one with the same statements") {
  migrated_fixture f;
  auto first = migration_of(1, {{"SELECT 1"}}, "h1");
  first.idempotency_key = "key";
  f.write(first);
  CHECK(must(f.recall(first))->replayed);
  auto second = migration_of(2, {{"SELECT 1"}}, "h1");
  second.idempotency_key = "key";
  CHECK(failure_of(f.recall(second)).code == errc::payload_mismatch);
}

} // namespace sluice::test::migration_table_test
