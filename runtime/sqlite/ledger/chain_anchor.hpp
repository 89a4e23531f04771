#pragma once

#include "runtime/store/signing_key.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace sluice::sqlite {

/// The beginning of a hash chain after its oldest records were removed, signed by the store that removed them.
struct chain_anchor {
  /// The number of the last record that was removed, and its hash (32 bytes).
  int64_t seq = 0;
  std::string hash;
  /// The number of records removed since the chain began.
  int64_t records = 0;
  /// The time of the last removal, in microseconds since the Unix epoch.
  int64_t pruned_us = 0;
  /// The Ed25519 public key (32 bytes), and the signature with it (64 bytes) over the fields above.
  std::string key;
  std::string signature;
};

/// Sets `key` and `signature`. The signature also covers `chain`, the kind of the chain ("audit" or "ledger").
void sign(chain_anchor& anchor, std::string_view chain, const signing_key& key);

/// Verifies the signature. Returns the reason why the anchor is not trusted, as a predicate ("does not match its
/// signature"); empty when it is signed with the key in the file `key_file`, or with any key if that path is empty.
std::string doubt_about(const chain_anchor& anchor, std::string_view chain, const std::filesystem::path& key_file);

} // namespace sluice::sqlite
