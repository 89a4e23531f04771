#include "runtime/policy/policy_rules.hpp"

#include "actors/base/name_rules.hpp"
#include "runtime/policy/name_pattern.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice {

namespace {

constexpr size_t max_token_name_bytes = 64;

constexpr bool is_lower_or_digit(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// Operations name their databases in this spelling, so another one would cover nothing.
bool is_database_pattern(std::string_view text) {
  if (name_error(text))
    return false;
  for (size_t begin = 0; begin <= text.size();) {
    auto end = std::min(text.find('/', begin), text.size());
    auto part = text.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..")
      return false;
    begin = end + 1;
  }
  return true;
}

bool is_operation_pattern(std::string_view text) noexcept {
  return !text.empty()
         && std::all_of(text.begin(), text.end(), [](char c) { return is_lower_or_digit(c) || c == '_' || c == '*'; });
}

// Whether every caller that fits the rule's condition fits that of `earlier`.
bool is_hidden_by(const agent_rule& rule, const agent_rule& earlier) {
  return matches(earlier.name, rule.name) && (!earlier.uid || earlier.uid == rule.uid) && earlier.token == rule.token;
}

std::optional<std::string> limits_error(const agent_limits& limits) {
  if (limits.rate != 0 && !(limits.rate >= lowest_rate && limits.rate <= highest_rate))
    return fmt::format("rate = {} cannot be used; it must be a number from {} to {}", limits.rate, lowest_rate,
                       highest_rate);
  if (limits.max_rows > highest_max_rows)
    return fmt::format("max_rows = {} cannot be used; it must be a whole number from 1 to {}", limits.max_rows,
                       highest_max_rows);
  if (limits.max_time.count() < 0 || limits.max_time > highest_max_time)
    return fmt::format("max_time_ms = {} cannot be used; it must be a whole number from 1 to {}",
                       limits.max_time.count(), highest_max_time.count());
  return std::nullopt;
}

} // namespace

std::string to_string(const operation_scope& scope) { return scope.database + ':' + scope.operation; }

std::optional<operation_scope> read_scope(std::string_view text) {
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return std::nullopt;
  auto database = text.substr(0, colon);
  auto operation = text.substr(colon + 1);
  if (!is_database_pattern(database) || !is_operation_pattern(operation))
    return std::nullopt;
  return operation_scope{std::string{database}, std::string{operation}};
}

bool is_agent_pattern(std::string_view text) { return !text.empty() && !agent_name_error(text); }

bool is_token_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= max_token_name_bytes && is_lower_or_digit(text.front())
         && std::all_of(text.begin(), text.end(), [](char c) { return is_lower_or_digit(c) || c == '_' || c == '-'; });
}

std::optional<std::string> rule_error(const policy_rules& rules, size_t place) {
  const auto& rule = rules.agents[place];
  if (!is_agent_pattern(rule.name))
    return "its name cannot be that of an agent; write a name, with * for any characters";
  if (!rule.token.empty() && !is_token_name(rule.token))
    return fmt::format(
      "token '{}' cannot be the name of a token; it must be [a-z0-9][a-z0-9_-]*, at most {} characters", rule.token,
      max_token_name_bytes);
  if (rule.uid && !rule.token.empty())
    return "it has uid and token, and no caller has both: uid is for the socket, token for HTTP; write two rules";
  if (auto reason = limits_error(rule.limits))
    return reason;
  for (size_t i = 0; i < place; ++i)
    if (is_hidden_by(rule, rules.agents[i]))
      return fmt::format("no agent gets to this rule '{}', because agent[{}] '{}' comes first; put it before that one",
                         rule.name, i, rules.agents[i].name);
  return std::nullopt;
}

} // namespace sluice
