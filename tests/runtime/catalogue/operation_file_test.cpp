#include "runtime/catalogue/operation_file.hpp"

#include "messages/error.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::operation_file_test {

using namespace std::chrono_literals;

namespace {

std::vector<operation> parsed(std::string_view text) {
  auto result = parse_operation_file(text, "notes.sql");
  INFO((result ? std::string{} : describe(result.error()).message));
  REQUIRE(result);
  return std::move(*result);
}

// The only operation of a file for app.db that goes on with `lines`.
operation one(const std::string& lines) {
  auto result = parsed("-- db: app.db\n" + lines);
  REQUIRE(result.size() == 1);
  return std::move(result.front());
}

std::vector<std::string> texts_of(const operation& of) {
  std::vector<std::string> result;
  for (const auto& each : of.statements)
    result.push_back(each.sql.str());
  return result;
}

using texts = std::vector<std::string>;

constexpr std::string_view example = R"sql(-- Notes of the agents.
-- db: app.db

-- name: add_note :one
-- Adds a note and returns its id.
--
-- The text is kept as it is.
-- param text text (1..10000)
-- param rating real? (..5.5)
-- tier verified
-- expect 1
-- foreign_keys off
-- column id integer
-- column at text?
INSERT INTO notes(text, rating) VALUES (:text, :rating) RETURNING id, at;

-- name: find_notes :many
-- cache 60s
SELECT id, text FROM notes WHERE text LIKE '%' || :text || '%' ORDER BY id LIMIT :limit;
)sql";

} // namespace

TEST_CASE("a file has operations with all that their annotations say", "[catalogue]") {
  auto all = parsed(example);
  REQUIRE(all.size() == 2);
  const auto& add = all[0];
  CHECK(add.name == "add_note");
  CHECK(add.kind == operation_kind::one);
  CHECK(add.database == "app.db");
  CHECK(add.description == "Adds a note and returns its id.\n\nThe text is kept as it is.");
  CHECK(add.parameters
        == std::vector<operation_parameter>{{"text", parameter_type::text, false, 1, 10000},
                                            {"rating", parameter_type::real, true, {}, 5.5}});
  CHECK(add.columns
        == std::vector<operation_column>{{"id", parameter_type::integer, false}, {"at", parameter_type::text, true}});
  CHECK(add.tier == tier::verified);
  CHECK(add.expected_changes == 1);
  CHECK_FALSE(add.foreign_keys);
  CHECK_FALSE(add.cache);
  CHECK(add.writes());
  CHECK(add.file == "notes.sql");
  CHECK(add.line == 4);
  REQUIRE(add.statements.size() == 1);
  CHECK(add.statements[0].sql.str() == "INSERT INTO notes(text, rating) VALUES (:text, :rating) RETURNING id, at;");
  CHECK(add.statements[0].line == 15);
  CHECK(add.statements[0].changes_rows);
}

TEST_CASE("parameters without a line of their own are taken from the SQL and accept any value", "[catalogue]") {
  const auto find = parsed(example)[1];
  CHECK(find.parameters
        == std::vector<operation_parameter>{{"text", parameter_type::any, true, {}, {}},
                                            {"limit", parameter_type::any, true, {}, {}}});
  CHECK(find.cache == 60s);
  CHECK(find.tier == tier::basic);
  CHECK(find.foreign_keys);
  CHECK_FALSE(find.writes());
  CHECK_FALSE(find.expected_changes);
  CHECK(find.description.empty());
}

TEST_CASE("described parameters come first, whatever their order in the SQL", "[catalogue]") {
  auto found = one("-- name: a :exec\n-- param z integer\n-- param b blob\nUPDATE t SET a = :a, b = :b, z = :z;");
  REQUIRE(found.parameters.size() == 3);
  CHECK(found.parameters[0].name == "z");
  CHECK(found.parameters[1].name == "b");
  CHECK(found.parameters[2].name == "a");
}

TEST_CASE("several statements that write are cut where SQLite cuts them", "[catalogue]") {
  auto found = one("-- name: a :exec\nINSERT INTO t VALUES (';', :a); -- free; comment\n"
                   "/* Not name: b :exec; */ DELETE FROM t WHERE a = \"x;y\" AND b = :b;\n"
                   "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u; SELECT CASE WHEN 1 THEN 2 END; END;\n"
                   "UPDATE t SET a = 1 -- the last one\n");
  CHECK(texts_of(found)
        == texts{"INSERT INTO t VALUES (';', :a);", "DELETE FROM t WHERE a = \"x;y\" AND b = :b;",
                 "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u; SELECT CASE WHEN 1 THEN 2 END; END;",
                 "UPDATE t SET a = 1"});
  CHECK(found.statements[0].parameters == texts{"a"});
  CHECK(found.statements[1].parameters == texts{"b"});
  CHECK(found.statements[1].line == 4);
  CHECK(found.statements[2].line == 5);
  CHECK(found.statements[3].line == 6);
}

TEST_CASE("an annotation in a literal, a name in quotes or a block comment is none", "[catalogue]") {
  auto found = one("-- name: a :one\nSELECT '\n-- name: b :exec\n', \"\n-- tier core\n\" /*\n-- name: c :exec\n*/;\n");
  CHECK(found.statements.size() == 1);
  CHECK(found.tier == tier::basic);
}

