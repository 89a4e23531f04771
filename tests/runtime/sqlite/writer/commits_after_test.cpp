#include "actors/writer/group_commit.hpp"
#include "runtime/os/machine_clock.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "tests/runtime/sqlite/writer/store_rig.hpp"

namespace sluice::test::commits_after_test {

using sqlite::commits_after;

namespace {

/// Commits through a group, so that what listeners are told can be compared with what the ledger tells later.
struct told_rig : store_rig {
  machine_clock time;
  database_slot slot{"app.db"};
  slow_requests slow;
  group_commit group{*store, slot, time, {}, 1, slow};
  std::vector<invalidation> told;

  void commit(std::vector<std::string> requests) {
    for (auto& sql : requests)
      group.add(request_of(sql.c_str()), {});
    auto done = group.settle();
    for (auto& x : done.writes)
      must(std::move(x.result));
    std::move(done.changes.begin(), done.changes.end(), std::back_inserter(told));
  }

  std::vector<invalidation> ledger(uint64_t seq = 0, uint64_t limit = 1'000) {
    return must(commits_after(file, seq, limit, "app.db"));
  }
};

} // namespace

TEST_CASE("the ledger tells of every commit what listeners were told") {
  told_rig rig;
  rig.commit({"CREATE TABLE t(id INTEGER PRIMARY KEY, a)"});
  rig.commit({"CREATE TABLE u(id INTEGER PRIMARY KEY REFERENCES t(id) ON DELETE CASCADE)", "CREATE TABLE log(a)"});
  rig.commit({"INSERT INTO t VALUES (1, 'x')", "INSERT INTO u VALUES (1)"});
  rig.commit({"SELECT 1"});
  rig.commit({"CREATE TRIGGER g AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.a); END"});
  rig.commit({"DELETE FROM t"});
  rig.commit({"INSERT INTO t VALUES (2, 'y')", "CREATE INDEX i ON t(a)"});
  rig.commit({"CREATE INDEX j ON t(a)"});
  rig.commit({"DROP INDEX i"});
  rig.commit({"CREATE VIEW v AS SELECT * FROM t"});
  rig.commit({"DROP VIEW v"});
  rig.commit({"ALTER TABLE t ADD COLUMN b"});
  rig.commit({"ALTER TABLE t RENAME COLUMN b TO c"});
  rig.commit({"ALTER TABLE t DROP COLUMN c"});
  rig.commit({"ALTER TABLE log RENAME TO logs"});
  rig.commit({"DROP TRIGGER g"});
  rig.commit({"CREATE TABLE s AS SELECT * FROM t"});
  rig.commit({"CREATE TABLE seq(id INTEGER PRIMARY KEY AUTOINCREMENT, a)"});
  rig.commit({"CREATE VIRTUAL TABLE docs USING fts5(body)"});
  rig.commit({"INSERT INTO docs VALUES ('x')"});
  rig.commit({"DROP TABLE docs"});
  rig.commit({"CREATE TABLE w(k PRIMARY KEY) WITHOUT ROWID"});
  rig.commit({"INSERT INTO w VALUES (1)"});
  rig.commit({"DROP TABLE s"});
  rig.commit({"CREATE TABLE IF NOT EXISTS t(a)"});
  rig.commit({"REINDEX"});
  rig.commit({"ANALYZE"});
  auto found = rig.ledger();
  REQUIRE(found.size() == rig.told.size());
  for (size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CHECK(found[i].db == rig.told[i].db);
    CHECK(found[i].commit_seq == i + 1);
    CHECK(rig.told[i].commit_seq == i + 1);
    CHECK(sorted(found[i].tables) == sorted(rig.told[i].tables));
    CHECK(found[i].everything == rig.told[i].everything);
  }
  CHECK(sorted(found[2].tables) == std::vector<std::string>{"t", "u"});
  CHECK(!found[2].everything);
  CHECK(found[3].tables.empty());
  CHECK(!found[3].everything);
  CHECK(sorted(found[5].tables) == std::vector<std::string>{"log", "t", "u"});
}

TEST_CASE("commits are read from any place on, as many as are wanted") {
  told_rig rig;
  rig.commit({"CREATE TABLE t(a)"});
  for (auto i = 0; i < 5; ++i)
    rig.commit({"INSERT INTO t VALUES (1)"});
  auto some = rig.ledger(2, 3);
  REQUIRE(some.size() == 3);
  CHECK(some.front().commit_seq == 3);
  CHECK(some.back().commit_seq == 5);
  CHECK(rig.ledger(6).empty());
  CHECK(rig.ledger(100).empty());
  CHECK(rig.ledger(0, 0).empty());
}

TEST_CASE("a damaged commit record stands for any change") {
  told_rig rig;
  rig.commit({"CREATE TABLE t(a)"});
  rig.commit({"INSERT INTO t VALUES (1)"});
  rig.commit({"INSERT INTO t VALUES (1)"});
  must(rig.foreigner().exec("UPDATE _sluice_commits SET requests = x'80' WHERE commit_seq = 2"));
  auto found = rig.ledger(1);
  REQUIRE(found.size() == 2);
  CHECK(found[0].everything);
  CHECK(!found[1].everything);
}

TEST_CASE("a database without a ledger has no commits to tell of, and none at all is an error") {
  store_rig rig;
  CHECK(failure_of(commits_after(rig.file, 0, 10)).code == errc::unknown_database);
  must(rig.foreigner().exec("CREATE TABLE t(a)"));
  CHECK(must(commits_after(rig.file, 0, 10)).empty());
}

} // namespace sluice::test::commits_after_test
