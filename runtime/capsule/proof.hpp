#pragma once

#include "messages/error.hpp"
#include "runtime/capsule/capsule.hpp"
#include "runtime/store/signing_key.hpp"

#include <caf/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

inline constexpr uint64_t max_proof_commits = 1'000;
/// Of the text of a proof.
inline constexpr size_t max_proof_bytes = 8 * 1024 * 1024;

/// A commit record as it is in the ledger.
struct proved_commit {
  uint64_t seq = 0;
  /// Microseconds since the Unix epoch.
  int64_t ts_us = 0;
  /// The hash of the record before it, and its own; 32 bytes each.
  std::string previous;
  std::string hash;
  /// Its column `requests`.
  std::string requests;

  friend bool operator==(const proved_commit&, const proved_commit&) = default;
};

/// What was done, for people and programs that do not have the store: commit records one after another, the capsules
/// under which they were made, and the policy. Its text is one line of JSON, signed with the key of the store.
struct proof {
  /// The store and its public key: 16 and 32 bytes.
  std::string store;
  std::string key;
  std::string db;
  /// The id of the epoch of the ledger.
  std::string epoch;
  /// The hash of the policy in force when the proof was made; 32 bytes.
  std::string policy;
  std::vector<proved_commit> commits;
  /// The texts of the capsules of the commits, each once, in the order of their first use.
  std::vector<std::string> capsules;
};

/// The text of `content` with its signature, ending with a line feed.
std::string seal(const proof& content, const signing_key& key);

/// Reads a proof, and checks all that can be checked without the store: that the text is exactly one that `seal` makes
/// (`form`), its signature by the key that it names (`signature`), that each record has its hash and follows from the
/// one before it (`chain`), and that the capsules of the requests are there and are of this store (`capsule`), and were
/// valid for their agents, database and policy when they were used (`agent`, `database`, `expired`, `policy`). The
/// error names the check: `errc::capsule_invalid` where a capsule fails, `corrupt` for a changed proof. Pure.
caf::expected<proof> open_proof(std::string_view text);

/// The hash of the text of a proof; 32 bytes.
std::string proof_hash(std::string_view text);

/// "proof refused (CHECK): REASON" with this code.
caf::error proof_refusal(errc code, std::string_view check, std::string_view reason);

} // namespace sluice
