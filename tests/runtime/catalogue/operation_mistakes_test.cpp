#include "messages/error.hpp"
#include "runtime/catalogue/operation_file.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <random>

namespace sluice::test::operation_mistakes_test {

using Catch::Contains;
using Catch::StartsWith;

namespace {

std::string complaint(std::string_view text) {
  CAPTURE(text.substr(0, 500));
  auto result = parse_operation_file(text, "a.sql");
  REQUIRE_FALSE(result);
  CHECK(code_of(result.error()) == errc::invalid_request);
  return describe(result.error()).message;
}

struct mistake {
  const char* text;
  const char* message;
};

// Each text follows `-- db: app.db`, so that its first line is line 2.
void check_all(const std::vector<mistake>& mistakes) {
  for (const auto& [text, message] : mistakes)
    CHECK_THAT(complaint(std::string{"-- db: app.db\n"} + text), StartsWith(std::string{"a.sql:"} + message));
}

} // namespace

TEST_CASE("names of operations are identifiers, and not reserved", "[catalogue]") {
  check_all({
    {"-- name: A :exec\nSELECT 1;", "2: 'A' cannot be the name of an operation"},
    {"-- name: 1a :one\nSELECT 1;", "2: '1a' cannot be the name"},
    {"-- name: a-b :one\nSELECT 1;", "2: 'a-b' cannot be the name"},
    {"-- name:\nSELECT 1;", "2: '' cannot be the name"},
    {"-- name: caf\xc3\xa9 :one\nSELECT 1;", "2: 'caf\xc3\xa9' cannot be the name"},
    {"-- name: sluice_write :one\nSELECT 1;", "2: operation sluice_write has a name that is reserved"},
    {"-- name: a :one\nSELECT 1;\n\n-- name: a :one\nSELECT 1;",
     "5: operation a is already defined in line 2; rename one of them"},
  });
  CHECK_THAT(complaint("-- db: a\n-- name: " + std::string(65, 'a') + " :one\nSELECT 1;"), Contains("at most 64"));
}

TEST_CASE("an operation has one of four kinds", "[catalogue]") {
  check_all({
    {"-- name: a\nSELECT 1;", "2: operation a lacks its kind"},
    {"-- name: a one\nSELECT 1;", "2: operation a lacks its kind"},
    {"-- name: a :all\nSELECT 1;", "2: there is no kind 'all'; there are exec, one, many, batch"},
    {"-- name: a :mny\nSELECT 1;", "2: there is no kind 'mny', did you mean many?"},
    {"-- name: a :one more\nSELECT 1;", "2: there is no kind 'one more'"},
  });
}

TEST_CASE("a file with operations names one database within the store root", "[catalogue]") {
  CHECK_THAT(complaint("\n-- name: a :one\nSELECT 1;\n-- name: b :one\nSELECT 1;"),
             StartsWith("a.sql:2: there is no database for this operation"));
  for (const auto* name : {"", "/etc/a.db", "../a.db", "a/../../b.db", ".sluice/audit.db", "a//b.db", "./a.db", "a/"})
    CHECK_THAT(complaint(std::string{"\n-- db: "} + name + "\n-- name: a :one\nSELECT 1;"),
               StartsWith(std::string{"a.sql:2: '"} + name + "' cannot be a database"));
  CHECK_THAT(complaint("-- db: a\x1b[1m.db"), Contains("control character"));
  CHECK_THAT(complaint("-- db: a.db\n-- db: b.db"), StartsWith("a.sql:2: the file is for a.db already"));
  CHECK_THAT(complaint("-- db: a.db\n-- name: a :one\nSELECT 1;\n-- db: b.db"),
             StartsWith("a.sql:4: the database must stand before the first operation"));
}

TEST_CASE("parameters are described once, used, and named like operations", "[catalogue]") {
  check_all({
    {"-- name: a :one\n-- param B text\nSELECT :B;", "3: 'B' cannot be the name of a parameter"},
    {"-- name: a :one\n-- param b\nSELECT :b;", "3: there is no type ''"},
    {"-- name: a :one\n-- param b txt\nSELECT :b;", "3: there is no type 'txt', did you mean text?"},
    {"-- name: a :one\n-- param b text\n-- param b text\nSELECT :b;", "4: parameter b is described twice"},
    {"-- name: a :one\n-- param b text\n-- param c text\nSELECT :c;", "3: parameter b is not used in the SQL"},
    {"-- name: a :one\n-- param b text\nSELECT ':b' -- :b\n;", "3: parameter b is not used in the SQL"},
    {"-- name: a :one\nSELECT\n:noteId;", "3: 'noteId' cannot be the name of a parameter"},
    {"-- name: a :one\n\nSELECT ?;", "4: the parameter ? has no name"},
    {"-- name: a :one\nSELECT $a::b;", "3: 'a::b' cannot be the name"},
  });
}

TEST_CASE("bounds have the type of their parameter and are in order", "[catalogue]") {
  check_all({
    {"-- name: a :one\n-- param b integer (5..1)\nSELECT :b;", "3: parameter b has reversed bounds; write (1..5)"},
    {"-- name: a :one\n-- param b real (2.5..1)\nSELECT :b;", "3: parameter b has reversed bounds"},
    {"-- name: a :one\n-- param b integer (1.5..2)\nSELECT :b;", "3: parameter b has the bound '1.5'"},
    {"-- name: a :one\n-- param b real (a..2)\nSELECT :b;", "3: parameter b has the bound 'a'"},
    {"-- name: a :one\n-- param b real (..inf)\nSELECT :b;", "3: parameter b has the bound 'inf'"},
    {"-- name: a :one\n-- param b text (-1..)\nSELECT :b;", "3: parameter b has the bound '-1'; a bound of text"},
    {"-- name: a :one\n-- param b any (1..)\nSELECT :b;", "3: parameter b is of type any, which has no bounds"},
    {"-- name: a :one\n-- param b text (..)\nSELECT :b;", "3: parameter b has bounds without a number"},
    {"-- name: a :one\n-- param b text (5)\nSELECT :b;", "3: parameter b has '(5)' behind its type"},
    {"-- name: a :one\n-- param b text 1..5\nSELECT :b;", "3: parameter b has '1..5' behind its type"},
    {"-- name: a :one\n-- param b integer (1..99999999999999999999)\nSELECT :b;", "3: parameter b has the bound"},
  });
}

TEST_CASE("the other annotations have their forms", "[catalogue]") {
  check_all({
    {"-- name: a :one\n-- tier gold\nSELECT 1;", "3: there is no tier 'gold'"},
    {"-- name: a :one\n-- tier\nSELECT 1;", "3: there is no tier ''"},
    {"-- name: a :one\n-- tier core\n-- tier basic\nSELECT 1;", "4: this was said in line 3 already"},
    {"-- name: a :one\n-- cache 60\nSELECT 1;", "3: '60' is no duration"},
    {"-- name: a :one\n-- cache 0s\nSELECT 1;", "3: an answer cannot be cached for 0s"},
    {"-- name: a :one\n-- cache 25h\nSELECT 1;", "3: an answer cannot be cached for 25h"},
    {"-- name: a :one\n-- cache 9223372036854775807h\nSELECT 1;", "3: an answer cannot be cached"},
    {"-- name: a :exec\n-- expect one\nDELETE FROM t;", "3: 'one' is no number of rows"},
    {"-- name: a :exec\n-- expect -1\nDELETE FROM t;", "3: '-1' is no number of rows"},
    {"-- name: a :exec\n-- foreign_keys no\nDELETE FROM t;", "3: foreign_keys cannot be 'no'"},
    {"-- name: a :one\n-- column a-b text\nSELECT 1;", "3: 'a-b' cannot be the name of a column"},
    {"-- name: a :one\n-- column b text\n-- column b text\nSELECT 1;", "4: column b is described twice"},
    {"-- name: a :one\n-- column b text (1..)\nSELECT 1;", "3: '(1..)' behind the type of column b means nothing"},
  });
}

TEST_CASE("an annotation contradicts neither the kind nor the SQL", "[catalogue]") {
  check_all({
    {"-- name: a :one\n-- cache 1s\nDELETE FROM t RETURNING a;", "3: only an operation that reads can be cached"},
    {"-- name: a :one\n-- expect 1\nSELECT 1;", "3: expect needs exactly one INSERT"},
    {"-- name: a :exec\n-- expect 1\nDELETE FROM t; DELETE FROM u;", "3: expect needs exactly one INSERT"},
    {"-- name: a :one\n-- foreign_keys off\nSELECT 1;", "3: foreign_keys is only for operations that write"},
    {"-- name: a :exec\n-- column b text\nDELETE FROM t;", "3: a :exec operation gives no rows"},
    {"-- name: a :batch\n-- column b text\nDELETE FROM t;", "3: a gives no rows, and so no columns; write RETURNING"},
    {"-- name: a :exec\nSELECT 1;", "2: operation a only reads"},
    {"-- name: a :batch\nSELECT :b;", "2: operation a only reads"},
  });
}

TEST_CASE("an operation has as many statements as its kind allows, and SQL that SQLite may run", "[catalogue]") {
  check_all({
    {"-- name: a :one\n", "2: operation a has no SQL"},
    {"-- name: a :one\n;;\n", "2: operation a has no SQL"},
    {"-- name: a :one\n-- name: b :one\nSELECT 1;", "2: operation a has no SQL"},
    {"-- name: a :one\nSELECT 1;\nSELECT 2;", "4: an operation that reads has one statement"},
    {"-- name: a :many\nSELECT 1;\nDELETE FROM t;", "4: a :many operation has one statement"},
    {"-- name: a :one\nSELCT 1;", "3: no SQL statement begins with SELCT"},
    {"-- name: a :one\n(SELECT 1);", "3: no SQL statement begins with ("},
    {"-- name: a :exec\nDELETE FROM t;\nPRAGMA foreign_keys = OFF;", "4: this PRAGMA cannot be part of an operation"},
    {"-- name: a :exec\nCREATE TEMP TABLE x(a);", "3: an operation cannot create temporary objects"},
    {"-- name: a :exec\nUPDATE _sluice_keys SET key = 1;", "3: _sluice_keys belongs to the broker"},
    {"-- name: a :exec\nINSERT INTO t VALUES (1;", "3: this statement is incomplete"},
    {"-- name: a :exec\nDELETE FROM t;\nCOMMIT;", "4: COMMIT cannot be part of an operation"},
    {"-- name: a :exec\nCREATE TRIGGER g AFTER INSERT ON t BEGIN\nDELETE FROM u;\n-- name: b :exec\nDELETE FROM t;",
     "3: the body of this trigger does not end"},
    {"-- name: a :one\nSELECT\n'a\nb\n", "4: the text or name behind this ' does not end"},
    {"-- name: a :one\nSELECT 1;\n/* a\nb", "4: this comment does not end"},
  });
}

TEST_CASE("a comment that looks like an annotation is a mistake", "[catalogue]") {
  check_all({
    {"-- name: a :one\n-- cahe 60s\nSELECT 1;", "3: there is no annotation 'cahe', did you mean '-- cache 60s'?"},
    {"-- name: a :one\n-- parm x text\nSELECT :x;",
     "3: there is no annotation 'parm', did you mean '-- param x text'?"},
    {"-- name: a :one\n-- @param x text\nSELECT :x;", "3: there is no annotation '@param', did you mean '-- param x"},
    {"-- name: a :one\n-- teir core\nSELECT 1;", "3: there is no annotation 'teir', did you mean '-- tier core'?"},
    {"-- name: a :one\n-- Tier core\nSELECT 1;", "3: there is no annotation 'Tier', did you mean '-- tier core'?"},
    {"-- name: a :one\n-- tier: core\nSELECT 1;", "3: there is no annotation 'tier:', did you mean '-- tier core'?"},
    {"-- name: a :one\n-- cahe:1s\nSELECT 1;", "3: there is no annotation 'cahe:1s', did you mean '-- cache 1s'?"},
    {"-- name: a :one\n-- timeout:5s\nSELECT 1;", "3: there is no annotation 'timeout:'"},
    {"-- name: a :one\n--- timeout: 5s\nSELECT 1;", "3: there is no annotation 'timeout:'"},
    {"-- name: a :one\n--- param x text\nSELECT :x;", "3: there is no annotation '--- param', did you mean '-- param"},
    {"-- name: a :one\n-- - cahe 1s\nSELECT :x;", "3: there is no annotation '--- cahe', did you mean '-- cache 1s'?"},
    {"-- name: a :one\nSELECT 1;\n---- name: b :one\nSELECT 2;",
     "4: there is no annotation '---- name:', did you mean"},
    {"-- name: a :one\n-- timeout: 5s\nSELECT 1;", "3: there is no annotation 'timeout:'"},
    {"-- name: a :one\nSELECT 1;\n-- nme: b :one\nSELECT 2;",
     "4: there is no annotation 'nme:', did you mean '-- name: b :one'?"},
    {"-- name: a :one\nSELECT 1;\n-- Nme: b :one\nSELECT 2;",
     "4: there is no annotation 'Nme:', did you mean '-- name:"},
    {"-- name: a :one\nSELECT 1;\n-- Name: b :one\nSELECT 2;", "4: there is no annotation 'Name:', did you mean"},
    {"-- name: a :one\nSELECT 1;\n-- name b :one\nSELECT 2;",
     "4: there is no annotation 'name', did you mean '-- name: b :one'?"},
    {"-- name: a :one\nSELECT 1; -- name: b :one\n", "3: an annotation must be the first on its line"},
  });
  CHECK_THAT(complaint("-- DB: app.db"),
             StartsWith("a.sql:1: there is no annotation 'DB:', did you mean '-- db: app.db'?"));
}

TEST_CASE("an annotation with another mark than a blank behind its word is a mistake", "[catalogue]") {
  check_all({
    {"-- name: a :exec\n-- foreign_keys=off\nDELETE FROM t;",
     "3: there is no annotation 'foreign_keys=off', did you mean '-- foreign_keys off'?"},
    {"-- name: a :exec\n-- foreign keys off\nDELETE FROM t;",
     "3: there is no annotation 'foreign keys', did you mean '-- foreign_keys off'?"},
    {"-- name: a :exec\n-- foreign-keys: off\nDELETE FROM t;",
     "3: there is no annotation 'foreign-keys:', did you mean '-- foreign_keys off'?"},
    {"-- name: a :exec\n-- foreignkey off\nDELETE FROM t;", "3: there is no annotation 'foreignkey', did you mean"},
    {"-- name: a :exec\n-- ForeignKeys off\nDELETE FROM t;", "3: there is no annotation 'ForeignKeys', did you mean"},
    {"-- name: a :exec\n--- foreign_keys off\nDELETE FROM t;", "3: there is no annotation '--- foreign_keys', did you"},
    {"-- name: a :one\n-- tier=core\nSELECT 1;", "3: there is no annotation 'tier=core', did you mean '-- tier core'?"},
    {"-- name: a :exec\n-- expect=1\nDELETE FROM t;",
     "3: there is no annotation 'expect=1', did you mean '-- expect 1'?"},
    {"-- name: a :one\n-- cache=60s\nSELECT 1;", "3: there is no annotation 'cache=60s', did you mean '-- cache 60s'?"},
    {"-- name: a :one\n-- param=x integer\nSELECT :x;",
     "3: there is no annotation 'param=x', did you mean '-- param x integer'?"},
    {"-- name: a :one\n-- tier\xc2\xa0"
     "core\nSELECT 1;",
     "3: there is no annotation 'tier\xc2\xa0"
     "core', did you mean '-- tier core'?"},
    {"-- name: a :one\n--\xc2\xa0tier core\nSELECT 1;", "3: there is no annotation '\xc2\xa0tier', did you mean"},
    {"-- name: a :one\nSELECT 1;\n-- name=b :one\nDELETE FROM t;",
     "4: there is no annotation 'name=b', did you mean '-- name: b :one'?"},
  });
}

TEST_CASE("a block comment that looks like an annotation is a mistake", "[catalogue]") {
  check_all({
    {"-- name: a :exec\n/* foreign_keys off */\nDELETE FROM t;",
     "3: there is no annotation '/* foreign_keys', did you mean '-- foreign_keys off'?"},
    {"-- name: a :exec\n/**\n * Tier core\n */\nDELETE FROM t;",
     "3: there is no annotation '/**  * Tier', did you mean"},
    {"-- name: a :one\nSELECT 1;\n/* name: b :one */\nSELECT 2;", "4: there is no annotation '/* name:', did you mean"},
  });
  for (const auto* free : {"/* The cache. */", "SELECT /* cache */ 1;", "/***/", "/* \xe2\x80\xa6 */"})
    CHECK(parse_operation_file(std::string{"-- db: a\n-- name: a :one\n"} + free
                                 + (std::string_view{free}.ends_with(';') ? "" : "\nSELECT 1;"),
                               "a.sql"));
}

TEST_CASE("annotations and SQL have their places", "[catalogue]") {
  check_all({
    {"-- tier core\n-- name: a :one\nSELECT 1;", "2: this annotation stands before the first operation"},
    {"-- name: a :one\nSELECT 1;\n-- tier core\n", "4: this annotation stands behind the SQL"},
    {"SELECT 1;\n-- name: a :one\nSELECT 1;", "2: there is SQL before the first operation"},
  });
}

TEST_CASE("a returned value comes from an earlier statement that gives rows, and is used in a later one",
          "[catalogue]") {
  check_all({
    {"-- name: a :exec\n-- returning id\nDELETE FROM t;", "3: a returned value is written as -- returning id into"},
    {"-- name: a :exec\n-- returning id in x\nDELETE FROM t;", "3: a returned value is written as"},
    {"-- name: a :exec\n-- returning id into X\nDELETE FROM t;", "3: 'X' cannot be the name of a parameter"},
    {"-- name: a :exec\n-- returnin id into x\nDELETE FROM t;", "3: there is no annotation 'returnin'"},
    {"-- returning id into x\n", "2: this annotation stands before the first operation"},
    {"-- name: a :exec\n-- returning id into x\nDELETE FROM t;\nDELETE FROM u WHERE i = :x;",
     "3: the statement behind this line returns nothing; write RETURNING id"},
    {"-- name: a :exec\n-- returning id into x\nDELETE FROM t RETURNING id;\nDELETE FROM u;",
     "3: parameter x is not used in a later statement"},
    {"-- name: a :exec\nDELETE FROM t\n-- returning id into x\nRETURNING id;\nDELETE FROM u WHERE i = :x;",
     "4: there is no statement that begins behind this line"},
    {"-- name: a :exec\nDELETE FROM t RETURNING id;\n-- returning id into x\n", "4: there is no statement that begins"},
    {"-- name: a :exec\nDELETE FROM t RETURNING id; -- returning id into x\nDELETE FROM u WHERE i = :x;",
     "3: an annotation must be the first on its line"},
    {"-- name: a :exec\n-- param x text\n-- returning id into x\nDELETE FROM t RETURNING id;\nDELETE FROM u WHERE i = "
     ":x;",
     "4: parameter x has a param line"},
    {"-- name: a :exec\n-- returning id into x\nDELETE FROM t WHERE i = :x RETURNING id;\nDELETE FROM u WHERE i = :x;",
     "4: parameter x is used before the statement in line 4 returns it"},
    {"-- name: a :exec\n-- returning id into x\n-- returning b into x\nDELETE FROM t RETURNING id, b;\nSELECT :x;",
     "4: parameter x is returned twice"},
  });
}

TEST_CASE("of several mistakes the first one in the file is reported", "[catalogue]") {
  CHECK_THAT(complaint("-- db: a.db\n-- name: a :one\n-- param b text\nSELECT 1;\n-- cahe\n-- tier core\n"),
             StartsWith("a.sql:3:"));
  CHECK_THAT(complaint("-- db: a.db\n-- name: a :one\n-- tier gold\n-- tier gold\nSELCT 1;"), StartsWith("a.sql:3:"));
}

TEST_CASE("a description that a terminal would act on is refused", "[catalogue]") {
  check_all({
    {"-- name: a :one\n-- Hides\x1b[8m this.\nSELECT 1;", "3: the description holds a control character"},
    {"-- name: a :one\n-- Turns \xe2\x80\xae this.\nSELECT 1;", "3: the description holds a control character"},
  });
  CHECK(parse_operation_file("-- db: a\n-- name: a :one\n-- With\ta tab.\nSELECT 1;", "a.sql")->front().description
        == "With a tab.");
}

TEST_CASE("a file that is too long or no UTF-8 is refused", "[catalogue]") {
  CHECK_THAT(complaint(std::string(max_operation_file_bytes + 1, '\n')), StartsWith("a.sql:1: the file has 1048577"));
  CHECK_THAT(complaint("-- db: a.db\n-- caf\xe9\n"), StartsWith("a.sql:2: this line is not UTF-8"));
  CHECK_THAT(complaint({"-- db: a.db\n\n-- \0\n", 17}), StartsWith("a.sql:3: this line is not UTF-8"));
}

TEST_CASE("an operation has a bounded number of parameters", "[catalogue]") {
  std::string sql = "-- db: a.db\n-- name: a :one\nSELECT 1";
  for (auto i = 0; i < 1'001; ++i)
    sql += ", :a" + std::to_string(i);
  CHECK_THAT(complaint(sql), StartsWith("a.sql:2: operation a has 1001 parameters"));
  std::string lines = "-- db: a.db\n-- name: a :one\n";
  for (auto i = 0; i < 1'001; ++i)
    lines += "-- param a" + std::to_string(i) + " text\n";
  CHECK_THAT(complaint(lines + "SELECT 1"), StartsWith("a.sql:3: parameter a0 is not used"));
}

TEST_CASE("whatever the text, parsing ends and an error names a line within the file", "[catalogue]") {
  constexpr std::array<std::string_view, 44> pieces{"-- db: app.db\n",
                                                    "-- name: a :one\n",
                                                    "-- name: b :exec\n",
                                                    "-- name: c :many\n",
                                                    "-- param x text (1..5)\n",
                                                    "-- param y ",
                                                    "integer?",
                                                    "(1..",
                                                    "..5)",
                                                    "-- tier core\n",
                                                    "-- cache 1s\n",
                                                    "-- expect 1\n",
                                                    "-- column a text\n",
                                                    "-- foreign_keys off\n",
                                                    "-- free text\n",
                                                    "--",
                                                    "name:",
                                                    "SELECT :x",
                                                    "DELETE FROM t",
                                                    "CREATE TRIGGER t BEGIN",
                                                    " END",
                                                    ";",
                                                    "\n",
                                                    "\r\n",
                                                    " ",
                                                    "'",
                                                    "\"",
                                                    "[",
                                                    "]",
                                                    "`",
                                                    "/*",
                                                    "*/",
                                                    "(",
                                                    ")",
                                                    ":x",
                                                    "@y",
                                                    "$z",
                                                    "?",
                                                    "\xff",
                                                    "\xef\xbb\xbf",
                                                    "\t",
                                                    "a",
                                                    "WITH a AS (",
                                                    "\x1b"};
  std::mt19937 engine{20260101};
  auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>{0, n - 1}(engine); };
  size_t accepted = 0;
  for (auto round = 0; round < 20'000; ++round) {
    std::string text = pick(4) != 0 ? "-- db: app.db\n-- name: z :one\nSELECT 1;\n" : "";
    for (auto n = pick(12); n > 0; --n)
      text += pieces[pick(pieces.size())];
    auto result = parse_operation_file(text, "a.sql");
    if (result) {
      ++accepted;
      continue;
    }
    CAPTURE(text);
    auto message = describe(result.error()).message;
    REQUIRE_THAT(message, StartsWith("a.sql:"));
    auto line = std::stoul(message.substr(6));
    auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    REQUIRE(line >= 1);
    REQUIRE(line <= lines);
  }
  CHECK(accepted > 100);
}

} // namespace sluice::test::operation_mistakes_test
