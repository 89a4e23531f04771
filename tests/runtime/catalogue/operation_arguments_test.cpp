#include "runtime/catalogue/operation_arguments.hpp"

#include "messages/error.hpp"
#include "runtime/catalogue/operation_file.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>
#include <sqlite3.h>

namespace sluice::test::operation_arguments_test {

using nlohmann::json;

namespace {

operation with_parameters(const std::string& lines, const std::string& sql) {
  auto result = parse_operation_file("-- db: app.db\n-- name: a :many\n" + lines + sql, "a.sql");
  INFO((result ? std::string{} : describe(result.error()).message));
  REQUIRE(result);
  return result->front();
}

// An operation with the only parameter `x`.
operation with_x(const std::string& type) { return with_parameters("-- param x " + type + "\n", "SELECT :x;"); }

value accepted(const std::string& type, value given) {
  auto result = check_arguments(with_x(type), {{"x", std::move(given)}});
  INFO((result ? std::string{} : describe(result.error()).message));
  REQUIRE(result);
  REQUIRE(result->named.size() == 1);
  return result->named[0].content;
}

template <class Result> std::string complaint(const Result& result) {
  REQUIRE_FALSE(result);
  CHECK(code_of(result.error()) == errc::invalid_request);
  return describe(result.error()).message;
}

std::string refused(const std::string& type, value given) {
  return complaint(check_arguments(with_x(type), {{"x", std::move(given)}}));
}

constexpr auto largest = std::numeric_limits<int64_t>::max();
constexpr auto infinite = std::numeric_limits<double>::infinity();

// The first row of `of` with these arguments, as SQLite gives it.
std::vector<std::string> row_of(const operation& of, const parameters& checked) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(":memory:", &db) == SQLITE_OK);
  auto bound = bound_statements(of, checked).front();
  sqlite3_stmt* statement = nullptr;
  REQUIRE(sqlite3_prepare_v2(db, bound.sql.str().c_str(), -1, &statement, nullptr) == SQLITE_OK);
  for (const auto& [name, content] : bound.params.named) {
    auto index = sqlite3_bind_parameter_index(statement, (":" + name).c_str());
    REQUIRE(index > 0);
    if (const auto* text = content.text())
      sqlite3_bind_text(statement, index, text->data(), static_cast<int>(text->size()), SQLITE_TRANSIENT);
    else if (const auto* bytes = content.blob_bytes())
      sqlite3_bind_blob(statement, index, bytes->data(), static_cast<int>(bytes->size()), SQLITE_TRANSIENT);
  }
  std::vector<std::string> result;
  REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
  for (auto i = 0; i < sqlite3_column_count(statement); ++i) {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, i));
    result.emplace_back(bytes ? bytes : "", static_cast<size_t>(sqlite3_column_bytes(statement, i)));
  }
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return result;
}

} // namespace

TEST_CASE("a number is converted only where it stays the same", "[catalogue]") {
  CHECK(accepted("integer", 5) == value{5});
  CHECK(accepted("integer", 5.0) == value{5});
  CHECK(accepted("integer", -0.0) == value{0});
  CHECK(accepted("integer", -9223372036854775808.0) == value{std::numeric_limits<int64_t>::min()});
  CHECK(accepted("real", 5) == value{5.0});
  CHECK(accepted("real", infinite) == value{infinite});
  CHECK(refused("integer", 5.5) == "params.x must be an integer, and is 5.5");
  CHECK(refused("integer", 9223372036854775808.0) == "params.x must be an integer, and is 9.223372036854776e+18");
  CHECK(refused("integer", infinite) == "params.x must be an integer, and is inf");
  CHECK(refused("integer", "5") == "params.x must be an integer, and is a text");
  CHECK(refused("real", "5") == "params.x must be a number, and is a text");
}

