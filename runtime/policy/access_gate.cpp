#include "runtime/policy/access_gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sluice {

access_gate::access_gate(std::shared_ptr<const access_policy> policy, const clock& time) : time_(time) {
  replace(std::move(policy));
}

std::shared_ptr<const access_policy> access_gate::policy() const {
  std::lock_guard held{mutex_};
  return policy_;
}

void access_gate::replace(std::shared_ptr<const access_policy> policy) {
  std::lock_guard held{mutex_};
  due_.assign(policy->rules().agents.size(), {});
  policy_ = std::move(policy);
}

admission access_gate::admit(const principal& who, const access_demand& what) {
  std::lock_guard held{mutex_};
  if (!policy_->exists())
    return {};
  auto decision = policy_->decide(who, what);
  const auto* rule = decision.rule ? &policy_->rules().agents[*decision.rule] : nullptr;
  // Refused ones count, too: otherwise an agent could send any number of them.
  auto refused = rule && rule->limits.rate > 0 && what.is_counted ? count(*rule, *decision.rule, who) : std::nullopt;
  if (!refused && !decision.is_allowed())
    refused = make_failure(errc::not_authorized, std::move(decision.refusal));
  return {std::move(refused), rule != nullptr, rule ? rule->limits : agent_limits{}};
}

// The generic cell rate algorithm: a request may come early by the time of a burst, which is what the rule may send in
// one second.
std::optional<failure> access_gate::count(const agent_rule& rule, size_t place, const principal& who) {
  using std::chrono::duration;
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  auto span = [](double seconds) { return duration_cast<clock::steady::duration>(duration<double>{seconds}); };
  auto interval = span(1 / rule.limits.rate);
  auto burst = span(std::max(1 - 1 / rule.limits.rate, 0.0));
  auto now = time_.now();
  auto due = std::max(due_[place], now);
  if (due <= now + burst) {
    due_[place] = due + interval;
    return std::nullopt;
  }
  auto wait = std::chrono::ceil<milliseconds>(due - burst - now);
  return make_failure(errc::overloaded,
                      fmt::format("agent '{}' (rule agent[{}] '{}') sends more than the {} requests a second that its "
                                  "rule allows; wait {} ms",
                                  who.agent, place, rule.name, rule.limits.rate, wait.count()),
                      {.retry_after_ms = static_cast<uint32_t>(wait.count())});
}

} // namespace sluice
