#pragma once

#include "runtime/store/signing_key.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace sluice::sqlite {

/// The beginning of a hash chain after its oldest records were removed, signed by the store that removed them.
struct chain_anchor {
  /// The last record that was removed, and the hash of the chain at that record.
  int64_t seq = 0;
  std::string hash;
  /// The number of removed records in all.
  int64_t records = 0;
  /// The time of the last removal, in microseconds since the Unix epoch.
  int64_t pruned_us = 0;
  /// The public key of the signature.
  std::string key;
  std::string signature;
};

/// Signs the anchor of a chain of the kind `chain` ("audit", "ledger").
void sign(chain_anchor& anchor, std::string_view chain, const signing_key& key);

/// The reason to distrust `anchor`, as the end of a sentence about it; empty when it is signed with the key in the file
/// `key_file`. Without a path any key is accepted.
std::string doubt_about(const chain_anchor& anchor, std::string_view chain, const std::filesystem::path& key_file);

} // namespace sluice::sqlite
