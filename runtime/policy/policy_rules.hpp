#pragma once

#include "runtime/policy/tier.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a policy says, as plain data; docs/guides/policy.md explains it.
namespace sluice {

/// Operations that may be called, as `DATABASE:OPERATION` in `sluice.toml`; both are patterns.
struct operation_scope {
  /// Of the file's name, relative to the store root.
  std::string database;
  std::string operation;

  friend bool operator==(const operation_scope&, const operation_scope&) = default;
};

/// `DATABASE:OPERATION`.
std::string to_string(const operation_scope& scope);

/// The reverse; nothing for a text that is not one. Before the last colon is the database: a path without empty, `.`
/// and
/// `..` parts; behind it the operation, of the characters of operations' names and `*`.
std::optional<operation_scope> read_scope(std::string_view text);

/// The bounds of the agents of one rule; zero for none.
struct agent_limits {
  /// Requests per second, of all agents of the rule together.
  double rate = 0;
  /// Rows of a read.
  uint64_t max_rows = 0;
  /// Time of a request, queue included.
  std::chrono::milliseconds max_time{0};

  friend bool operator==(const agent_limits&, const agent_limits&) = default;
};

inline constexpr double lowest_rate = 0.01;
inline constexpr double highest_rate = 1e6;
inline constexpr uint64_t highest_max_rows = 100'000'000;
inline constexpr std::chrono::milliseconds highest_max_time{86'400'000};

/// An `[[agent]]` of the policy.
struct agent_rule {
  /// A pattern of agents' names.
  std::string name;
  /// The user that the agent's process must have; only callers on the socket have one.
  std::optional<uint32_t> uid{};
  /// The name of the bearer token that the agent must send; only HTTP has tokens. Empty for callers without an agent's
  /// token.
  std::string token{};
  sluice::tier tier = sluice::tier::untrusted;
  std::vector<operation_scope> scopes{};
  agent_limits limits{};
};

/// In `raw_sql` it stands for the owner of the store.
inline constexpr std::string_view owner_word = "owner";

/// A policy.
struct policy_rules {
  /// Who may send SQL: `owner`, names of tiers (for these and higher ones), patterns of agents' names.
  std::vector<std::string> raw_sql{std::string{owner_word}};
  /// The first that fits an agent is its rule.
  std::vector<agent_rule> agents{};
};

/// Whether `text` can be a pattern of agents' names: 1 to 256 bytes of UTF-8 without control characters, not the name
/// of a part of the broker.
bool is_agent_pattern(std::string_view text);

/// Whether `text` can name a token: `[a-z0-9][a-z0-9_-]*`, at most 64 bytes.
bool is_token_name(std::string_view text) noexcept;

/// The reason why a rule cannot be used beside those before it in `rules`, such as "no agent gets to this rule: ...";
/// nothing for a valid one. @pre `place < rules.agents.size()`
std::optional<std::string> rule_error(const policy_rules& rules, size_t place);

} // namespace sluice
