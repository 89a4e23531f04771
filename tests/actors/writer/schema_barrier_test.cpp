#include "actors/writer/schema_barrier.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::schema_barrier_test {

using namespace std::chrono_literals;

TEST_CASE("statements that may change the meaning of a buffered row are recognized by their leading keywords") {
  for (const auto* sql :
       {"ALTER TABLE t RENAME TO u", "alter table t add c", "DROP TABLE t", "drop index i", "DROP TRIGGER x",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", "CREATE TEMP TRIGGER x", "CREATE INDEX i ON t(a)",
        "create unique index i on t(a)", " \n;DROP VIEW v", "-- a comment\nALTER TABLE t",
        "/* a */ /* b */DROP TABLE t", "CREATE/**/UNIQUE--\nINDEX i",
        "\xef\xbb\xbf"
        "DROP TABLE t"})
    CHECK(may_change_schema(sql));
  for (const auto* sql :
       {"", "INSERT INTO t VALUES('DROP TABLE t')", "UPDATE t SET a = 1", "DELETE FROM t", "SELECT 1", "REPLACE INTO t",
        "CREATE TABLE t(a)", "CREATE VIEW v AS SELECT 1", "CREATE VIRTUAL TABLE t USING fts5(a)",
        "CREATE TEMP TABLE t(a)", "WITH a AS (SELECT 1) DELETE FROM t", "DROPS", "dro", "CREATE", "-- DROP TABLE t",
        "/* DROP TABLE t", "alterx table"})
    CHECK_FALSE(may_change_schema(sql));
}

TEST_CASE("a request may change a schema when any of its statements may") {
  write_request x;
  CHECK_FALSE(may_change_schema(x));
  x.statements = {{"INSERT INTO t VALUES(1)", {}}, {"DROP TABLE t", {}}};
  CHECK(may_change_schema(x));
  x.statements.pop_back();
  CHECK_FALSE(may_change_schema(x));
}

TEST_CASE("requests that were held back come out in order, after those whose deadline has passed") {
  schema_barrier aut;
  aut.raise();
  clock::steady start{};
  for (int i = 0; i < 4; ++i) {
    write_request x;
    x.request_id = std::to_string(i);
    aut.hold({std::move(x), {}, start + (i % 2 ? 1s : 2s)});
  }
  CHECK(aut.next_deadline() == start + 1s);
  CHECK(aut.take_expired(start).empty());
  auto late = aut.take_expired(start + 1s);
  REQUIRE(late.size() == 2);
  CHECK(late[0].request.request_id == "1");
  CHECK(late[1].request.request_id == "3");
  CHECK(aut.is_up());
  auto rest = aut.lower();
  REQUIRE(rest.size() == 2);
  CHECK(rest[0].request.request_id == "0");
  CHECK(rest[1].request.request_id == "2");
  CHECK_FALSE(aut.is_up());
  CHECK(aut.lower().empty());
  CHECK(aut.next_deadline() == clock::steady::max());
}

} // namespace sluice::test::schema_barrier_test
