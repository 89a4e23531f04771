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

/// A comparison, and the resulting judgement on the ledger.
struct judged_comparison {
  ledger_comparison comparison;
  ledger_judgement judgement;
  /// The missing records of a ledger with a conflict; `comparison.missing` is then empty. In the audit they would look
  /// like records that agree with that ledger.
  std::vector<audit_record> withheld;
};

/// `audit_store::compare` for the audit `audit`, whose last record is `audit_seq`.
///
/// Stores the last commit on which ledger and audit agree, and begins there the next time. It stores it only when no
/// record is missing, so a crash before the missing records are appended costs one more comparison. A ledger without
/// the commit last agreed on is another one (the file was replaced or restored): it is compared from its beginning.
/// The audit never forgets the highest number issued. The judgement on the ledger follows from it, and a `conflict`
/// when a commit in the ledger differs from the one in the audit.
///
/// With `read_only` it stores nothing. A ledger that is missing, or is damaged in itself, has no judgement.
caf::expected<judged_comparison> compare_ledger(const connection& audit, const std::string& db, uint64_t audit_seq,
                                                const ledger_source& source, bool read_only = false);

/// The commit, at most `until`, up to which the audit has all requests in the ledger of `db`; stores it. For a ledger
/// in use, whose later commits may not have reached the audit yet: adds no records. The same as the last time when a
/// record is missing, and 0 when the ledger is a different one than at that time.
caf::expected<uint64_t> agree_on_commits(const connection& audit, const std::string& db, uint64_t audit_seq,
                                         const ledger_source& source, uint64_t until);

/// Stores in the audit that a ledger was repaired, and agrees with the audit as it is now.
caf::expected<void> accept_ledger(const connection& audit, const std::string& db, const ledger_standing& now);

} // namespace sluice::sqlite
