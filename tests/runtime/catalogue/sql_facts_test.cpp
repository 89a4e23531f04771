#include "runtime/catalogue/sql_facts.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::sql_facts_test {

using names = std::vector<std::string>;

TEST_CASE("the parameters of a statement are found by name, each once and in their order", "[catalogue]") {
  CHECK(parameters_in("SELECT :b, @a, $c, :b, @b") == names{"b", "a", "c"});
  CHECK(parameters_in("SELECT a FROM t LIMIT :limit").front() == "limit");
  CHECK(parameters_in("SELECT 1").empty());
  CHECK(parameters_in("").empty());
}

TEST_CASE("what looks like a parameter in literals, names and comments is none", "[catalogue]") {
  CHECK(parameters_in("SELECT ':a', \"@b\", [$c], `:d`, a$e -- :f\n, 1 /* :g */").empty());
  CHECK(parameters_in("SELECT 'it''s :a' || :b") == names{"b"});
}

TEST_CASE("parameters without a name and in Tcl's form are given as they are written", "[catalogue]") {
  CHECK(parameters_in("SELECT ?, ?5, ?") == names{"?", "?5"});
  CHECK(parameters_in("SELECT $a::b(c d), :x(1), :2") == names{"a::b(c d)", "x(1)", "2"});
  CHECK(parameters_in("SELECT :").empty());
  CHECK(parameters_in("SELECT $a(") == names{"a("});
  CHECK(parameters_in("SELECT : a").empty());
}

TEST_CASE("a statement reads or writes as its first keyword says", "[catalogue]") {
  CHECK(effect_of("-- a\n select 1") == sql_effect::reads);
  CHECK(effect_of("VALUES (1)") == sql_effect::reads);
  CHECK(effect_of("EXPLAIN QUERY PLAN DELETE FROM t") == sql_effect::reads);
  CHECK(effect_of("PRAGMA user_version") == sql_effect::reads);
  CHECK(effect_of("PRAGMA user_version(6)") == sql_effect::changes_database);
  CHECK(effect_of("PRAGMA user_version = 5") == sql_effect::changes_database);
  CHECK(effect_of("replace into t values (1)") == sql_effect::changes_rows);
  CHECK(effect_of("CREATE TABLE t(a)") == sql_effect::changes_database);
  CHECK(effect_of("BEGIN") == sql_effect::controls_connection);
  CHECK(effect_of("ATTACH 'a' AS b") == sql_effect::controls_connection);
  CHECK(effect_of("SELCT 1") == sql_effect::unknown);
  CHECK(effect_of("(SELECT 1)") == sql_effect::unknown);
  CHECK(effect_of("") == sql_effect::unknown);
}

TEST_CASE("a WITH does what stands behind its last common table expression", "[catalogue]") {
  CHECK(effect_of("WITH a AS (SELECT 1) SELECT * FROM a") == sql_effect::reads);
  CHECK(effect_of("WITH a(x, y) AS (SELECT 1, ')') INSERT INTO t SELECT * FROM a") == sql_effect::changes_rows);
  CHECK(effect_of("WITH RECURSIVE replace(x) AS NOT MATERIALIZED (SELECT 1), b AS (SELECT 2) DELETE FROM t")
        == sql_effect::changes_rows);
  CHECK(effect_of("WITH a AS (WITH b AS (SELECT 1) SELECT * FROM b) SELECT * FROM a") == sql_effect::reads);
  CHECK(effect_of("WITH a AS (SELECT 1") == sql_effect::unknown);
}

TEST_CASE("only an INSERT without an upsert, and a CREATE, add and change nothing else", "[catalogue]") {
  CHECK(only_adds("INSERT INTO t VALUES (:a) RETURNING id"));
  CHECK(only_adds("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"));
  CHECK(only_adds("CREATE TABLE t(a)"));
  CHECK_FALSE(only_adds("INSERT OR REPLACE INTO t VALUES (1)"));
  CHECK_FALSE(only_adds("INSERT INTO t VALUES (1) ON CONFLICT(a) DO UPDATE SET a = 2"));
  CHECK_FALSE(only_adds("DELETE FROM t"));
}

TEST_CASE("a trigger is finished when its body has its END", "[catalogue]") {
  CHECK_FALSE(is_unfinished_trigger("CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u; END"));
  CHECK_FALSE(is_unfinished_trigger("CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u; END; "));
  CHECK_FALSE(is_unfinished_trigger("CREATE TABLE t(a)"));
  CHECK(is_unfinished_trigger("CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u;"));
  CHECK(is_unfinished_trigger("CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END;"));
}

TEST_CASE("a quoted text without its closing quote is recognized", "[catalogue]") {
  for (const auto* closed : {"''", "'a'", "'it''s'", "\"a\"", "''''", "`a`", "[a]", "[]"}) {
    CAPTURE(closed);
    CHECK_FALSE(is_unclosed(closed));
  }
  for (const auto* open : {"'", "'a", "'a''", "'''", "\"a", "[a", "["}) {
    CAPTURE(open);
    CHECK(is_unclosed(open));
  }
}

} // namespace sluice::test::sql_facts_test