TEST_CASE("each type accepts its own values", "[catalogue]") {
  CHECK(accepted("text", "a") == value{"a"});
  CHECK(accepted("blob", blob{"\xff"}) == value{blob{"\xff"}});
  CHECK(accepted("json", R"({"a": [1, null]})") == value{R"({"a": [1, null]})"});
  for (const auto& each : {value{1}, value{1.5}, value{"\xff"}, value{blob{"a"}}, value{}})
    CHECK(accepted("any?", each) == each);
  CHECK(refused("text", 5) == "params.x must be a text, and is an integer");
  CHECK(refused("text", blob{"a"}) == "params.x must be a text, and is a blob");
  CHECK(refused("text", "caf\xe9") == "params.x is not valid UTF-8");
  CHECK(refused("blob", "a") == "params.x must be a blob, and is a text");
  CHECK(refused("json", "{") == "params.x is not a JSON document");
  CHECK(refused("json", "") == "params.x is not a JSON document");
  CHECK(refused("json", "\"caf\xe9\"") == "params.x is not valid UTF-8");
  CHECK(refused("any", std::nan("")) == "params.x is not a number (NaN), which SQLite cannot store");
}

TEST_CASE("bounds are inclusive; lengths count characters of text and bytes of blobs and documents", "[catalogue]") {
  CHECK(accepted("integer (1..5)", 1) == value{1});
  CHECK(accepted("integer (1..5)", 5.0) == value{5});
  CHECK(refused("integer (1..5)", 0) == "params.x is 0; it must be 1 to 5");
  CHECK(refused("integer (1..)", 0) == "params.x is 0; it must be at least 1");
  CHECK(refused("integer (..5)", largest) == "params.x is 9223372036854775807; it must be at most 5");
  CHECK(accepted("real (0.5..1.5)", 1) == value{1.0});
  CHECK(refused("real (0.5..1.5)", 1.75) == "params.x is 1.75; it must be 0.5 to 1.5");
  CHECK(refused("real (..1.5)", infinite) == "params.x is inf; it must be at most 1.5");
  CHECK(accepted("text (4..4)", "caf\xc3\xa9") == value{"caf\xc3\xa9"});
  CHECK(refused("text (1..)", "") == "params.x has 0 characters; the length must be at least 1");
  CHECK(refused("blob (..1)", blob{"ab"}) == "params.x has 2 bytes; the length must be at most 1");
  CHECK(refused("json (..4)", "\"\xc3\xa9\xc3\xa9\"") == "params.x has 6 bytes; the length must be at most 4");
}

TEST_CASE("null is the same as no argument, which only a nullable parameter accepts", "[catalogue]") {
  CHECK(accepted("text? (1..5)", nullptr).is_null());
  auto absent = check_arguments(with_x("text?"), {});
  REQUIRE(absent);
  CHECK(absent->named == std::vector<named_value>{{"x", nullptr}});
  CHECK(refused("text", nullptr) == "params.x is null; it must be a text");
  CHECK(complaint(check_arguments(with_x("json"), {}))
        == "params.x is missing; it must be a text that is a JSON document");
}

TEST_CASE("an unknown argument is refused, and the nearest name suggested", "[catalogue]") {
  auto op = with_parameters("-- param text text\n", "SELECT :text, :limit;");
  CHECK(complaint(check_arguments(op, {{"txet", "a"}})) == "params.txet is no parameter of a, did you mean text?");
  CHECK(complaint(check_arguments(op, {{":text", "a"}})) == "params.:text is no parameter of a, did you mean text?");
  CHECK(complaint(check_arguments(op, {{"q", "a"}})) == "params.q is no parameter of a; there are text, limit");
  CHECK(complaint(check_arguments(op, {{"\xff", "a"}})).starts_with("params.\\xff is no parameter"));
  CHECK(complaint(check_arguments(with_parameters("", "SELECT 1;"), {{"q", "a"}}))
        == "params.q is no parameter of a, which has none");
  CHECK(complaint(check_arguments(op, {{"text", "a"}, {"text", "b"}})) == "params.text is given twice");
}

TEST_CASE("the arguments come in the order of the parameters", "[catalogue]") {
  auto op = with_parameters("-- param b integer\n", "SELECT :a, :b;");
  auto checked = check_arguments(op, {{"a", 1}, {"b", 2}});
  REQUIRE(checked);
  CHECK(checked->named == std::vector<named_value>{{"b", 2}, {"a", 1}});
}

