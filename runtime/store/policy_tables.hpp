#pragma once

#include "runtime/policy/policy_rules.hpp"
#include "runtime/store/buffer_tables.hpp"

#include <optional>

namespace sluice {

/// What `sluice.toml` says about the policy, `[policy]` and each `[[agent]]`, while the file is read.
struct policy_entries {
  policy_rules rules;
  bool has_policy = false;
  /// The line of the first `[[agent]]`; 0 if there is none.
  uint32_t agent_line = 0;
};

/// Reads `[policy]`. A mistake is an unknown key, or a value that cannot be used.
std::optional<config_mistake> read_policy(const toml::node& node, policy_entries& to);

/// Reads all `[[agent]]`. A mistake is the same, or a rule that no agent can get to.
std::optional<config_mistake> read_agents(const toml::node& node, policy_entries& to);

/// The mistake of rules without a policy, which would be ignored; nothing otherwise.
std::optional<config_mistake> check_whole(const policy_entries& entries);

} // namespace sluice
