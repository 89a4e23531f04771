#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace sluice::sqlite {

/// An audit file open for appending.
struct audit_file {
  std::filesystem::path path;
  connection db;
  /// The row of the table `stores` that stands for the root.
  int64_t store = 0;
};

/// The last record of a chain: its number and its hash; 0 and empty before the first record.
struct audit_head {
  int64_t seq = 0;
  std::string hash;
};

/// Opens the file, creates it and its schema when they are missing, and checks its kind and format. Converts a file of
/// format 1 to format 2 in a transaction: its rows stay unchanged, since people may have written down their hashes, and
/// the segments follow them. Errors as `open_audit_store`.
caf::expected<audit_file> open_audit_file(const std::filesystem::path& path, const std::string& root_text,
                                          uint64_t page_cache_bytes);

/// `errc::corrupt` when `db` is no audit file, `protocol_mismatch` when its format is neither 1, with a row per record,
/// nor 2, with segments.
caf::expected<void> check_audit_file(const connection& db);

/// Whether the audit stores the epochs of ledgers; files of earlier versions do not, until they are written.
caf::expected<bool> knows_epochs(const connection& db);

/// The statement that selects the number and the hash of the last record of this file.
caf::expected<std::string> last_record_sql(const connection& db);

caf::expected<audit_head> read_head(const connection& db);

/// The hash of the record `seq`, if it has one: as a row, or as the last record of a segment.
caf::expected<std::optional<std::string>> read_hash(const connection& db, int64_t seq);

} // namespace sluice::sqlite