TEST_CASE("arguments are read from JSON, by name only", "[catalogue]") {
  auto op = with_parameters("-- param b blob\n-- param d json?\n", "SELECT :b, :d;");
  auto checked = arguments_from_json(op, json::parse(R"({"b": {"$blob": "AQI="}})"));
  REQUIRE(checked);
  CHECK(checked->named == std::vector<named_value>{{"b", blob{"\x01\x02"}}, {"d", nullptr}});
  CHECK(complaint(arguments_from_json(op, json::parse("[1]"))).starts_with("params must be an object"));
  CHECK(complaint(arguments_from_json(op, nullptr)) == "params.b is missing; it must be a blob");
  CHECK(complaint(arguments_from_json(op, json::parse(R"({"b": true})"))).starts_with("params.b is a boolean"));
  CHECK(complaint(arguments_from_json(op, json::parse(R"({"b": [1]})"))).starts_with("params.b is an array"));
}

TEST_CASE("an array or an object stands for the document that it is, for a parameter of type json", "[catalogue]") {
  auto document = [](const char* text) {
    auto checked = arguments_from_json(with_x("json"), json{{"x", json::parse(text)}});
    REQUIRE(checked);
    return checked->named[0].content;
  };
  CHECK(document(R"([1, "a"])") == value{R"([1,"a"])"});
  CHECK(document(R"({"a": 1})") == value{R"({"a":1})"});
  CHECK(document(R"("[5]")") == value{"[5]"});
}

TEST_CASE("a batch takes a list of objects, and says which one is wrong", "[catalogue]") {
  auto op = with_x("integer");
  for (const auto* text : {R"([{"x": 1}, {"x": 2}])", R"({"sets": [{"x": 1}, {"x": 2}]})"}) {
    auto checked = batch_arguments_from_json(op, json::parse(text));
    REQUIRE(checked);
    REQUIRE(checked->size() == 2);
    CHECK((*checked)[1].named == std::vector<named_value>{{"x", 2}});
  }
  CHECK(complaint(batch_arguments_from_json(op, json::parse(R"([{"x": 1}, {"x": "a"}])")))
        == "params[1].x must be an integer, and is a text");
  CHECK(complaint(batch_arguments_from_json(op, json::parse(R"({"x": 1})"))).starts_with("params must be an array"));
}

TEST_CASE("each statement is bound to the arguments that it has parameters for", "[catalogue]") {
  auto all = parse_operation_file("-- db: app.db\n-- name: a :exec\nINSERT INTO t VALUES (:a, :b);\n"
                                  "DELETE FROM u WHERE b = :b;\nDELETE FROM v;",
                                  "a.sql");
  REQUIRE(all);
  auto checked = check_arguments(all->front(), {{"a", 1}, {"b", "x"}});
  REQUIRE(checked);
  auto bound = bound_statements(all->front(), *checked);
  REQUIRE(bound.size() == 3);
  CHECK(bound[0].sql.str() == "INSERT INTO t VALUES (:a, :b);");
  CHECK(bound[0].params.named == std::vector<named_value>{{"a", 1}, {"b", "x"}});
  CHECK(bound[1].params.named == std::vector<named_value>{{"b", "x"}});
  CHECK(bound[2].params == parameters{});
}

TEST_CASE("an attempt to inject SQL stays a value, or is refused by its type", "[catalogue]") {
  using namespace std::string_literals;
  for (const auto& attempt : {"'; DROP TABLE t; --"s, "1 OR 1=1"s, "' || (SELECT 1) || '"s, ":x"s, "a\0b'; --"s,
                              "%' UNION SELECT 1 --"s, "\n-- name: b :exec\nDELETE FROM t;"s}) {
    CAPTURE(attempt);
    for (const auto* type : {"text", "any"})
      CHECK(row_of(with_x(type), *check_arguments(with_x(type), {{"x", attempt}}))[0] == attempt);
    CHECK(row_of(with_x("blob"), *check_arguments(with_x("blob"), {{"x", blob{attempt}}}))[0] == attempt);
    auto document = json(attempt).dump();
    CHECK(row_of(with_x("json"), *check_arguments(with_x("json"), {{"x", document}}))[0] == document);
    for (const auto* type : {"integer", "real", "blob", "json"})
      CHECK_FALSE(check_arguments(with_x(type), {{"x", attempt}}));
    // Nor does the name of an argument become SQL.
    CHECK_FALSE(check_arguments(with_x("text"), {{"x", "a"}, {attempt, "a"}}));
  }
}

} // namespace sluice::test::operation_arguments_test
