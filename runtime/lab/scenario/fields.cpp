#include "runtime/lab/scenario/fields.hpp"

#include "actors/base/nearest_name.hpp"
#include "runtime/lab/scenario/references.hpp"
#include "runtime/lab/scenario/suggestions.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::scenario {

namespace {

bool is_value(const node& node) {
  if (node.is(node_kind::map))
    return node.members.size() == 1 && is_value_tag(node.members[0].name)
           && node.members[0].content.is(node_kind::text);
  return !node.is(node_kind::list) && !node.is(node_kind::boolean);
}

void check_value(const node& node, std::string_view whose) {
  if (is_value(node))
    return;
  auto got =
    node.is(node_kind::boolean) ? "a boolean, which SQLite does not have (write 1 or 0)" : to_string(node.kind);
  throw mistake{node.at,
                fmt::format("{} must be a value (null, a number, a text or {{$blob: BASE64}}), and is {}", whose, got)};
}

void check_parameters(const node& node) {
  for (const auto& item : node.items)
    check_value(item, "each of params");
  for (const auto& member : node.members)
    check_value(member.content, member.name);
}

void check_statement(const node& node) {
  static const std::vector<field> fields{
    {"sql", field_type::text, "", true}, {"params", field_type::parameters, ""}, {"expect", field_type::columns, ""}};
  static const std::vector<field> expectations{{"changes", field_type::whole, "", true}};
  if (!node.is(node_kind::map))
    throw mistake{
      node.at, fmt::format("a statement must be a map with sql, params and expect, and is {}", to_string(node.kind))};
  check_members(node, names_of(fields), "a statement");
  require(node, "sql", node_kind::text, "a statement");
  if (const auto* params = node.find("params"))
    check_field(*params, fields[1]);
  const auto* expect = node.find("expect");
  if (!expect)
    return;
  check_members(*expect, names_of(expectations), "expect");
  check_field(require(*expect, "changes", node_kind::integer, "expect"), expectations[0]);
}

bool fits(const node& content, const field& field) {
  switch (field.type) {
  case field_type::text: return content.is(node_kind::text);
  case field_type::whole:
    return content.is(node_kind::integer) && content.integer >= field.min && content.integer <= field.max;
  case field_type::boolean: return content.is(node_kind::boolean);
  case field_type::choice:
    return content.is(node_kind::text)
           && std::find(field.choices.begin(), field.choices.end(), content.text) != field.choices.end();
  case field_type::texts:
    return content.is(node_kind::list) && std::all_of(content.items.begin(), content.items.end(), [](const node& item) {
             return item.is(node_kind::text);
           });
  case field_type::parameters: return content.is(node_kind::list) || content.is(node_kind::map);
  case field_type::columns: return content.is(node_kind::map);
  case field_type::statements:
  case field_type::step_list: return content.is(node_kind::list) && !content.items.empty();
  case field_type::one_step: return content.is(node_kind::map);
  }
  return false;
}

std::string got_instead(const node& node) {
  switch (node.kind) {
  case node_kind::integer: return std::to_string(node.integer);
  case node_kind::text: return fmt::format("the text \"{}\"", node.text.substr(0, 60));
  case node_kind::boolean: return node.boolean ? "true" : "false";
  case node_kind::list: return node.items.empty() ? "an empty list" : "a list";
  default: return std::string{to_string(node.kind)};
  }
}

} // namespace

bool is_value_tag(std::string_view name) noexcept {
  return name == "$blob" || name == "$text" || name == "$integer" || name == "$real";
}

std::string requirement_of(const field& field) {
  switch (field.type) {
  case field_type::text: return "a text";
  case field_type::whole:
    return field.max == INT64_MAX ? fmt::format("a whole number from {}", field.min)
                                  : fmt::format("a whole number from {} to {}", field.min, field.max);
  case field_type::boolean: return "true or false";
  case field_type::choice: return "one of " + enumerate(field.choices);
  case field_type::texts: return "a list of texts";
  case field_type::parameters: return "a list of values, or a map of them";
  case field_type::columns: return "a map of columns and values";
  case field_type::statements: return "a list of statements, each with sql, params and expect";
  case field_type::one_step: return "a step";
  case field_type::step_list: return "a list of steps";
  }
  return {};
}

void check_field(const node& node, const field& field) {
  if (has_reference(node) && field.type != field_type::one_step && field.type != field_type::step_list)
    return;
  if (!fits(node, field)) {
    auto meant = field.type == field_type::choice && node.is(node_kind::text) ? nearest(node.text, field.choices) : "";
    throw mistake{node.at,
                  fmt::format("{} must be {}, and is {}{}", field.name, requirement_of(field), got_instead(node),
                              meant.empty() ? "" : fmt::format("; did you mean {}?", meant))};
  }
  if (field.type == field_type::parameters || field.type == field_type::columns)
    check_parameters(node);
  if (field.type == field_type::statements)
    for (const auto& item : node.items)
      check_statement(item);
}

std::vector<std::string_view> names_of(std::span<const field> fields) {
  std::vector<std::string_view> result;
  for (const auto& field : fields)
    result.push_back(field.name);
  return result;
}

void check_members(const node& node, std::span<const std::string_view> known, std::string_view whose) {
  for (const auto& member : node.members)
    if (std::find(known.begin(), known.end(), member.name) == known.end())
      throw mistake{member.at, fmt::format("{} has no member {}{}", whose, member.name, advice(member.name, known))};
}

const node& require(const node& node, std::string_view name, node_kind kind, std::string_view whose) {
  const auto* found = node.find(name);
  if (!found)
    throw mistake{node.at, fmt::format("{} needs {}: {}", whose, name, to_string(kind))};
  if (!found->is(kind))
    throw mistake{found->at, fmt::format("{} must be {}, and is {}", name, to_string(kind), to_string(found->kind))};
  return *found;
}

} // namespace sluice::scenario
