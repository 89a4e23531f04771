// Over random policies: no agent gets more than its rule.

#include "runtime/policy/access_policy.hpp"
#include "runtime/policy/name_pattern.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <random>
#include <string>

namespace sluice::test::rights_test {

namespace {

constexpr std::array names{"a", "a1", "a2", "b", "b1", "owner", "core", "u@1"};
constexpr std::array patterns{"a", "a*", "*1", "b*", "*", "b1", "u@*"};
constexpr std::array operations{"x", "x1", "y"};
constexpr std::array scopes{"d.db:x", "d.db:*", "e.db:x*", "*:y", "d*:x1"};
constexpr std::array words{"owner", "basic", "core", "a1", "b*", "u@*"};
constexpr std::array tokens{"", "s", "t"};

class generator {
public:
  explicit generator(uint32_t seed) : random_(seed) {}

  template <class List> auto any(const List& of) { return of[random_() % of.size()]; }
  tier any_tier() { return static_cast<tier>(random_() % 4); }
  bool chance() { return random_() % 2 == 0; }

  agent_rule rule() {
    agent_rule result;
    result.name = any(patterns);
    result.tier = any_tier();
    if (chance())
      result.uid = static_cast<uint32_t>(random_() % 2);
    else
      result.token = any(tokens);
    while (chance())
      result.scopes.push_back(*read_scope(any(scopes)));
    return result;
  }

  policy_rules rules() {
    policy_rules result{{}, {}};
    while (chance())
      result.raw_sql.emplace_back(any(words));
    while (result.agents.size() < 4 && (chance() || chance())) {
      result.agents.push_back(rule());
      if (rule_error(result, result.agents.size() - 1))
        result.agents.pop_back();
    }
    return result;
  }

  principal who() {
    principal result{any(names)};
    if (chance())
      result.uid = static_cast<uint32_t>(random_() % 2);
    else
      result.token = any(tokens);
    result.is_owner = result.token.empty() && chance();
    return result;
  }

private:
  std::mt19937 random_;
};

bool is_for(const agent_rule& rule, const principal& who) {
  return matches(rule.name, who.agent) && (!rule.uid || (who.uid && *rule.uid == *who.uid)) && rule.token == who.token;
}

bool covers(const agent_rule& rule, std::string_view db, std::string_view operation) {
  return std::any_of(rule.scopes.begin(), rule.scopes.end(), [&](const auto& scope) {
    return matches(scope.database, db) && matches(scope.operation, operation);
  });
}

const agent_rule* rule_for(const policy_rules& rules, const principal& who) {
  auto at = std::find_if(rules.agents.begin(), rules.agents.end(), [&](const auto& x) { return is_for(x, who); });
  return at == rules.agents.end() ? nullptr : &*at;
}

bool has_name_in(const policy_rules& rules, std::string_view name) {
  return std::any_of(rules.agents.begin(), rules.agents.end(), [&](const auto& x) { return matches(x.name, name); });
}

} // namespace

TEST_CASE("no agent gets more than its rule, whatever the policy", "[policy]") {
  generator any{320};
  size_t allowed = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto rules = any.rules();
    auto policy = access_policy::make(rules);
    REQUIRE(policy);
    auto who = any.who();
    auto access = static_cast<method_access>(any.any(std::array{0, 1, 2, 3, 4}));
    access_demand what{access, any.any(operations), any.chance() ? "d.db" : "e.db", any.any_tier()};
    auto decision = policy->decide(who, what);
    const auto* rule = rule_for(rules, who);
    CHECK(decision.rule.has_value() == (rule != nullptr));
    if (!decision.is_allowed())
      continue;
    ++allowed;
    if (!rule)
      REQUIRE_FALSE((has_name_in(rules, who.agent) || !who.token.empty()));
    auto is_owner = !rule && who.is_owner;
    auto in_raw_sql = std::any_of(rules.raw_sql.begin(), rules.raw_sql.end(), [&](const std::string& item) {
      if (item == "owner")
        return is_owner;
      auto least = tier_of(item);
      return least ? rule && rule->tier >= *least : matches(item, who.agent);
    });
    auto is_covered = rule && covers(*rule, what.database, what.name);
    auto is_core = rule && rule->tier == tier::core;
    switch (access) {
    case method_access::anyone: break;
    case method_access::operation: REQUIRE((is_owner || (is_covered && rule->tier >= what.tier))); break;
    case method_access::raw_sql: REQUIRE(in_raw_sql); break;
    case method_access::observation: REQUIRE((is_owner || is_core || in_raw_sql)); break;
    case method_access::administration: REQUIRE((is_owner || is_core)); break;
    }
  }
  // Otherwise nothing was tested.
  CHECK(allowed > 2'000);
}

TEST_CASE("what a grant permits, its agent may call by some rule", "[policy]") {
  generator any{321};
  size_t permitted = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto rules = any.rules();
    auto policy = access_policy::make(rules);
    REQUIRE(policy);
    std::string_view agent = any.any(names);
    auto trust = any.any_tier();
    std::array granted{*read_scope(any.any(scopes))};
    if (policy->permits_grant(agent, trust, granted))
      continue;
    ++permitted;
    for (const auto* operation : operations)
      for (const auto* db : {"d.db", "e.db"})
        if (matches(granted[0].database, db) && matches(granted[0].operation, operation))
          REQUIRE(std::any_of(rules.agents.begin(), rules.agents.end(), [&](const agent_rule& rule) {
            return matches(rule.name, agent) && rule.tier >= trust && covers(rule, db, operation);
          }));
  }
  CHECK(permitted > 500);
}

} // namespace sluice::test::rights_test
