#include "runtime/sqlite/ledger/ledger.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "runtime/sqlite/ledger/ledger_repair.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/fake_clock.hpp"

#include <filesystem>

namespace sluice::test::ledger_integrity_test {

using sqlite::ledger_fault;

namespace {

// Five commits, the last of them with a key.
struct ledger_fixture : store_fixture {
  fake_clock time;

  ledger_fixture() {
    write("CREATE TABLE t(a)");
    for (int i = 0; i < 3; ++i)
      write("INSERT INTO t VALUES (1)");
    write(request_of({{"INSERT INTO t VALUES (2)", {}}}, "key-1"));
  }

  void meddle(const char* sql) { must(external_process().exec(sql)); }

  void reopen(ledger_standing known = {}) {
    store.reset();
    store = sqlite::make_write_store(file, config, machine_time(), std::move(known));
  }

  failure refused() {
    auto error = failure_of(store->begin());
    CHECK(!store->in_transaction());
    return error;
  }

  sqlite::ledger_repair repair(const ledger_standing& known = {}, ledger_fault fault = ledger_fault::none) {
    store.reset();
    auto done = must(sqlite::repair_ledger(file, known, fault, time));
    reopen(done.standing);
    return done;
  }

  bool chain_is_whole() { return must(must(sqlite::ledger_reader::open(file)).verify()).intact(); }
};

ledger_standing issued(uint64_t seq) {
  ledger_standing x;
  x.issued = seq;
  return x;
}

} // namespace

TEST_CASE("objects with or on the ledger's names are refused in any letter case, named, and repaired") {
  struct planted {
    const char* sql;
    const char* name;
  };
  auto [sql, name] = GENERATE(values<planted>({
    {"CREATE TRIGGER evil AFTER INSERT ON _sluice_keys BEGIN DELETE FROM t; END", "evil"},
    {"CREATE TRIGGER evil AFTER INSERT ON _SLUICE_KEYS BEGIN DELETE FROM _sluice_keys WHERE id = NEW.id; END", "evil"},
    {"CREATE TRIGGER evil BEFORE INSERT ON _Sluice_Commits BEGIN SELECT RAISE(IGNORE); END", "evil"},
    {"CREATE TRIGGER evil AFTER UPDATE ON _SLUICE_meta BEGIN SELECT 1; END", "evil"},
    {"CREATE INDEX plain ON _SLUICE_COMMITS(ts_us)", "plain"},
    {"CREATE INDEX overflow ON _sluice_keys(abs(-9223372036854775807 - created_us))", "overflow"},
    {"CREATE UNIQUE INDEX once ON _sluice_keys(payload)", "once"},
    {"CREATE VIEW _SLUICE_view AS SELECT 1", "_SLUICE_view"},
    {"CREATE TABLE _Sluice_extra(a)", "_Sluice_extra"},
    {"CREATE VIRTUAL TABLE \"_sluice\" USING fts5(a)", "_sluice"},
  }));
  ledger_fixture fixture;
  fixture.meddle(sql);
  auto error = fixture.refused();
  CHECK(error.code == errc::ledger_damaged);
  INFO(error.message);
  CHECK(error.message.find(name) != std::string::npos);
  CHECK(error.message.find("`sluice doctor ROOT --repair`") != std::string::npos);
  auto done = fixture.repair();
  CHECK(!done.actions.empty());
  CHECK(fixture.write("INSERT INTO t VALUES (9)").commit_seq == 6);
  CHECK(fixture.repair().actions.empty());
  CHECK(fixture.chain_is_whole());
}

TEST_CASE("a table with a name of the ledger keeps its rows through a repair") {
  ledger_fixture fixture;
  fixture.meddle("CREATE TABLE _sluice_extra(a); INSERT INTO _sluice_extra VALUES (42);"
                 "CREATE TRIGGER own AFTER INSERT ON _sluice_extra BEGIN SELECT 1; END");
  fixture.repair();
  CHECK(fixture.read_one("SELECT a FROM set_aside_sluice_extra") == value{42});
}

TEST_CASE("names that only look similar are left alone") {
  ledger_fixture fixture;
  fixture.meddle("CREATE TABLE _sluicegate(a); CREATE TABLE my_sluice_x(a); CREATE TRIGGER _sluicing AFTER INSERT ON t "
                 "BEGIN SELECT 1; END; CREATE VIEW v AS SELECT * FROM _sluice_commits");
  CHECK(must(fixture.store->begin()).next_seq == 6);
}

TEST_CASE("requests cannot create objects with the ledger's names in any spelling") {
  ledger_fixture fixture;
  const auto* sql = GENERATE("CREATE VIRTUAL TABLE \"_sluice\" USING fts5(a)", "CREATE TABLE [_SLUICE](a)",
                             "CREATE VIEW _sluice AS SELECT 1", "ALTER TABLE t RENAME TO _sluice",
                             "ALTER TABLE t RENAME TO \"_Sluice_x\"", "CREATE TABLE `_sluice_x`(a)",
                             "CREATE TRIGGER x AFTER INSERT ON _SLUICE_KEYS BEGIN SELECT 1; END",
                             "CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM _SLUICE_KEYS; END");
  CHECK(fixture.refuse(sql).code == errc::not_authorized);
}

TEST_CASE("rows whose numbers no broker has issued are refused and removed by a repair") {
  const auto* sql = GENERATE("INSERT INTO _sluice_commits VALUES (9223372036854775807, 1, x'', x'', x'80')",
                             "INSERT INTO _sluice_commits VALUES (-3, 1, x'', x'', x'80')",
                             "INSERT INTO _sluice_commits VALUES (0, 1, x'', x'', x'80')",
                             "INSERT INTO _sluice_keys VALUES (9223372036854775807, 'x', x'', 1, 1, x'')",
                             "INSERT INTO _sluice_keys VALUES (-1, 'x', x'', 1, 1, x'')",
                             "INSERT INTO _sluice_keys VALUES (1000, 'x', x'', 1, 9223372036854775807, x'')",
                             "INSERT INTO _sluice_keys VALUES (1000, 'x', x'', 9223372036854775807, 1, x'')",
                             "INSERT INTO _sluice_keys VALUES (1000, 'x', x'', 'many', 1, x'')");
  ledger_fixture fixture;
  fixture.meddle(sql);
  CHECK(fixture.refused().code == errc::ledger_damaged);
  fixture.repair();
  CHECK(fixture.write(request_of({{"INSERT INTO t VALUES (9)", {}}}, "key-2")).commit_seq == 6);
  CHECK(fixture.repair().actions.empty());
}

TEST_CASE("tables that were emptied, dropped in part or cut are refused, and repaired without reusing a number") {
  const auto* sql =
    GENERATE("DELETE FROM _sluice_commits; DELETE FROM _sluice_keys; DELETE FROM _sluice_meta",
             "DELETE FROM _sluice_commits", "DELETE FROM _sluice_meta WHERE name = 'format'", "DROP TABLE _sluice_keys",
             "DROP TABLE _sluice_commits", "DROP TABLE _sluice_meta",
             "DELETE FROM _sluice_commits WHERE commit_seq > 2", "DELETE FROM _sluice_commits WHERE commit_seq = 3",
             "DELETE FROM _sluice_keys", "UPDATE _sluice_meta SET value = 'x' WHERE name = 'epoch'",
             "UPDATE _sluice_meta SET value = '1 2' WHERE name = 'key_clock'",
             "UPDATE _sluice_commits SET hash = zeroblob(32) WHERE commit_seq = 5",
             "UPDATE _sluice_commits SET commit_seq = 4 + 10 WHERE commit_seq = 5");
  ledger_fixture fixture;
  fixture.meddle(sql);
  // At once, by the broker that has it open, and when it is opened.
  CHECK(fixture.refused().code == errc::ledger_damaged);
  fixture.reopen(issued(5));
  CHECK(fixture.refused().code == errc::ledger_damaged);
  CHECK(must(fixture.try_read("SELECT count(*) FROM t")).result.rows->size() == 1);
  fixture.repair(issued(5), ledger_fault::behind);
  auto next = fixture.write("INSERT INTO t VALUES (9)").commit_seq;
  CHECK(next >= 6);
  CHECK(fixture.repair(issued(next)).actions.empty());
  CHECK(fixture.chain_is_whole());
}

TEST_CASE("a ledger that is dropped whole is created again at once, after the issued numbers") {
  ledger_fixture fixture;
  fixture.meddle("DROP TABLE _sluice_commits; DROP TABLE _sluice_keys; DROP TABLE _sluice_meta");
  auto begun = must(fixture.store->begin());
  CHECK(begun.next_seq == 6);
  CHECK(!begun.new_epoch.empty());
  fixture.store->rollback();
  CHECK(fixture.write("INSERT INTO t VALUES (9)").commit_seq == 6);
  CHECK(must(fixture.store->begin()).new_epoch.empty());
  fixture.store->rollback();
  fixture.reopen(issued(6));
  CHECK(fixture.write("INSERT INTO t VALUES (9)").commit_seq == 7);
  CHECK(fixture.chain_is_whole());
}

TEST_CASE("an older copy of the file is refused, by the broker that had the newer one open and by the next") {
  ledger_fixture fixture;
  must(fixture.store->checkpoint(checkpoint_mode::truncate));
  auto copy = fixture.folder / "copy.db";
  std::filesystem::copy_file(fixture.file, copy);
  auto newest = fixture.write("INSERT INTO t VALUES (3)").commit_seq;
  fixture.store.reset();
  std::filesystem::remove(fixture.file.string() + "-wal");
  std::filesystem::remove(fixture.file.string() + "-shm");
  std::filesystem::rename(copy, fixture.file);
  fixture.reopen(issued(newest));
  auto error = fixture.refused();
  CHECK(error.code == errc::ledger_damaged);
  CHECK(error.message.find("commit 6 has been acknowledged") != std::string::npos);
  fixture.repair(issued(newest), ledger_fault::behind);
  CHECK(fixture.write("INSERT INTO t VALUES (3)").commit_seq == 7);
}

TEST_CASE("where a power cut may lose commits, a ledger that ends early continues in a new epoch") {
  ledger_fixture fixture;
  fixture.config.synchronous = synchronous_mode::normal;
  fixture.reopen(issued(9));
  auto begun = must(fixture.store->begin());
  CHECK(begun.next_seq == 10);
  CHECK(!begun.new_epoch.empty());
  fixture.store->rollback();
  CHECK(fixture.write("INSERT INTO t VALUES (3)").commit_seq == 10);
  CHECK(fixture.chain_is_whole());
}

TEST_CASE("a ledger that lost its end several times is whole, and damage before its epochs is still found") {
  ledger_fixture fixture;
  fixture.config.synchronous = synchronous_mode::normal;
  for (uint64_t lost : {9U, 19U, 29U}) {
    fixture.reopen(issued(lost));
    CHECK(fixture.write("INSERT INTO t VALUES (3)").commit_seq == lost + 1);
    CHECK(fixture.chain_is_whole());
  }
  fixture.meddle("DELETE FROM _sluice_commits WHERE commit_seq = 2");
  CHECK(!fixture.chain_is_whole());
}

TEST_CASE("the ledger of another file is refused: by a commit, and by its epoch") {
  ledger_fixture fixture;
  auto known = issued(3);
  SECTION("another commit under a known number") {
    known.agreed_seq = 3;
    known.agreed_hash = "another";
  }
  SECTION("another epoch") { known.epoch = "another"; }
  SECTION("what the audit has found") { known.conflict = "commit 2 is another"; }
  fixture.reopen(known);
  CHECK(fixture.refused().code == errc::ledger_damaged);
}

TEST_CASE("a ledger of an earlier version is continued unchanged, and gets its epoch with the next commit") {
  ledger_fixture fixture;
  fixture.meddle("DELETE FROM _sluice_meta WHERE name <> 'format'");
  fixture.reopen(issued(5));
  auto begun = must(fixture.store->begin());
  CHECK((begun.next_seq == 6 && begun.new_epoch.empty()));
  fixture.store->rollback();
  CHECK(fixture.read_one("SELECT count(*) FROM _sluice_meta") == value{1});
  fixture.write("INSERT INTO t VALUES (3)");
  CHECK(fixture.read_one("SELECT count(*) FROM _sluice_meta") == value{4});
  CHECK(fixture.chain_is_whole());
}

TEST_CASE("a record that breaks after a repair is counted") {
  ledger_fixture fixture;
  fixture.meddle("DELETE FROM _sluice_commits WHERE commit_seq = 2");
  fixture.repair();
  CHECK(fixture.chain_is_whole());
  fixture.meddle("UPDATE _sluice_commits SET ts_us = 7 WHERE commit_seq = 4");
  CHECK(!fixture.chain_is_whole());
}

} // namespace sluice::test::ledger_integrity_test
