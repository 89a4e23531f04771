#include "runtime/policy/access_policy.hpp"

#include "runtime/policy/name_pattern.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace sluice {

namespace {

using nlohmann::json;

json sorted(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts;
}

json canonical(const agent_rule& rule) {
  std::vector<std::string> scopes;
  for (const auto& scope : rule.scopes)
    scopes.push_back(to_string(scope));
  return {{"name", rule.name},
          {"uid", rule.uid ? json(*rule.uid) : json{}},
          {"token", rule.token},
          {"tier", to_string(rule.tier)},
          {"scopes", sorted(std::move(scopes))},
          {"rate", rule.limits.rate},
          {"max_rows", rule.limits.max_rows},
          {"max_time_ms", rule.limits.max_time.count()}};
}

// Members of JSON objects are in alphabetical order here, so equal policies have equal texts.
std::string canonical_text(bool exists, const policy_rules& rules) {
  json agents = json::array();
  for (const auto& rule : rules.agents)
    agents.push_back(canonical(rule));
  auto whole = exists ? json{{"raw_sql", sorted(rules.raw_sql)}, {"agents", std::move(agents)}} : json{};
  return whole.dump();
}

std::string hash_of(std::string_view text) {
  if (sodium_init() < 0)
    throw std::runtime_error("libsodium cannot be initialized");
  std::array<unsigned char, crypto_generichash_BYTES> digest{};
  crypto_generichash(digest.data(), digest.size(), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                     nullptr, 0);
  // Its NUL at the end is not part of the text.
  std::array<char, 2 * digest.size() + 1> result{};
  return sodium_bin2hex(result.data(), result.size(), digest.data(), digest.size());
}

// Whoever has an agent's token is one of the agents of that token, and nobody else.
bool fits(const agent_rule& rule, const principal& who) {
  return (!rule.uid || rule.uid == who.uid) && rule.token == who.token;
}

bool covers(const operation_scope& scope, std::string_view database, std::string_view operation) {
  return matches(scope.database, database) && matches(scope.operation, operation);
}

bool covers(const agent_rule& rule, std::string_view database, std::string_view operation) {
  return std::any_of(rule.scopes.begin(), rule.scopes.end(),
                     [&](const auto& scope) { return covers(scope, database, operation); });
}

} // namespace

// The rule of a request, or why it has none.
struct access_policy::identity {
  std::optional<size_t> rule{};
  // Rules have this name, but for another uid or token.
  bool is_claimed = false;
  bool is_owner = false;
};

access_policy::access_policy() : hash_(hash_of(canonical_text(false, {}))) {}

access_policy::access_policy(policy_rules rules)
  : exists_(true), rules_(std::move(rules)), hash_(hash_of(canonical_text(true, rules_))) {}

caf::expected<access_policy> access_policy::make(policy_rules rules) {
  for (const auto& item : rules.raw_sql)
    if (!is_agent_pattern(item))
      return make_error(errc::invalid_request,
                        "raw_sql holds what is neither owner nor a tier nor the name of an agent");
  for (size_t i = 0; i < rules.agents.size(); ++i)
    if (auto reason = rule_error(rules, i))
      return make_error(errc::invalid_request, fmt::format("agent[{}]: {}", i, *reason));
  return access_policy{std::move(rules)};
}

access_policy::identity access_policy::identify(const principal& who) const {
  auto is_claimed = false;
  for (size_t i = 0; i < rules_.agents.size(); ++i) {
    const auto& rule = rules_.agents[i];
    if (!matches(rule.name, who.agent))
      continue;
    if (fits(rule, who))
      return {i};
    is_claimed = true;
  }
  return {std::nullopt, is_claimed, who.is_owner && !is_claimed};
}

bool access_policy::may_send_sql(const principal& who, const identity& found) const {
  auto has = found.rule ? rules_.agents[*found.rule].tier : tier::untrusted;
  return std::any_of(rules_.raw_sql.begin(), rules_.raw_sql.end(), [&](const std::string& item) {
    if (item == owner_word)
      return found.is_owner;
    if (auto least = tier_of(item))
      return !found.is_owner && has >= *least;
    return matches(item, who.agent);
  });
}

