#include "runtime/lab/scenario/schema.hpp"

#include "messages/error.hpp"
#include "runtime/lab/scenario/kinds.hpp"
#include "runtime/store/config.hpp"

#include <string>

namespace sluice::scenario {

namespace {

using json = nlohmann::ordered_json;

json reference_to(const char* name) { return {{"$ref", std::string{"#/definitions/"} + name}}; }

json either(std::initializer_list<json> some) {
  auto list = json::array();
  for (const auto& each : some)
    list.push_back(each);
  return {{"anyOf", std::move(list)}};
}

json object(json properties, json required) {
  json result{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty())
    result["required"] = std::move(required);
  return result;
}

// A reference may replace any value that is not a text.
json or_reference(json schema) { return either({std::move(schema), reference_to("reference")}); }

json type_of(const field& field) {
  switch (field.type) {
  case field_type::text: return {{"type", "string"}};
  case field_type::whole: {
    json number{{"type", "integer"}, {"minimum", field.min}};
    if (field.max != INT64_MAX)
      number["maximum"] = field.max;
    return or_reference(std::move(number));
  }
  case field_type::boolean: return or_reference({{"type", "boolean"}});
  case field_type::choice: return or_reference({{"enum", field.choices}});
  case field_type::texts: return {{"type", "array"}, {"items", {{"type", "string"}}}};
  case field_type::parameters:
    return either({{{"type", "array"}, {"items", reference_to("value")}}, reference_to("columns")});
  case field_type::columns: return reference_to("columns");
  case field_type::statements: return {{"type", "array"}, {"minItems", 1}, {"items", reference_to("statement")}};
  case field_type::one_step: return reference_to("step");
  case field_type::step_list: return reference_to("steps");
  }
  return {};
}

json described(json schema, std::string_view about) {
  // Draft 7 ignores members beside a reference.
  if (schema.contains("$ref"))
    schema = {{"allOf", json::array({std::move(schema)})}};
  if (!about.empty())
    schema["description"] = about;
  return schema;
}

json members_of(const step_kind& kind) {
  auto properties = json::object();
  auto required = json::array();
  auto short_type = json();
  for (const auto& field : kind.fields) {
    properties[std::string{field.name}] = described(type_of(field), field.about);
    if (field.required)
      required.push_back(field.name);
    if (field.name == kind.short_for)
      short_type = type_of(field);
  }
  auto nothing_needed = required.empty();
  auto fields = object(std::move(properties), std::move(required));
  if (!short_type.is_null())
    return described(either({std::move(fields), std::move(short_type)}), kind.about);
  if (nothing_needed)
    return described(either({std::move(fields), {{"type", "null"}}}), kind.about);
  return described(std::move(fields), kind.about);
}

json error_type() {
  auto words = json::array();
  for (const auto& known : detail::errc_names)
    words.push_back(known.name);
  return either({{{"enum", std::move(words)}}, {{"type", "object"}}});
}

json expectation_of(const step_kind& kind) {
  auto properties = json::object();
  for (auto name : kind.answers)
    properties[std::string{name}] = json::object();
  properties["error"] = error_type();
  for (const auto* name : {"outcome", "message", "retry_after_ms", "attempts", "waited_ms", "took_ms"})
    properties[name] = json::object();
  return object(std::move(properties), json::array());
}

json step_of(const step_kind& kind) {
  std::string name{kind.name};
  json properties{{name, members_of(kind)}};
  if (kind.by_agent)
    properties["agent"] = {{"type", "string"}, {"description", "The agent of the step"}};
  if (!kind.run_steps) {
    properties["expect"] = expectation_of(kind);
    properties["as"] = {{"type", "string"}, {"description", "The answer is kept under this name"}};
  }
  return object(std::move(properties), json::array({name}));
}

json step_type() {
  auto kinds = json::array();
  for (const auto& kind : step_kinds())
    kinds.push_back(step_of(kind));
  return {{"anyOf", std::move(kinds)}};
}

json value_type() {
  auto one = [](const char* name) { return object({{name, {{"type", "string"}}}}, json::array({name})); };
  return either(
    {{{"type", json::array({"null", "number", "string"})}}, one("$blob"), one("$text"), one("$integer"), one("$real")});
}

json settings_type() {
  auto properties = json::object();
  auto of_database = json::object({{"db", {{"type", "string"}}}});
  for (const auto& setting : describe_settings()) {
    properties[setting.key] = {
      {"description", setting.description + " " + setting.range + "; " + setting.default_value + " if left out"}};
    if (setting.per_database)
      of_database[setting.key] = {
        {"description", setting.description + " " + setting.range + "; as for the others if left out"}};
  }
  auto table = object({{"db", {{"type", "string"}}},
                       {"table", {{"type", "string"}}},
                       {"interval_ms", {{"type", "integer"}}},
                       {"priority", {{"type", "integer"}}}},
                      json::array({"db", "table"}));
  properties["buffer_table"] = {{"type", "array"}, {"items", std::move(table)}};
  properties["database"] = {{"type", "array"}, {"items", object(std::move(of_database), json::array({"db"}))}};
  return object(std::move(properties), json::array());
}

json databases_type() {
  json sql{{"type", json::array({"array", "string", "null"})}, {"items", {{"type", "string"}}}};
  return {{"type", "object"}, {"additionalProperties", std::move(sql)}};
}

json agents_type() {
  auto one = object({{"add_keys", {{"type", "boolean"}}}}, json::array());
  return either({{{"type", "array"}, {"items", {{"type", "string"}}}},
                 {{"type", "object"}, {"additionalProperties", either({std::move(one), {{"type", "null"}}})}}});
}

} // namespace

json schema() {
  json properties{
    {"name", {{"type", "string"}, {"description", "The title, on one line"}}},
    {"about", {{"type", "string"}, {"description", "Why it is so, in a few words"}}},
    {"databases", described(databases_type(), "Files, and the SQL that makes them, executed before any broker starts")},
    {"settings", described(settings_type(), "Keys of sluice.toml")},
    {"agents", described(agents_type(), "The agents; if left out, any name may be used")},
    {"steps", described(reference_to("steps"), "The steps, in order")},
  };
  auto result = object(std::move(properties), json::array({"name", "steps"}));
  json values{{"type", "object"}, {"additionalProperties", reference_to("value")}};
  auto expect = object({{"changes", {{"type", "integer"}, {"minimum", 0}}}}, json::array({"changes"}));
  auto statement = object({{"sql", {{"type", "string"}}},
                           {"params", type_of({"", field_type::parameters, ""})},
                           {"expect", std::move(expect)}},
                          json::array({"sql"}));
  json definitions{
    {"reference", {{"type", "string"}, {"pattern", R"(\$\([^)]*\))"}}},
    {"value", value_type()},
    {"columns", std::move(values)},
    {"statement", std::move(statement)},
    {"steps", {{"type", "array"}, {"minItems", 1}, {"items", reference_to("step")}}},
    {"step", step_type()},
  };
  json whole{{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", "A scenario of sluice"}};
  whole.update(result);
  whole["definitions"] = std::move(definitions);
  return whole;
}

} // namespace sluice::scenario
