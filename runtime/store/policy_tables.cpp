#include "runtime/store/policy_tables.hpp"

#include <fmt/format.h>

#include <limits>
#include <utility>

namespace sluice {

namespace {

config_mistake mistake_at(const toml::node& at, std::string reason) {
  return {at.source().begin.line, 0, std::move(reason)};
}

config_mistake wrong_value(std::string_view table, std::string_view key, const toml::node& node,
                           std::string_view range) {
  return mistake_at(node,
                    fmt::format("{}: {} = {} cannot be used; it must be {}", table, key, as_written(node), range));
}

std::optional<int64_t> whole_number(const toml::node& node, int64_t min, int64_t max) {
  auto* number = node.as_integer();
  if (!number || number->get() < min || number->get() > max)
    return std::nullopt;
  return number->get();
}

std::optional<config_mistake> take_whole(std::string_view key, const toml::node& node, int64_t min, int64_t max,
                                         int64_t& to) {
  auto number = whole_number(node, min, max);
  if (!number)
    return wrong_value("agent", key, node, fmt::format("a whole number from {} to {}", min, max));
  to = *number;
  return std::nullopt;
}

std::optional<config_mistake> take_rate(const toml::node& node, double& to) {
  auto* real = node.as_floating_point();
  auto* whole = node.as_integer();
  auto rate = real ? real->get() : whole ? static_cast<double>(whole->get()) : 0;
  if (!(rate >= lowest_rate && rate <= highest_rate))
    return wrong_value("agent", "rate", node, fmt::format("a number from {} to {}", lowest_rate, highest_rate));
  to = rate;
  return std::nullopt;
}

std::optional<config_mistake> take_scopes(const toml::node& node, std::vector<operation_scope>& to) {
  constexpr auto wanted = "a list of texts like \"app.db:find_*\"";
  auto* list = node.as_array();
  if (!list)
    return wrong_value("agent", "scopes", node, wanted);
  for (const auto& item : *list) {
    auto* text = item.as_string();
    auto scope = text ? read_scope(text->get()) : std::nullopt;
    if (!scope)
      return mistake_at(item, fmt::format("agent: the scope {} cannot be used; it must be DATABASE:OPERATION, like "
                                          "\"app.db:find_*\", with the database as the operations name it",
                                          as_written(item)));
    to.push_back(std::move(*scope));
  }
  return std::nullopt;
}

std::optional<config_mistake> take_checked(std::string_view key, const toml::node& node,
                                           bool (*is_usable)(std::string_view), std::string_view range,
                                           std::string& to) {
  auto* text = node.as_string();
  if (!text || !is_usable(text->get()))
    return wrong_value("agent", key, node, range);
  to = text->get();
  return std::nullopt;
}

std::optional<config_mistake> take_tier(const toml::node& node, tier& to) {
  auto* text = node.as_string();
  auto found = text ? tier_of(text->get()) : std::nullopt;
  if (!found)
    return wrong_value("agent", "tier", node, "untrusted, basic, verified or core");
  to = *found;
  return std::nullopt;
}

std::optional<config_mistake> take_member(std::string_view key, const toml::node& node, agent_rule& to) {
  if (key == "name")
    return take_checked(key, node, is_agent_pattern, "the name of an agent, with * for any characters", to.name);
  if (key == "token")
    return take_checked(
      key, node, [](std::string_view x) { return is_token_name(x); },
      "the name of a token: [a-z0-9][a-z0-9_-]*, at most 64 characters", to.token);
  if (key == "tier")
    return take_tier(node, to.tier);
  if (key == "scopes")
    return take_scopes(node, to.scopes);
  if (key == "rate")
    return take_rate(node, to.limits.rate);
  int64_t number = 0;
  std::optional<config_mistake> mistake;
  if (key == "uid") {
    mistake = take_whole(key, node, 0, std::numeric_limits<uint32_t>::max(), number);
    to.uid = static_cast<uint32_t>(number);
  } else if (key == "max_rows") {
    mistake = take_whole(key, node, 1, static_cast<int64_t>(highest_max_rows), number);
    to.limits.max_rows = static_cast<uint64_t>(number);
  } else if (key == "max_time_ms") {
    mistake = take_whole(key, node, 1, highest_max_time.count(), number);
    to.limits.max_time = std::chrono::milliseconds{number};
  } else {
    mistake =
      mistake_at(node, fmt::format("an agent has no '{}'; there are name, uid, token, tier, scopes, rate, max_rows, "
                                   "max_time_ms",
                                   key));
  }
  return mistake;
}

std::optional<config_mistake> read_rule(const toml::node& node, policy_rules& to) {
  agent_rule rule;
  for (auto&& [key, member] : *node.as_table())
    if (auto mistake = take_member(key.str(), member, rule))
      return mistake;
  if (rule.name.empty())
    return mistake_at(node, "this [[agent]] lacks name, the agents that it is for");
  to.agents.push_back(std::move(rule));
  if (auto reason = rule_error(to, to.agents.size() - 1))
    return mistake_at(node, fmt::format("agent: {}", *reason));
  return std::nullopt;
}

std::optional<config_mistake> read_raw_sql(const toml::node& node, std::vector<std::string>& to) {
  auto* list = node.as_array();
  if (!list)
    return wrong_value("policy", "raw_sql", node, "a list of owner, tiers and names of agents");
  to.clear();
  for (const auto& item : *list) {
    auto* text = item.as_string();
    if (!text || !is_agent_pattern(text->get()))
      return mistake_at(item,
                        fmt::format("policy: raw_sql holds {}, which is neither owner nor a tier nor the name of an "
                                    "agent, with * for any characters",
                                    as_written(item)));
    to.push_back(text->get());
  }
  return std::nullopt;
}

} // namespace

std::optional<config_mistake> read_policy(const toml::node& node, policy_entries& to) {
  auto* table = node.as_table();
  if (!table)
    return mistake_at(node, "policy must be written as [policy]");
  to.has_policy = true;
  for (auto&& [key, member] : *table) {
    if (key.str() != "raw_sql")
      return mistake_at(member, fmt::format("policy has no '{}'; there is raw_sql", key.str()));
    if (auto mistake = read_raw_sql(member, to.rules.raw_sql))
      return mistake;
  }
  return std::nullopt;
}

std::optional<config_mistake> read_agents(const toml::node& node, policy_entries& to) {
  auto* tables = node.as_array();
  if (!tables || !tables->is_homogeneous(toml::node_type::table))
    return mistake_at(node, "agent must be written as [[agent]], once for each rule");
  to.agent_line = node.source().begin.line;
  for (const auto& table : *tables)
    if (auto mistake = read_rule(table, to.rules))
      return mistake;
  return std::nullopt;
}

std::optional<config_mistake> check_whole(const policy_entries& entries) {
  if (entries.agent_line == 0 || entries.has_policy)
    return std::nullopt;
  return config_mistake{entries.agent_line, 0,
                        "there is an [[agent]] but no [policy], without which nobody is restricted; "
                        "write [policy] before it"};
}

} // namespace sluice