access_decision access_policy::decide(const principal& who, const access_demand& what) const {
  if (!exists_)
    return {};
  auto found = identify(who);
  if (found.is_claimed && !found.rule)
    return {std::nullopt, why_claimed(who)};
  if (!who.token.empty() && !found.rule)
    return {std::nullopt,
            fmt::format("the token '{}' is for the agents of its rules, and none of these rules names '{}'", who.token,
                        who.agent)};
  auto is_core = found.rule && rules_.agents[*found.rule].tier == tier::core;
  auto refused = [&](std::string_view reason) {
    return access_decision{found.rule, describe(who, found) + " may not " + std::string{reason}};
  };
  switch (what.access) {
  case method_access::anyone: break;
  case method_access::operation:
    if (auto reason = why_no_call(who, found, what); !reason.empty())
      return {found.rule, std::move(reason)};
    break;
  case method_access::raw_sql:
    if (!may_send_sql(who, found))
      return refused(fmt::format("send SQL or rows of its own ({}), which is for raw_sql = [{}]; call an operation",
                                 what.name, fmt::join(rules_.raw_sql, ", ")));
    break;
  case method_access::observation:
    if (!found.is_owner && !is_core && !may_send_sql(who, found))
      return refused(fmt::format("call {}, which is for the owner, tier core and raw_sql", what.name));
    break;
  case method_access::administration:
    if (!found.is_owner && !is_core)
      return refused(fmt::format("call {}, which is for the owner and tier core", what.name));
    break;
  }
  return {found.rule, {}};
}

std::string access_policy::why_no_call(const principal& who, const identity& found, const access_demand& what) const {
  if (found.is_owner)
    return {};
  auto refused = [&](std::string_view reason) {
    return fmt::format("{} may not call '{}', {}", describe(who, found), what.name, reason);
  };
  if (!found.rule || !covers(rules_.agents[*found.rule], what.database, what.name))
    return refused("because none of its scopes covers it");
  if (rules_.agents[*found.rule].tier < what.tier)
    return refused(fmt::format("which needs tier {}", to_string(what.tier)));
  return {};
}

std::string access_policy::named(size_t place) const {
  return fmt::format("rule agent[{}] '{}'", place, rules_.agents[place].name);
}

std::string access_policy::describe(const principal& who, const identity& found) const {
  if (found.is_owner)
    return fmt::format("the owner ('{}')", who.agent);
  if (!found.rule)
    return fmt::format("agent '{}' (no rule names it: tier untrusted, no scopes)", who.agent);
  return fmt::format("agent '{}' ({}, tier {})", who.agent, named(*found.rule),
                     to_string(rules_.agents[*found.rule].tier));
}

std::string access_policy::why_claimed(const principal& who) const {
  size_t place = 0;
  while (!matches(rules_.agents[place].name, who.agent))
    ++place;
  const auto& rule = rules_.agents[place];
  auto wanted = rule.uid             ? fmt::format("processes of uid {} on the socket", *rule.uid)
                : rule.token.empty() ? std::string{"requests without an agent's token"}
                                     : fmt::format("HTTP requests with the token '{}'", rule.token);
  return fmt::format("the name '{}' belongs to {}, which is for {}; this request is not one of these", who.agent,
                     named(place), wanted);
}

std::string access_policy::why_no_grant(std::string_view agent, size_t place, tier wanted,
                                        std::span<const operation_scope> scopes) const {
  const auto& rule = rules_.agents[place];
  auto refused = [&](std::string_view reason) {
    return fmt::format("agent '{}' ({}, tier {}) cannot be granted {}", agent, named(place), to_string(rule.tier),
                       reason);
  };
  if (rule.tier < wanted)
    return refused(fmt::format("tier {}", to_string(wanted)));
  for (const auto& scope : scopes)
    if (!covers(rule, scope.database, scope.operation))
      return refused(fmt::format("the scope {}, which none of its own covers", to_string(scope)));
  return {};
}

std::optional<std::string> access_policy::permits_grant(std::string_view agent, tier wanted,
                                                        std::span<const operation_scope> scopes) const {
  if (!exists_)
    return std::nullopt;
  std::optional<std::string> first;
  for (size_t i = 0; i < rules_.agents.size(); ++i) {
    if (!matches(rules_.agents[i].name, agent))
      continue;
    auto reason = why_no_grant(agent, i, wanted, scopes);
    if (reason.empty())
      return std::nullopt;
    if (!first)
      first = std::move(reason);
  }
  return first ? std::move(*first)
               : fmt::format("agent '{}' cannot be granted anything, because no rule of the policy names it", agent);
}

} // namespace sluice
