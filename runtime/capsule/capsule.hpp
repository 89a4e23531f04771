#pragma once

#include "runtime/catalogue/operation.hpp"
#include "runtime/store/signing_key.hpp"

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The most that a capsule may hold.
inline constexpr size_t max_capsule_bytes = 8 * 1024;
inline constexpr size_t max_capsule_scopes = 32;
inline constexpr size_t max_scope_bytes = 512;
inline constexpr size_t max_capsule_ancestors = 8;
inline constexpr int64_t max_capsule_lifetime_us = int64_t{30} * 24 * 3'600 * 1'000'000;

/// A signed grant that expires: an agent may call operations of databases with a tier. Its text is
/// `sluice1.` and the Base64 (for URLs, without padding) of a CBOR array and the Ed25519 signature of 64 bytes.
struct capsule {
  /// 16 random bytes.
  std::string id;
  /// The ids of the capsules that it is derived from, the first one first.
  std::vector<std::string> ancestors;
  /// A name or a pattern (`matches`).
  std::string agent;
  sluice::tier tier = tier::untrusted;
  /// `DB:OPERATION`, both parts names or patterns.
  std::vector<std::string> scopes;
  /// Microseconds by the clock of capsules (`capsule_clock`).
  int64_t issued_us = 0;
  int64_t expires_us = 0;
  /// The hash of the policy in force when it was issued; 32 bytes.
  std::string policy;
  /// The id of the store that issued it; 16 bytes.
  std::string store;

  bool operator==(const capsule&) const = default;
};

/// A capsule as it was parsed, with the signature not checked.
struct signed_capsule {
  capsule content;
  /// What is signed.
  std::string message;
  std::string signature;
};

/// `errc::invalid_request` for a text that `read_scope` of the policy does not take, or that is too long.
caf::error scope_error(std::string_view scope);

/// Whether the pattern of a scope covers an operation, or a pattern of operations. Raw SQL (`sluice_write`) is covered
/// only where the scope names it: `*` means the operations of the catalogue.
bool matches_operation(std::string_view pattern, std::string_view operation) noexcept;

/// The text of `content`, signed. @pre `content` is in bounds
std::string seal(const capsule& content, const signing_key& key);

/// Accepts exactly the texts that `seal` makes. `errc::capsule_invalid` (`form`) for any other.
caf::expected<signed_capsule> parse_capsule(std::string_view text);

/// Whether it was signed with the key whose public part is `key`.
bool is_signed_by(const signed_capsule& capsule, std::string_view key);

/// The hash of a capsule's text, as commit records hold it; 32 bytes.
std::string capsule_hash(std::string_view text);

/// What a request needs.
struct capsule_use {
  std::string_view agent;
  std::string_view db;
  std::string_view operation;
  sluice::tier tier = tier::untrusted;
};

/// The first two parts of `check_use`.
bool may_use(const capsule& grant, std::string_view agent) noexcept;
bool covers_database(const capsule& grant, std::string_view db) noexcept;

/// `errc::capsule_invalid` that names the first of agent, database, operation and tier that `grant` does not cover.
caf::error check_use(const capsule& grant, const capsule_use& use);

/// `errc::capsule_invalid` that names the first of agent, tier, scopes and expiry in which `derived` is wider than
/// `parent`.
caf::error check_narrower(const capsule& parent, const capsule& derived);

/// `errc::capsule_invalid`: "capsule refused (CHECK): REASON".
caf::error capsule_refusal(std::string_view check, std::string_view reason);

} // namespace sluice
