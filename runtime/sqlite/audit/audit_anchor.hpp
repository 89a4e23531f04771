#pragma once

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/store/signing_key.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace sluice::sqlite {

/// The beginning of a chain after its oldest records were removed, signed by the store that removed them.
struct audit_anchor {
  /// The last record that was removed, and the hash that the chain had with it.
  int64_t seq = 0;
  std::string hash;
  /// The number of removed records in all.
  int64_t records = 0;
  /// The time of the last removal, in microseconds since the Unix epoch.
  int64_t pruned_us = 0;
  /// The public part of the key of the signature.
  std::string key;
  std::string signature;
};

/// "CREATE TABLE ...": one row at most. Files of earlier versions do not have it until they are opened for writing.
inline constexpr const char* anchor_table =
  "CREATE TABLE IF NOT EXISTS anchor(id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL, "
  "records INTEGER NOT NULL, pruned_us INTEGER NOT NULL, key BLOB NOT NULL, signature BLOB NOT NULL) STRICT;";

/// Nothing for a file from which no record was removed.
caf::expected<std::optional<audit_anchor>> read_anchor(const connection& db);

/// Signs `anchor` and replaces the one before by it.
caf::expected<void> write_anchor(const connection& db, audit_anchor anchor, const signing_key& key);

/// The file of the key with which the anchors of the audit file `audit` are signed.
std::filesystem::path anchor_key_path(const std::filesystem::path& audit);

/// The reason to distrust `anchor`, as the end of a sentence about it; empty when its signature is that of the key in
/// `anchor_key_path(audit)`.
std::string doubt_about(const audit_anchor& anchor, const std::filesystem::path& audit);

} // namespace sluice::sqlite
