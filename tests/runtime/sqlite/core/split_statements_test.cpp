#include "runtime/sqlite/core/split_statements.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::split_statements_test {

using sqlite::split_statements;
using pieces = std::vector<std::string_view>;

TEST_CASE("a script is split after each statement, and blanks and comments before it are left out") {
  CHECK(split_statements("SELECT 1; SELECT 2 ;\n-- and\n/* so; on */ SELECT 3")
        == pieces{"SELECT 1;", "SELECT 2 ;", "SELECT 3"});
  CHECK(split_statements("").empty());
  CHECK(split_statements(" ; -- nothing\n").empty());
  CHECK(split_statements("-- only a comment").empty());
}

TEST_CASE("a semicolon in a literal, a quoted name, a comment or a trigger ends no statement") {
  const auto* one =
    GENERATE("SELECT ';', 'it''s; not';", "SELECT \"a;b\";", "SELECT `a;b`;", "SELECT [a;b];", "SELECT 1 -- a;b\n;",
             "SELECT 1 /* a;b */;", "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u; DELETE FROM v; END;");
  CHECK(split_statements(std::string{one} + "SELECT 2") == pieces{one, "SELECT 2"});
}

TEST_CASE("a CASE expression ends no trigger") {
  const std::string trigger = "CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; END;";
  CHECK(split_statements(trigger + "SELECT 2;") == pieces{trigger, "SELECT 2;"});
}

TEST_CASE("the body of a trigger is cut in time that grows with its length") {
  CHECK(split_statements("CREATE TRIGGER g BEGIN " + std::string(1'000'000, ';')).size() == 1);
}

TEST_CASE("unclosed text belongs to the last statement") {
  const auto* open = GENERATE("SELECT 'a;b", "SELECT `a;b", "SELECT [a;b", "SELECT 1 /* a;b", "SELECT 1 -- a;b");
  CHECK(split_statements("SELECT 1;" + std::string{open}) == pieces{"SELECT 1;", open});
}

} // namespace sluice::test::split_statements_test
