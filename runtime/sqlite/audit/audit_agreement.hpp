#pragma once

#include "runtime/sqlite/audit/audit_row.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/ledger/chain_anchor.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <functional>
#include <string>

/// The audit's knowledge of the ledger of each database: the rows of its table `databases`.
namespace sluice::sqlite {

/// Ledger and audit agree up to the commit `seq`; the records of later commits come after the audit record `audit_seq`.
struct agreement {
  uint64_t seq = 0;
  std::string hash;
  uint64_t audit_seq = 0;
  /// The highest number issued, as of the record `issued_at`.
  uint64_t issued = 0;
  uint64_t issued_at = 0;
  std::string epoch;
};

/// Adds a row for `db` if there is none.
caf::expected<void> note_database(const connection& audit, const std::string& db);

/// Removes the row for `db` if its ledger cannot be read because of `failure`, which is `corrupt`, and nothing was ever
/// agreed or issued according to `last`: a request may name any file, and one that is no database and never was one of
/// the store has no ledger to verify. Returns `failure`, or why the audit cannot be changed.
caf::error forget_if_no_database(const connection& audit, const std::string& db, const agreement& last,
                                 caf::error failure);

/// All zero when there is no row.
caf::expected<agreement> read_agreement(const connection& audit, const std::string& db);

/// Whether the audit has such a record.
caf::expected<bool> has_record(const connection& audit, const std::function<bool(const audit_row&)>& is_it);

/// The record about `count` commits after `anchor` that were removed from the ledger of `db` and are in no audit.
audit_record gap_before(const chain_anchor& anchor, const std::string& db, uint64_t count);

/// Updates the row; has no effect if there is none.
caf::expected<void> keep_agreement(const connection& audit, const std::string& db, const agreement& agreed);

} // namespace sluice::sqlite
