#pragma once

#include <cstdint>
#include <string>

namespace sluice {

/// The right by which a request is made: a capsule, and the policy that allowed it. Commit records hold its hashes.
struct request_grant {
  /// The text of the capsule as the client sent it; empty for none.
  std::string capsule;
  /// The hash of that text, 32 bytes; empty while the capsule has not been verified.
  std::string capsule_hash;
  /// The hash of the policy in force, 32 bytes; empty for none.
  std::string policy_hash;
  /// When the capsule was verified: microseconds by the clock of capsules, which does not go back.
  int64_t verified_us = 0;
};

} // namespace sluice
