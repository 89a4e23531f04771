#pragma once

#include "actors/base/clock.hpp"
#include "messages/error.hpp"
#include "runtime/policy/access_policy.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace sluice {

/// What became of a request at the gate.
struct admission {
  /// `errc::not_authorized` with the rule that decided, or `errc::overloaded` of an agent that sends too fast.
  std::optional<failure> refused{};
  /// Whether a rule of the policy names the agent; its idempotency keys are then its own.
  bool is_named = false;
  agent_limits limits{};
};

/// A policy with what has to be counted for it. Every request from outside passes it before it goes to an actor.
/// Thread-safe.
class access_gate {
public:
  /// `time` outlives this; `policy` is not null.
  access_gate(std::shared_ptr<const access_policy> policy, const clock& time);

  /// Decides, and counts the request for the rate of its rule (`access_demand::is_counted`), also one that is refused.
  /// Above the rate every request is refused as `errc::overloaded`, allowed or not.
  admission admit(const principal& who, const access_demand& what);

  /// The policy in force; never null.
  std::shared_ptr<const access_policy> policy() const;

  /// From now on `policy`, which is not null, decides. Rates begin anew.
  void replace(std::shared_ptr<const access_policy> policy);

private:
  std::optional<failure> count(const agent_rule& rule, size_t place, const principal& who);

  const clock& time_;
  mutable std::mutex mutex_;
  std::shared_ptr<const access_policy> policy_;
  // By rule: when the next request is due at its rate.
  std::vector<clock::steady> due_;
};

} // namespace sluice
