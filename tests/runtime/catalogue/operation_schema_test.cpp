#include "runtime/catalogue/operation_schema.hpp"

#include "messages/error.hpp"
#include "runtime/catalogue/operation_file.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace sluice::test::operation_schema_test {

using nlohmann::json;

namespace {

operation only(const std::string& lines) {
  auto result = parse_operation_file("-- db: app.db\n" + lines, "a.sql");
  INFO((result ? std::string{} : describe(result.error()).message));
  REQUIRE(result);
  return result->front();
}

// The schema of the parameter `x` of this type.
json schema_of(const std::string& type) {
  return input_schema(only("-- name: a :one\n-- param x " + type + "\nSELECT :x;"))["properties"]["x"];
}

json annotations_of(const std::string& sql, bool read_only = false) {
  return tool_of(only("-- name: a :one\n" + sql), read_only)["annotations"];
}

} // namespace

TEST_CASE("the schema of the arguments lists all parameters, and requires those that are not nullable", "[catalogue]") {
  auto schema = input_schema(only("-- name: a :one\n-- param b text\n-- param c integer?\nSELECT :b, :c, :d;"));
  CHECK(schema == json::parse(R"({
    "type": "object",
    "properties": {"b": {"type": "string"}, "c": {"type": ["integer", "null"]}, "d": {}},
    "required": ["b"],
    "additionalProperties": false
  })"));
  CHECK(input_schema(only("-- name: a :one\nSELECT 1;"))
        == json::parse(R"({"type": "object", "properties": {}, "additionalProperties": false})"));
}

TEST_CASE("each type of parameter has its schema, with its bounds", "[catalogue]") {
  CHECK(schema_of("integer (1..5)") == json::parse(R"({"type": "integer", "minimum": 1, "maximum": 5})"));
  CHECK(schema_of("real (..1.5)") == json::parse(R"({"type": "number", "maximum": 1.5})"));
  CHECK(schema_of("text? (1..)") == json::parse(R"({"type": ["string", "null"], "minLength": 1})"));
  CHECK(schema_of("any") == json::parse(R"({"not": {"type": "null"}})"));
  CHECK(schema_of("any?") == json::object());
  CHECK(schema_of("json") == json::parse(R"({
    "type": ["string", "object", "array"], "contentMediaType": "application/json"})"));
  CHECK(schema_of("json? (..9)") == json::parse(R"({
    "type": ["string", "object", "array", "null"], "contentMediaType": "application/json",
    "description": "At most 9 bytes."})"));
  auto blob = json::parse(R"({
    "type": "object", "properties": {"$blob": {"type": "string", "contentEncoding": "base64"}},
    "required": ["$blob"], "additionalProperties": false})");
  CHECK(schema_of("blob") == blob);
  CHECK(schema_of("blob?") == json{{"anyOf", json::array({blob, json{{"type", "null"}}})}});
  CHECK(schema_of("blob (1..5)")["description"] == "1 to 5 bytes.");
  CHECK(schema_of("blob (1..)")["description"] == "At least 1 bytes.");
}

TEST_CASE("a batch takes its sets of arguments in a list", "[catalogue]") {
  auto schema = input_schema(only("-- name: a :batch\n-- param x integer\nINSERT INTO t VALUES (:x);"));
  CHECK(schema["required"] == json::array({"sets"}));
  CHECK(schema["properties"]["sets"]["type"] == "array");
  CHECK(schema["properties"]["sets"]["items"]["properties"]["x"]["type"] == "integer");
}

TEST_CASE("the schema of the answer follows from kind and columns", "[catalogue]") {
  auto insert = output_schema(only("-- name: a :one\n-- column id integer\n-- column note text?\n-- column other any\n"
                                   "INSERT INTO t DEFAULT VALUES RETURNING *;"));
  CHECK(insert["required"] == json::array({"outcome", "commit_seq", "rows"}));
  CHECK(insert["properties"]["outcome"]["const"] == "committed");
  CHECK(insert["properties"]["rows"]["maxItems"] == 1);
  auto row = insert["properties"]["rows"]["items"];
  CHECK(row["required"] == json::array({"id", "note", "other"}));
  CHECK(row["properties"]["id"]["description"] == "An integer; the database may hold a value of another type.");
  CHECK_THAT(row["properties"]["note"]["description"].get<std::string>(),
             Catch::StartsWith("A text, or {\"$text\": BASE64} for one that is not valid UTF-8, or null"));
  CHECK(row["properties"]["other"] == json::object());
  CHECK(output_schema(only("-- name: a :many\nSELECT 1;")) == json::parse(R"({
    "type": "object", "properties": {"rows": {"type": "array", "items": {"type": "object"}}}, "required": ["rows"]})"));
  auto batch = output_schema(only("-- name: a :batch\n-- column id integer\nINSERT INTO t VALUES (1) RETURNING id;"));
  CHECK(batch["required"] == json::array({"outcome", "commit_seq", "changes", "rows"}));
  for (const auto* kind : {":exec", ":batch"})
    CHECK(output_schema(only(std::string{"-- name: a "} + kind + "\nDELETE FROM t;"))["required"]
          == json::array({"outcome", "commit_seq", "changes"}));
}

// A client refuses an answer that does not fit the schema, and a model repeats the write.
TEST_CASE("the schema of the answer forbids no value in a column", "[catalogue]") {
  for (const auto* type : {"integer", "real", "text", "blob", "json", "any", "text?", "blob?"}) {
    auto row = output_schema(only("-- name: a :one\n-- column x " + std::string{type}
                                  + "\nINSERT INTO t DEFAULT VALUES RETURNING x;"))["properties"]["rows"]["items"];
    for (const auto& [keyword, content] : row["properties"]["x"].items())
      CHECK(keyword == "description");
  }
}

TEST_CASE("hints say whether a tool only reads, and whether it may destroy what is there", "[catalogue]") {
  CHECK(annotations_of("SELECT 1;", true)
        == json::parse(R"({"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true,
                           "openWorldHint": false})"));
  CHECK(annotations_of("INSERT INTO t VALUES (:a);")
        == json::parse(R"({"readOnlyHint": false, "destructiveHint": false, "idempotentHint": false,
                           "openWorldHint": false})"));
  CHECK(annotations_of("INSERT OR REPLACE INTO t VALUES (:a);")["destructiveHint"] == true);
  CHECK(annotations_of("INSERT INTO t VALUES (1); DELETE FROM t;")["destructiveHint"] == true);
  CHECK(annotations_of("INSERT INTO t VALUES (1); SELECT 1;")["destructiveHint"] == false);
}

TEST_CASE("a tool has the name and the description of its operation", "[catalogue]") {
  auto tool = tool_of(only("-- name: find_a :many\n-- Finds \"all\".\n-- Fast.\nSELECT 1;"), true);
  CHECK(tool["name"] == "find_a");
  CHECK(tool["description"] == "Finds \"all\".\nFast.");
  CHECK(tool["inputSchema"]["type"] == "object");
  CHECK(tool["outputSchema"]["type"] == "object");
  CHECK(tool_of(only("-- name: a :many\nSELECT 1;"), true)["description"] == "Reads the rows of the database app.db.");
  CHECK(tool_of(only("-- name: a :exec\nDELETE FROM t;"), false)["description"]
        == "Changes the content of the database app.db.");
}

} // namespace sluice::test::operation_schema_test
