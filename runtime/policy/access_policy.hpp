#pragma once

#include "messages/error.hpp"
#include "runtime/policy/policy_rules.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice {

/// Whose request it is, as far as the way in can tell. The texts outlive the call that gets them.
struct principal {
  /// Never empty.
  std::string_view agent;
  /// Of the peer's process; nothing over HTTP.
  std::optional<uint32_t> uid{};
  /// The name of the bearer token with which it came; empty for the store's own, and where there are none.
  std::string_view token{};
  /// Whether it comes from the owner of the store, in no other name than that of its process or connection.
  bool is_owner = false;
};

/// What a method needs; each row of the table of methods says it (docs/guides/policy.md).
enum class method_access : uint8_t {
  /// Nothing.
  anyone,
  /// An operation that the caller may call.
  operation,
  /// The right to send SQL.
  raw_sql,
  /// For looking at what others do: the owner, agents of tier core, and those who may send SQL.
  observation,
  /// For what concerns others: the owner, and agents of tier core.
  administration,
};

/// One request, as a policy sees it.
struct access_demand {
  method_access access = method_access::anyone;
  /// For the message: the name of the method, or that of the operation.
  std::string_view name;
  /// Of an operation: its database and the tier that it needs. Without a database it is allowed to those who may call
  /// an operation of this name in every database; the refusal is that of one which exists.
  std::string_view database{};
  sluice::tier tier = sluice::tier::untrusted;
  /// Whether the request counts for the rate of its rule.
  bool is_counted = true;
};

/// A decision, with the rule that decided.
struct access_decision {
  /// The place of the rule in `policy_rules::agents`; nothing for the owner, for agents without a rule, and for a name
  /// whose rules want another uid or token.
  std::optional<size_t> rule{};
  /// Why the request is refused, with the rule; empty if it is allowed.
  std::string refusal{};

  bool is_allowed() const noexcept { return refusal.empty(); }
};

/// Who may do what. Immutable and pure: any thread may ask.
///
/// A request belongs to the first rule whose name matches that of the agent, and whose uid and token are those of the
/// caller. A name that only rules with another uid or token match is refused. A request with an agent's token is
/// refused if no rule matches its name. Without a rule, the owner may do everything but what `raw_sql` excludes, and
/// other agents have tier untrusted and no scopes.
class access_policy {
public:
  /// No policy: everything is allowed.
  access_policy();

  /// `errc::invalid_request` names the rule and its mistake.
  static caf::expected<access_policy> make(policy_rules rules);

  /// Whether there is a policy.
  bool exists() const noexcept { return exists_; }

  const policy_rules& rules() const noexcept { return rules_; }

  /// BLAKE2b-256 over everything that decides, in hex; equal for policies that decide alike and are written differently
  /// in comments, spaces, and the order of `scopes` and `raw_sql`.
  const std::string& hash() const noexcept { return hash_; }

  access_decision decide(const principal& who, const access_demand& what) const;

  /// Whether a capsule for `agent` may have this tier and these scopes: some rule with its name must have the tier and
  /// cover each scope. Returns nothing, or the reason for a refusal with the rule.
  std::optional<std::string> permits_grant(std::string_view agent, tier wanted,
                                           std::span<const operation_scope> scopes) const;

private:
  explicit access_policy(policy_rules rules);

  struct identity;
  identity identify(const principal& who) const;
  std::string describe(const principal& who, const identity& found) const;
  std::string named(size_t place) const;
  std::string why_claimed(const principal& who) const;
  std::string why_no_call(const principal& who, const identity& found, const access_demand& what) const;
  std::string why_no_grant(std::string_view agent, size_t place, tier wanted,
                           std::span<const operation_scope> scopes) const;
  bool may_send_sql(const principal& who, const identity& found) const;

  bool exists_ = false;
  policy_rules rules_;
  std::string hash_;
};

} // namespace sluice
