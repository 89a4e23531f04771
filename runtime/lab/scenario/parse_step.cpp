#include "runtime/lab/scenario/parse_step.hpp"

#include "messages/error.hpp"
#include "runtime/lab/scenario/scenario.hpp"
#include "runtime/lab/scenario/suggestions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace sluice::scenario {

namespace {

constexpr std::array<std::string_view, 3> common_members{"agent", "expect", "as"};
// The fields of every answer, and those of a failure.
constexpr std::array<std::string_view, 7> any_answer{"error",    "outcome",   "message", "retry_after_ms",
                                                     "attempts", "waited_ms", "took_ms"};

bool is_name(std::string_view text) {
  auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), good);
}

std::vector<std::string_view> kind_names() {
  std::vector<std::string_view> result;
  for (const auto& kind : step_kinds())
    result.push_back(kind.name);
  return result;
}

bool has_field(const step_kind& kind, std::string_view name) {
  return std::any_of(kind.fields.begin(), kind.fields.end(), [&](const field& field) { return field.name == name; });
}

// A suggestion for an unknown member of a step.
std::string advice_for(std::string_view name, const node& in) {
  for (const auto& member : in.members)
    if (const auto* kind = find_kind(member.name); kind && has_field(*kind, name))
      return fmt::format("; if it is a member of {}, indent it below", kind->name);
  auto names = kind_names();
  names.insert(names.end(), common_members.begin(), common_members.end());
  return advice(name, names);
}

bool holds_steps(const field& field) {
  return field.type == field_type::one_step || field.type == field_type::step_list;
}

// Refuses an `error` or an `outcome` that no answer can have.
void check_words(const node& node, std::string_view whose, std::span<const std::string_view> known) {
  if (const auto* some = node.find("$one_of"))
    for (const auto& one : some->items)
      check_words(one, whose, known);
  if (!node.is(node_kind::text) || has_reference(node))
    return;
  if (std::find(known.begin(), known.end(), node.text) == known.end())
    throw mistake{node.at, fmt::format("there is no {} {}{}", whose, node.text, advice(node.text, known))};
}

std::vector<std::string_view> error_names() {
  std::vector<std::string_view> result;
  for (const auto& known : detail::errc_names)
    result.push_back(known.name);
  return result;
}

std::vector<std::string_view> outcome_names() {
  return {to_string(outcome::committed), to_string(outcome::not_committed), to_string(outcome::unknown)};
}

} // namespace

std::string title_of(const step& step) {
  return step.kind->by_agent ? fmt::format("{} by {}", step.kind->name, step.agent) : std::string{step.kind->name};
}

std::vector<step> step_parser::parse_list(const node& node) {
  std::vector<step> result;
  for (const auto& item : node.items)
    result.push_back(parse(item));
  return result;
}

const node::member& step_parser::find_action(const node& item) const {
  const node::member* found = nullptr;
  for (const auto& member : item.members) {
    if (std::find(common_members.begin(), common_members.end(), member.name) != common_members.end())
      continue;
    if (!find_kind(member.name))
      throw mistake{member.at, fmt::format("there is no step {}{}", member.name, advice_for(member.name, item))};
    if (found)
      throw mistake{member.at, fmt::format("a step does one thing, and this one both {} and {}; make it two steps",
                                           found->name, member.name)};
    found = &member;
  }
  if (!found)
    throw mistake{item.at, fmt::format("this step does nothing{}", advice("", kind_names()))};
  return *found;
}

step step_parser::parse(const node& node) {
  if (!node.is(node_kind::map))
    throw mistake{node.at, fmt::format("a step must be a map, as in {{write: {{db: app.db, sql: ...}}}}, and is {}",
                                       to_string(node.kind))};
  const auto& action = find_action(node);
  step result;
  result.kind = find_kind(action.name);
  result.at = action.at;
  parse_common(node, result);
  parse_fields(action.content, result);
  if (const auto* expect = node.find("expect"))
    parse_expectation(*expect, result);
  if (node.find("as"))
    labels_.insert(result.label);
  return result;
}

void step_parser::parse_common(const node& node, step& to) {
  to.agent = default_agent;
  if (const auto* agent = node.find("agent")) {
    require(node, "agent", node_kind::text, "a step");
    if (!to.kind->by_agent)
      throw mistake{agent->at, fmt::format("{} is not a request of an agent; leave agent out", to.kind->name)};
    if (!agents_.empty() && !agents_.contains(agent->text)) {
      std::vector<std::string_view> names{agents_.begin(), agents_.end()};
      throw mistake{agent->at, fmt::format("no agent {} is declared{}", agent->text, advice(agent->text, names))};
    }
    to.agent = agent->text;
  }
  if (node.find("as")) {
    const auto& label = require(node, "as", node_kind::text, "a step");
    if (to.kind->run_steps)
      throw mistake{label.at, fmt::format("{} has no answer that could be kept", to.kind->name)};
    add_label(label.text, label.at);
    to.label = label.text;
  }
}

