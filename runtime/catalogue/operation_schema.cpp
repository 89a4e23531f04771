#include "runtime/catalogue/operation_schema.hpp"

#include "runtime/catalogue/sql_facts.hpp"
#include "runtime/json/json_values.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace sluice {

namespace {

using nlohmann::json;

json blob_schema() {
  return {{"type", "object"},
          {"properties", {{"$blob", {{"type", "string"}, {"contentEncoding", "base64"}}}}},
          {"required", {"$blob"}},
          {"additionalProperties", false}};
}

json type_schema(parameter_type type) {
  switch (type) {
  case parameter_type::integer: return {{"type", "integer"}};
  case parameter_type::real: return {{"type", "number"}};
  case parameter_type::text: return {{"type", "string"}};
  case parameter_type::blob: return blob_schema();
  case parameter_type::json: return {{"type", "string"}, {"contentMediaType", "application/json"}};
  case parameter_type::any: break;
  }
  return json::object();
}

json or_null(json schema) {
  if (schema.empty())
    return schema;
  if (!schema.contains("properties")) {
    schema["type"] = {schema["type"], "null"};
    return schema;
  }
  return {{"anyOf", {std::move(schema), {{"type", "null"}}}}};
}

std::string as_words(const value& lowest, const value& highest, std::string_view unit) {
  if (highest.is_null())
    return fmt::format("At least {} {}.", *lowest.integer(), unit);
  if (lowest.is_null())
    return fmt::format("At most {} {}.", *highest.integer(), unit);
  return fmt::format("{} to {} {}.", *lowest.integer(), *highest.integer(), unit);
}

// JSON Schema cannot say how many bytes a blob has or how long the text of a document is, so its description does.
void add_bounds(json& schema, const operation_parameter& parameter) {
  const auto& [name, type, nullable, lowest, highest] = parameter;
  if (lowest.is_null() && highest.is_null())
    return;
  auto set = [&](const char* keyword, const value& bound) {
    if (!bound.is_null())
      schema[keyword] = as_json(bound);
  };
  switch (type) {
  case parameter_type::integer:
  case parameter_type::real:
    set("minimum", lowest);
    set("maximum", highest);
    break;
  case parameter_type::text:
    set("minLength", lowest);
    set("maxLength", highest);
    break;
  default: schema["description"] = as_words(lowest, highest, "bytes");
  }
}

json parameter_schema(const operation_parameter& parameter) {
  auto result = type_schema(parameter.type);
  // A document may also be given as it is, not as text.
  if (parameter.type == parameter_type::json)
    result["type"] = {"string", "object", "array"};
  if (parameter.nullable && result.contains("type") && result["type"].is_array())
    result["type"].push_back("null");
  else if (parameter.nullable)
    result = or_null(std::move(result));
  add_bounds(result, parameter);
  if (parameter.type == parameter_type::any && !parameter.nullable)
    result["not"] = {{"type", "null"}};
  return result;
}

json one_set_schema(const operation& of) {
  json result{{"type", "object"}, {"properties", json::object()}, {"additionalProperties", false}};
  auto required = json::array();
  for (const auto& each : of.parameters) {
    result["properties"][each.name] = parameter_schema(each);
    if (!each.nullable)
      required.push_back(each.name);
  }
  if (!required.empty())
    result["required"] = std::move(required);
  return result;
}

// What SQLite finds in a column may be of another type than the author says, and is then answered all the same: the
// write that gives it is committed. Clients refuse an answer that its schema does not allow, and a model takes that for
// a failure, so the schema says what to expect and forbids nothing.
std::string_view expected_in(parameter_type type) {
  switch (type) {
  case parameter_type::integer: return "An integer";
  case parameter_type::real: return R"(A number, or {"$real": "inf"} or {"$real": "-inf"})";
  case parameter_type::text: return R"(A text, or {"$text": BASE64} for one that is not valid UTF-8)";
  case parameter_type::blob: return R"(A blob as {"$blob": BASE64})";
  case parameter_type::json: return "A text that is a JSON document";
  case parameter_type::any: break;
  }
  return {};
}

json answered_column(const operation_column& column) {
  auto expected = expected_in(column.type);
  if (expected.empty())
    return json::object();
  return {{"description", fmt::format("{}{}; the database may hold a value of another type.", expected,
                                      column.nullable ? ", or null" : "")}};
}

json row_schema(const operation& of) {
  json result{{"type", "object"}};
  if (of.columns.empty())
    return result;
  result["required"] = json::array();
  for (const auto& each : of.columns) {
    result["properties"][each.name] = answered_column(each);
    result["required"].push_back(each.name);
  }
  return result;
}

bool answers_rows(const operation& of) { return of.kind == operation_kind::one || of.kind == operation_kind::many; }

std::string description_of(const operation& of) {
  if (!of.description.empty())
    return of.description;
  return fmt::format("{} {} of the database {}.", of.writes() ? "Changes the" : "Reads the",
                     answers_rows(of) ? "rows" : "content", of.database);
}

// What is undone neither by repeating the call nor by another one.
bool may_destroy(const operation& of) {
  return std::any_of(of.statements.begin(), of.statements.end(),
                     [](const operation_statement& each) { return each.writes && !only_adds(each.sql.str()); });
}

} // namespace

json input_schema(const operation& of) {
  auto set = one_set_schema(of);
  if (of.kind != operation_kind::batch)
    return set;
  return {{"type", "object"},
          {"properties",
           {{"sets",
             {{"type", "array"},
              {"items", std::move(set)},
              {"description", "Sets of arguments, all of which are applied in one transaction, or none."}}}}},
          {"required", {"sets"}},
          {"additionalProperties", false}};
}

json output_schema(const operation& of) {
  json result{{"type", "object"}, {"properties", json::object()}, {"required", json::array()}};
  auto add = [&](const char* name, json schema) {
    result["properties"][name] = std::move(schema);
    result["required"].push_back(name);
  };
  if (of.writes()) {
    add("outcome", {{"type", "string"}, {"const", "committed"}});
    add("commit_seq", {{"type", "integer"}, {"description", "The commit that holds the change."}});
  }
  if (answers_rows(of)) {
    json rows{{"type", "array"}, {"items", row_schema(of)}};
    if (of.kind == operation_kind::one)
      rows["maxItems"] = 1;
    add("rows", std::move(rows));
  } else {
    add("changes", {{"type", "integer"}, {"description", "Rows inserted, updated or deleted."}});
    if (!of.columns.empty())
      add("rows", {{"type", "array"}, {"items", row_schema(of)}});
  }
  return result;
}

json tool_of(const operation& of, bool read_only) {
  return {{"name", of.name},
          {"description", description_of(of)},
          {"inputSchema", input_schema(of)},
          {"outputSchema", output_schema(of)},
          {"annotations",
           {{"readOnlyHint", read_only},
            {"destructiveHint", !read_only && may_destroy(of)},
            {"idempotentHint", read_only},
            {"openWorldHint", false}}}};
}

json listing_of(const operation& of) {
  auto result = tool_of(of, !of.writes());
  result["db"] = of.database;
  result["kind"] = to_string(of.kind);
  result["tier"] = to_string(of.tier);
  result["parameters"] = json::array();
  for (const auto& each : of.parameters)
    result["parameters"].push_back({{"name", each.name}, {"type", to_string(each.type)}, {"nullable", each.nullable}});
  result["columns"] = json::array();
  for (const auto& each : of.columns)
    result["columns"].push_back({{"name", each.name}, {"type", to_string(each.type)}, {"nullable", each.nullable}});
  return result;
}

} // namespace sluice
