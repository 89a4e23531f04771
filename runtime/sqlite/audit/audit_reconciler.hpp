#pragma once

#include "actors/audit/audit_store.hpp"
#include "messages/audit.hpp"
#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/ledger/ledger_state.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::sqlite {

/// A comparison, and how the ledger stands up to it.
struct judged_comparison {
  ledger_comparison known;
  ledger_judgement judgement;
  /// With a conflict, in the place of `known.missing`: once they were in the audit, they would pass for what it had
  /// known.
  std::vector<audit_record> withheld;
};

/// `audit_store::compare` for the audit `audit`, whose last record is `audit_seq`.
///
/// Remembers how far ledger and audit were found to agree, and starts there the next time; since it does so only when
/// nothing is missing, a crash before the missing records are appended costs nothing but another look. A ledger that
/// does not hold the commit last agreed on is another one (the file was replaced or restored) and is looked at whole.
/// What the audit knows of the numbers issued is never forgotten; it becomes the judgement on the ledger, and a
/// `conflict` when a commit in the ledger is not the one in the audit.
///
/// With `read_only` nothing is remembered. A ledger that is not there, or is damaged in itself, has no judgement.
caf::expected<judged_comparison> compare_ledger(const connection& audit, const std::string& db, uint64_t audit_seq,
                                                const ledger_source& source, bool read_only = false);

/// Records in the audit that a ledger was repaired, and agrees with the audit as it is now.
caf::expected<void> accept_ledger(const connection& audit, const std::string& db, const ledger_standing& now);

} // namespace sluice::sqlite
