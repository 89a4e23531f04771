#include "runtime/sqlite/core/leading_keyword.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::leading_keyword_test {

using sqlite::creates_from_select;
using sqlite::leading_keyword;

TEST_CASE("the keyword of a statement is its first word after EXPLAIN") {
  CHECK(leading_keyword(" ; /* x */ vacuum") == "VACUUM");
  CHECK(leading_keyword("explain select 1") == "SELECT");
  CHECK(leading_keyword("EXPLAIN query PLAN pragma user_version") == "PRAGMA");
  CHECK(leading_keyword("\xef\xbb\xbf"
                        "attach 'x' as y")
        == "ATTACH");
  CHECK(leading_keyword("'select'") == "");
  CHECK(leading_keyword("") == "");
}

TEST_CASE("only CREATE TABLE ... AS creates a table from a SELECT") {
  for (const auto* sql : {"create table t as select 1", "CREATE TEMP TABLE t AS SELECT 1",
                          "create table if not exists t as select 1", "create table \"a\"\"b\" as select 1",
                          "create table main.[t] /* */ as select 1", "create table t.u as select 1"})
    CHECK(creates_from_select(sql));
  for (const auto* sql : {"create table t(a) ", "create view v as select 1", "create table \"as\"(a)", "create table t",
                          "create table as_(a text)", "select 1 as t", ""})
    CHECK_FALSE(creates_from_select(sql));
}

} // namespace sluice::test::leading_keyword_test
