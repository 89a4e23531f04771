#include "actors/writer/group_commit.hpp"
#include "runtime/os/machine_clock.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"

namespace sluice::test::commits_after_test {

using sqlite::commits_after;

namespace {

/// Commits through a group, so that notifications can be compared with the later content of the ledger.
struct told_fixture : store_fixture {
  machine_clock time;
  database_context context{"app.db"};
  slow_requests slow;
  group_commit group{*store, context, time, {}, 1, slow};
  std::vector<invalidation> changes;

  void commit(std::vector<std::string> requests) {
    for (auto& sql : requests)
      group.add(request_of(sql.c_str()), {});
    auto done = group.finish_group();
    for (auto& x : done.writes)
      must(std::move(x.result));
    for (auto& change : done.changes)
      changes.push_back(std::move(change.message));
  }

  std::vector<invalidation> ledger(uint64_t seq = 0, uint64_t limit = 1'000) {
    return must(commits_after(file, seq, limit, "app.db"));
  }
};

} // namespace

TEST_CASE("the ledger returns for every commit the message that listeners got") {
  told_fixture fixture;
  fixture.commit({"CREATE TABLE t(id INTEGER PRIMARY KEY, a)"});
  fixture.commit({"CREATE TABLE u(id INTEGER PRIMARY KEY REFERENCES t(id) ON DELETE CASCADE)", "CREATE TABLE log(a)"});
  fixture.commit({"INSERT INTO t VALUES (1, 'x')", "INSERT INTO u VALUES (1)"});
  fixture.commit({"SELECT 1"});
  fixture.commit({"CREATE TRIGGER g AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.a); END"});
  fixture.commit({"DELETE FROM t"});
  fixture.commit({"INSERT INTO t VALUES (2, 'y')", "CREATE INDEX i ON t(a)"});
  fixture.commit({"CREATE INDEX j ON t(a)"});
  fixture.commit({"DROP INDEX i"});
  fixture.commit({"CREATE VIEW v AS SELECT * FROM t"});
  fixture.commit({"DROP VIEW v"});
  fixture.commit({"ALTER TABLE t ADD COLUMN b"});
  fixture.commit({"ALTER TABLE t RENAME COLUMN b TO c"});
  fixture.commit({"ALTER TABLE t DROP COLUMN c"});
  fixture.commit({"ALTER TABLE log RENAME TO logs"});
  fixture.commit({"DROP TRIGGER g"});
  fixture.commit({"CREATE TABLE s AS SELECT * FROM t"});
  fixture.commit({"CREATE TABLE seq(id INTEGER PRIMARY KEY AUTOINCREMENT, a)"});
  fixture.commit({"CREATE VIRTUAL TABLE docs USING fts5(body)"});
  fixture.commit({"INSERT INTO docs VALUES ('x')"});
  fixture.commit({"DROP TABLE docs"});
  fixture.commit({"CREATE TABLE w(k PRIMARY KEY) WITHOUT ROWID"});
  fixture.commit({"INSERT INTO w VALUES (1)"});
  fixture.commit({"DROP TABLE s"});
  fixture.commit({"CREATE TABLE IF NOT EXISTS t(a)"});
  fixture.commit({"REINDEX"});
  fixture.commit({"ANALYZE"});
  auto found = fixture.ledger();
  REQUIRE(found.size() == fixture.changes.size());
  for (size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CHECK(found[i].db == fixture.changes[i].db);
    CHECK(found[i].commit_seq == i + 1);
    CHECK(fixture.changes[i].commit_seq == i + 1);
    CHECK(sorted(found[i].tables) == sorted(fixture.changes[i].tables));
    CHECK(found[i].everything == fixture.changes[i].everything);
  }
  CHECK(sorted(found[2].tables) == std::vector<std::string>{"t", "u"});
  CHECK(!found[2].everything);
  CHECK(found[3].tables.empty());
  CHECK(!found[3].everything);
  CHECK(sorted(found[5].tables) == std::vector<std::string>{"log", "t", "u"});
}

TEST_CASE("commits are read from any position, up to the requested number") {
  told_fixture fixture;
  fixture.commit({"CREATE TABLE t(a)"});
  for (auto i = 0; i < 5; ++i)
    fixture.commit({"INSERT INTO t VALUES (1)"});
  auto some = fixture.ledger(2, 3);
  REQUIRE(some.size() == 3);
  CHECK(some.front().commit_seq == 3);
  CHECK(some.back().commit_seq == 5);
  CHECK(fixture.ledger(6).empty());
  CHECK(fixture.ledger(100).empty());
  CHECK(fixture.ledger(0, 0).empty());
}

TEST_CASE("a damaged commit record stands for any change") {
  told_fixture fixture;
  fixture.commit({"CREATE TABLE t(a)"});
  fixture.commit({"INSERT INTO t VALUES (1)"});
  fixture.commit({"INSERT INTO t VALUES (1)"});
  must(fixture.external_process().exec("UPDATE _sluice_commits SET requests = x'80' WHERE commit_seq = 2"));
  auto found = fixture.ledger(1);
  REQUIRE(found.size() == 2);
  CHECK(found[0].everything);
  CHECK(!found[1].everything);
}

TEST_CASE("a database without a ledger has no commits, and a missing database is an error") {
  store_fixture fixture;
  CHECK(failure_of(commits_after(fixture.file, 0, 10)).code == errc::unknown_database);
  must(fixture.external_process().exec("CREATE TABLE t(a)"));
  CHECK(must(commits_after(fixture.file, 0, 10)).empty());
}

} // namespace sluice::test::commits_after_test
