#pragma once

#include "actors/audit/audit_store.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

/// The steps of `audit_store::prune`.
namespace sluice::sqlite {

/// A record after which a chain may begin: a row of format 1, or the last record of a segment.
struct chain_end {
  int64_t seq = 0;
  std::string hash;
};

struct prunable {
  /// From the oldest on; each may be removed together with all before it.
  std::vector<chain_end> ends;
  /// Whether more records are within `bounds`.
  bool has_more = false;
};

/// The records within `bounds`, some hundred thousand of them at most, without the record `last_seq`.
caf::expected<prunable> find_prunable(const connection& db, const prune_bounds& bounds, int64_t last_seq);

/// Removes the records up to `last` in one transaction, and signs an anchor with the key of the store, which it creates
/// if it is missing. @param audit the path of the file. @return the number of removed records
caf::expected<uint64_t> remove_records(connection& db, const std::filesystem::path& audit, const chain_end& last,
                                       int64_t now_us);

/// The number of the oldest record; 0 for an empty audit.
caf::expected<int64_t> first_record(const connection& db);

/// The record up to which the ledger of `db` was compared with the audit.
caf::expected<int64_t> compared_until(const connection& audit, const std::string& db);

} // namespace sluice::sqlite