TEST_CASE("a description ends with an empty line, and may stand among annotations", "[catalogue]") {
  auto found = one("-- name: a :one\n-- tier core\n-- First.\n-- param b any\n--  Second.\n\n-- Not this.\n"
                   "-- cache 1h\n-- Nor this.\nSELECT :b; -- nor this\n-- Nor this.\n");
  CHECK(found.description == "First.\nSecond.");
  CHECK(found.tier == tier::core);
  CHECK(found.cache == 1h);
}

TEST_CASE("bounds may have one side, and blanks around them", "[catalogue]") {
  auto found = one("-- name: a :one\n-- param a integer (-5..)\n-- param b blob?(..3)\n-- param c real ( 0.5 .. 1.5 )\n"
                   "-- param\td\tjson (2..2)\n-- param e any?\nSELECT :a, :b, :c, :d, :e");
  CHECK(found.parameters
        == std::vector<operation_parameter>{{"a", parameter_type::integer, false, -5, {}},
                                            {"b", parameter_type::blob, true, {}, 3},
                                            {"c", parameter_type::real, false, 0.5, 1.5},
                                            {"d", parameter_type::json, false, 2, 2},
                                            {"e", parameter_type::any, true, {}, {}}});
}

TEST_CASE("a cache duration has one of four units", "[catalogue]") {
  auto duration = [](const std::string& text) {
    return *one("-- name: a :one\n-- cache " + text + "\nSELECT 1").cache;
  };
  CHECK(duration("250ms") == 250ms);
  CHECK(duration("2s") == 2s);
  CHECK(duration("5min") == 5min);
  CHECK(duration("24h") == 24h);
}

TEST_CASE("a file may have a byte-order mark, CRLF and no line end at its end", "[catalogue]") {
  auto found = parsed("\xef\xbb\xbf-- db: app.db\r\n-- name: a :one\r\n-- Text.\r\n-- tier core\r\nSELECT 1\r\n;\r\n"
                      "--name:b:exec\r\nDELETE FROM t");
  REQUIRE(found.size() == 2);
  CHECK(found[0].description == "Text.");
  CHECK(found[0].tier == tier::core);
  CHECK(found[0].statements[0].line == 5);
  CHECK(found[1].name == "b");
  CHECK(found[1].line == 7);
}

TEST_CASE("a value that a statement returns is a parameter of later ones, and not the caller's", "[catalogue]") {
  auto both = one("-- name: a :one\n-- param text text\n-- column tag integer\n-- returning id into note\n"
                  "INSERT INTO notes (text) VALUES (:text) RETURNING id;\n"
                  "-- returning n into count\nSELECT count(*) AS n FROM notes;\n"
                  "INSERT INTO tags (note, text, n) VALUES (:note, :text, :count) RETURNING tag;");
  REQUIRE(both.parameters.size() == 1);
  CHECK(both.parameters[0].name == "text");
  REQUIRE(both.statements.size() == 3);
  CHECK_FALSE(both.statements[0].terms);
  CHECK_FALSE(both.statements[1].terms);
  CHECK(both.statements[2].parameters == std::vector<std::string>{"text"});
  REQUIRE(both.statements[2].terms);
  CHECK(both.statements[2].terms->returned == std::vector<returned_value>{{"note", 2, "id"}, {"count", 1, "n"}});
  CHECK(both.statements[2].terms->columns == std::vector<std::string>{"tag"});
}

TEST_CASE("a file without operations has none", "[catalogue]") {
  for (const auto* text : {"", "\n\n", "\xef\xbb\xbf", "-- db: app.db", "-- only\n-- comments\n/* and more */"}) {
    CAPTURE(text);
    CHECK(parsed(text).empty());
  }
}

TEST_CASE("comments are free unless their first word is near an annotation", "[catalogue]") {
  for (const auto* comment : {"It caches them.", "Note: this is old.", "https://example.org/a", "by name", "",
                              "---- a ruler", "12 items", "TODO tier", "the cache", "so that is it", "names of all",
                              "do it", "a:b", "12:30 is a time", "std::move is free", "- a list", "returned rows"}) {
    CAPTURE(comment);
    CHECK(one("-- name: a :one\n-- " + std::string{comment} + "\nSELECT 1;\n-- " + comment).name == "a");
  }
}

TEST_CASE("a WITH that writes may be batched, and one that reads cached", "[catalogue]") {
  CHECK(one("-- name: a :batch\nWITH x(v) AS (SELECT :v) INSERT INTO t SELECT v FROM x;").writes());
  CHECK(one("-- name: a :many\n-- cache 1s\nWITH x(v) AS (SELECT :v) SELECT v FROM x;").cache == 1s);
}

TEST_CASE("a batch that returns rows declares their columns", "[catalogue]") {
  auto found = one("-- name: a :batch\n-- column id integer\nINSERT INTO t VALUES (:v) RETURNING id;");
  CHECK(found.columns.size() == 1);
  CHECK(found.statements[0].terms->columns == texts{"id"});
}

TEST_CASE("the longest name and the largest file are accepted", "[catalogue]") {
  auto name = "a" + std::string(max_operation_name_bytes - 1, '_');
  auto text = "-- db: app.db\n-- name: " + name + " :one\nSELECT 1;";
  text.resize(max_operation_file_bytes, ' ');
  CHECK(parsed(text).front().name == name);
}

} // namespace sluice::test::operation_file_test
