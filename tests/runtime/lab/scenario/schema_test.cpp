#include "runtime/lab/scenario/scenario.hpp"
#include "runtime/lab/scenario/schema.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

namespace sluice::test::scenario_schema_test {

namespace {

using namespace sluice::scenario;
using json = nlohmann::ordered_json;
namespace fs = std::filesystem;

const fs::path source_dir{SLUICE_SOURCE_DIR};

std::string content_of(const fs::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

bool has_type(const json& document, const std::string& type) {
  if (type == "object")
    return document.is_object();
  if (type == "array")
    return document.is_array();
  if (type == "string")
    return document.is_string();
  if (type == "boolean")
    return document.is_boolean();
  if (type == "integer")
    return document.is_number_integer();
  return type == "number" ? document.is_number() : document.is_null();
}

// Implements the keywords of JSON Schema that the scenario schema uses. Any other keyword fails the test.
class validator {
public:
  explicit validator(const json& whole) : whole_(whole) {}

  bool valid(const json& document, const json& schema) const {
    return std::all_of(schema.items().begin(), schema.items().end(),
                       [&](const auto& rule) { return obeys(document, schema, rule.key(), rule.value()); });
  }

private:
  bool obeys(const json& document, const json& schema, const std::string& keyword, const json& operand) const {
    auto fits = [&](const json& one) { return valid(document, one); };
    if (keyword == "$ref")
      return valid(document, whole_.at(json::json_pointer{operand.get<std::string>().substr(1)}));
    if (keyword == "anyOf")
      return std::any_of(operand.begin(), operand.end(), fits);
    if (keyword == "allOf")
      return std::all_of(operand.begin(), operand.end(), fits);
    if (keyword == "enum")
      return std::find(operand.begin(), operand.end(), document) != operand.end();
    if (keyword == "type")
      return operand.is_string()
               ? has_type(document, operand)
               : std::any_of(operand.begin(), operand.end(), [&](const json& one) { return has_type(document, one); });
    if (keyword == "minimum")
      return !document.is_number() || document >= operand;
    if (keyword == "maximum")
      return !document.is_number() || document <= operand;
    if (keyword == "pattern")
      return !document.is_string()
             || std::regex_search(document.get<std::string>(), std::regex{operand.get<std::string>()});
    if (keyword == "minItems")
      return !document.is_array() || document.size() >= operand;
    if (keyword == "items")
      return !document.is_array()
             || std::all_of(document.begin(), document.end(), [&](const json& one) { return valid(one, operand); });
    if (keyword == "required")
      return !document.is_object()
             || std::all_of(operand.begin(), operand.end(), [&](const json& name) { return document.contains(name); });
    if (keyword == "properties")
      return !document.is_object()
             || std::all_of(operand.items().begin(), operand.items().end(), [&](const auto& property) {
                  return !document.contains(property.key()) || valid(document.at(property.key()), property.value());
                });
    if (keyword == "additionalProperties")
      return !document.is_object()
             || std::all_of(document.items().begin(), document.items().end(), [&](const auto& member) {
                  return (schema.contains("properties") && schema["properties"].contains(member.key()))
                         || (operand.is_object() && valid(member.value(), operand));
                });
    if (keyword == "$schema" || keyword == "title" || keyword == "description" || keyword == "definitions")
      return true;
    FAIL("the schema uses " << keyword);
    return false;
  }

  const json& whole_;
};

json document_of(const std::string& text) { return json::parse(to_json(read_yaml(text)).dump()); }

} // namespace

TEST_CASE("the schema in the documentation is the one of the table of step kinds", "[scenario]") {
  CHECK(content_of(source_dir / "docs/reference/scenario.schema.json") == schema().dump(2) + "\n");
}

TEST_CASE("every scenario of the library is read, and is valid by the schema", "[scenario]") {
  auto rules = schema();
  validator check{rules};
  size_t count = 0;
  std::vector<std::string> names;
  for (const auto& file : fs::directory_iterator{source_dir / "tests" / "scenarios"}) {
    if (file.path().extension() != ".yaml")
      continue;
    INFO(file.path());
    auto text = content_of(file.path());
    auto read = parse_scenario(text);
    if (auto* wrong = std::get_if<wrong_file>(&read))
      FAIL_CHECK(wrong->at.line << ": " << wrong->text);
    else
      names.push_back(std::get<definition>(read).name);
    CHECK(check.valid(document_of(text), rules));
    ++count;
  }
  CHECK(count >= 40);
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("the schema refuses what the parser refuses", "[scenario]") {
  auto rules = schema();
  validator check{rules};
  auto step = [&](const std::string& x) { return check.valid(document_of("name: x\nsteps:\n  - " + x + "\n"), rules); };
  CHECK(step("write: {db: a, sql: x}"));
  CHECK(step("kill: writer"));
  CHECK(step("status:"));
  CHECK(step("read: {db: a, sql: x, min_seq: $(w.commit_seq)}"));
  for (const auto* wrong :
       {"write: {db: a, sql: x, parms: []}", "wirte: {}", "write: {sql: x}", "kill: wrter",
        "read: {db: a, sql: x, min_seq: [1]}", "{ping: , expect: {pog: 1}}", "{ping: , status: }",
        "{ping: , expect: {error: bussy}}", "{kill: writer, agent: a}", "repeat: {times: 0, steps: [ping: ]}"}) {
    INFO(wrong);
    CHECK_FALSE(step(wrong));
  }
  CHECK_FALSE(check.valid(document_of("steps: [ping: ]"), rules));
  CHECK_FALSE(check.valid(document_of("name: x\nsteps: []"), rules));
  CHECK_FALSE(check.valid(document_of("name: x\nsettings: {cach: 1}\nsteps: [ping: ]"), rules));
}

TEST_CASE("the documentation names every step, every field and every matcher", "[scenario]") {
  auto page = content_of(source_dir / "docs/guides/scenarios.md");
  for (const auto& kind : step_kinds()) {
    INFO(kind.name);
    auto begin = page.find("\n| `" + std::string{kind.name} + "` |");
    REQUIRE(begin != std::string::npos);
    auto row = page.substr(begin + 1, page.find('\n', begin + 1) - begin);
    for (const auto& field : kind.fields) {
      INFO(field.name);
      CHECK(row.find("`" + std::string{field.name} + "`") != std::string::npos);
    }
    for (auto answer : kind.answers) {
      INFO(answer);
      CHECK(row.find("`" + std::string{answer} + "`") != std::string::npos);
    }
  }
  for (const auto& matcher : matchers())
    CHECK(page.find("| `" + std::string{matcher.name} + "` |") != std::string::npos);
}

} // namespace sluice::test::scenario_schema_test
