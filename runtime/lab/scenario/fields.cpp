#include "runtime/lab/scenario/fields.hpp"

#include "runtime/lab/scenario/references.hpp"
#include "runtime/lab/scenario/suggestions.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::scenario {

namespace {

bool is_value(const node& x) {
  if (x.is(node_kind::map))
    return x.members.size() == 1 && is_value_tag(x.members[0].name) && x.members[0].content.is(node_kind::text);
  return !x.is(node_kind::list) && !x.is(node_kind::boolean);
}

void check_value(const node& x, std::string_view whose) {
  if (is_value(x))
    return;
  auto got = x.is(node_kind::boolean) ? "a boolean, which SQLite does not have (write 1 or 0)" : to_string(x.kind);
  throw mistake{x.at,
                fmt::format("{} must be a value (null, a number, a text or {{$blob: BASE64}}), and is {}", whose, got)};
}

void check_parameters(const node& x) {
  for (const auto& item : x.items)
    check_value(item, "each of params");
  for (const auto& member : x.members)
    check_value(member.content, member.name);
}

void check_statement(const node& x) {
  static const std::vector<field> fields{{"sql", field_type::text, "", true}, {"params", field_type::parameters, ""}};
  if (!x.is(node_kind::map))
    throw mistake{x.at, fmt::format("a statement must be a map with sql and params, and is {}", to_string(x.kind))};
  check_members(x, names_of(fields), "a statement");
  require(x, "sql", node_kind::text, "a statement");
  if (const auto* params = x.find("params"))
    check_field(*params, fields[1]);
}

bool fits(const node& x, const field& what) {
  switch (what.type) {
  case field_type::text: return x.is(node_kind::text);
  case field_type::whole: return x.is(node_kind::integer) && x.integer >= what.min && x.integer <= what.max;
  case field_type::boolean: return x.is(node_kind::boolean);
  case field_type::choice:
    return x.is(node_kind::text) && std::find(what.choices.begin(), what.choices.end(), x.text) != what.choices.end();
  case field_type::texts:
    return x.is(node_kind::list)
           && std::all_of(x.items.begin(), x.items.end(), [](const node& item) { return item.is(node_kind::text); });
  case field_type::parameters: return x.is(node_kind::list) || x.is(node_kind::map);
  case field_type::columns: return x.is(node_kind::map);
  case field_type::statements:
  case field_type::step_list: return x.is(node_kind::list) && !x.items.empty();
  case field_type::one_step: return x.is(node_kind::map);
  }
  return false;
}

std::string got_instead(const node& x) {
  switch (x.kind) {
  case node_kind::integer: return std::to_string(x.integer);
  case node_kind::text: return fmt::format("the text \"{}\"", x.text.substr(0, 60));
  case node_kind::boolean: return x.boolean ? "true" : "false";
  case node_kind::list: return x.items.empty() ? "an empty list" : "a list";
  default: return std::string{to_string(x.kind)};
  }
}

} // namespace

bool is_value_tag(std::string_view name) noexcept {
  return name == "$blob" || name == "$text" || name == "$integer" || name == "$real";
}

std::string requirement_of(const field& x) {
  switch (x.type) {
  case field_type::text: return "a text";
  case field_type::whole:
    return x.max == INT64_MAX ? fmt::format("a whole number from {}", x.min)
                              : fmt::format("a whole number from {} to {}", x.min, x.max);
  case field_type::boolean: return "true or false";
  case field_type::choice: return "one of " + enumerate(x.choices);
  case field_type::texts: return "a list of texts";
  case field_type::parameters: return "a list of values, or a map of them";
  case field_type::columns: return "a map of columns and values";
  case field_type::statements: return "a list of statements, each with sql and params";
  case field_type::one_step: return "a step";
  case field_type::step_list: return "a list of steps";
  }
  return {};
}

void check_field(const node& x, const field& what) {
  if (has_reference(x) && what.type != field_type::one_step && what.type != field_type::step_list)
    return;
  if (!fits(x, what)) {
    auto meant = what.type == field_type::choice && x.is(node_kind::text) ? nearest(x.text, what.choices) : "";
    throw mistake{x.at, fmt::format("{} must be {}, and is {}{}", what.name, requirement_of(what), got_instead(x),
                                    meant.empty() ? "" : fmt::format("; did you mean {}?", meant))};
  }
  if (what.type == field_type::parameters || what.type == field_type::columns)
    check_parameters(x);
  if (what.type == field_type::statements)
    for (const auto& item : x.items)
      check_statement(item);
}

std::vector<std::string_view> names_of(std::span<const field> fields) {
  std::vector<std::string_view> result;
  for (const auto& x : fields)
    result.push_back(x.name);
  return result;
}

void check_members(const node& x, std::span<const std::string_view> known, std::string_view whose) {
  for (const auto& member : x.members)
    if (std::find(known.begin(), known.end(), member.name) == known.end())
      throw mistake{member.at, fmt::format("{} has no member {}{}", whose, member.name, advice(member.name, known))};
}

const node& require(const node& x, std::string_view name, node_kind kind, std::string_view whose) {
  const auto* found = x.find(name);
  if (!found)
    throw mistake{x.at, fmt::format("{} needs {}: {}", whose, name, to_string(kind))};
  if (!found->is(kind))
    throw mistake{found->at, fmt::format("{} must be {}, and is {}", name, to_string(kind), to_string(found->kind))};
  return *found;
}

} // namespace sluice::scenario