void step_parser::parse_fields(const node& item, step& to) {
  const auto& kind = *to.kind;
  to.fields.kind = node_kind::map;
  to.fields.at = item.is(node_kind::null) ? to.at : item.at;
  if (item.is(node_kind::map) && (kind.short_for.empty() || !item.members.empty()))
    to.fields.members = item.members;
  else if (!kind.short_for.empty() && !item.is(node_kind::null))
    to.fields.members.push_back({std::string{kind.short_for}, item.at, item});
  else if (!item.is(node_kind::null) && !item.is(node_kind::map))
    throw mistake{item.at, fmt::format("{} must be a map of its fields ({}), and is {}", kind.name,
                                       enumerate(names_of(kind.fields)), to_string(item.kind))};
  check_members(to.fields, names_of(kind.fields), kind.name);
  for (const auto& known : kind.fields) {
    const auto* given = to.fields.find(known.name);
    if (!given && known.required)
      throw mistake{to.fields.at, fmt::format("{} needs {}: {}", kind.name, known.name, requirement_of(known))};
    if (given)
      check_field(*given, known);
  }
  if (kind.check)
    kind.check(to.fields);
  // The count of a repeat is defined only within its steps.
  std::string count;
  if (const auto* as = to.fields.find("as"); as && kind.run_steps) {
    add_label(as->text, as->at);
    labels_.insert(count = as->text);
  }
  for (const auto& known : kind.fields)
    if (const auto* given = to.fields.find(known.name); given && holds_steps(known)) {
      if (known.type == field_type::step_list)
        to.steps = parse_list(*given);
      else
        to.steps.push_back(parse(*given));
      std::erase_if(to.fields.members, [&](const node::member& m) { return m.name == known.name; });
    }
  check_references(to.fields);
  labels_.erase(count);
}

void step_parser::parse_expectation(const node& node, step& to) const {
  const auto& kind = *to.kind;
  if (kind.run_steps)
    throw mistake{node.at, fmt::format("nothing can be expected of {} itself, only of the steps in it", kind.name)};
  if (!node.is(node_kind::map))
    throw mistake{node.at, fmt::format("expect must be a map, as in {{error: busy}}, and is {}", to_string(node.kind))};
  auto known = kind.answers;
  for (auto name : any_answer)
    if (std::find(known.begin(), known.end(), name) == known.end())
      known.push_back(name);
  check_members(node, known, fmt::format("the answer to {}", kind.name));
  check_expectation(node);
  check_references(node);
  if (const auto* code = node.find("error"))
    check_words(*code, "error", error_names());
  if (const auto* outcome = node.find("outcome"))
    check_words(*outcome, "outcome", outcome_names());
  to.expect = node;
}

void step_parser::add_label(const std::string& label, place at) {
  if (!is_name(label))
    throw mistake{at, fmt::format("a name has 1 to 64 letters, digits, - and _; \"{}\" has not", label.substr(0, 80))};
  if (labels_.contains(label))
    throw mistake{at, fmt::format("{} is the name of another answer already", label)};
}

void step_parser::check_references(const node& node) const {
  for_each_reference(node, [this](std::string_view path, place at) {
    auto label = std::string{path.substr(0, path.find('.'))};
    if (labels_.contains(label))
      return;
    std::vector<std::string_view> names{labels_.begin(), labels_.end()};
    throw mistake{at, fmt::format("no step before this one keeps its answer as {}{}", label, advice(label, names))};
  });
}

uint64_t step_parser::width_of(const std::vector<step>& steps) {
  uint64_t widest = 0;
  for (const auto& step : steps) {
    uint64_t width = 1;
    if (step.kind->name == "parallel") {
      width = 0;
      for (const auto& branch : step.steps)
        width += width_of({branch});
    } else if (!step.steps.empty()) {
      width = width_of(step.steps);
      const auto* times = step.fields.find("times");
      const auto* at_once = step.fields.find("at_once");
      if (times && at_once && at_once->boolean)
        width *= static_cast<uint64_t>(std::max<int64_t>(1, times->integer));
    }
    widest = std::max(widest, std::min<uint64_t>(width, 1'000'000));
  }
  return widest;
}

} // namespace sluice::scenario
