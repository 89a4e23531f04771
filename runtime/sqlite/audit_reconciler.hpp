#pragma once

#include "messages/audit.hpp"
#include "runtime/sqlite/audit_store.hpp"
#include "runtime/sqlite/connection.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::sqlite {

/// `audit_store::missing_from` for the audit `audit`, whose last record is `audit_seq`.
///
/// Remembers how far ledger and audit were found to agree, and starts there the next time; since it does so only when
/// nothing is missing, a crash before the missing records are appended costs nothing but another look. A ledger that
/// does not hold the commit last agreed on is another one (the file was replaced or restored) and is looked at whole.
caf::expected<std::vector<audit_record>> find_missing(connection& audit, const std::string& db, uint64_t audit_seq,
                                                      const ledger_source& source);

} // namespace sluice::sqlite
