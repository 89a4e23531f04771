#pragma once

#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <string>
#include <vector>

namespace sluice::sqlite {

/// A ledger that is damaged or contradicts the audit.
struct ledger_problem {
  std::string db;
  std::string reason;
  /// The ledger itself is damaged or unreadable, independently of the audit.
  bool in_itself = false;
};

/// Compares every ledger that the audit in `audit` knows with it, and with `chains` also recomputes their chains.
/// Changes nothing. A missing database is no problem.
caf::expected<std::vector<ledger_problem>> check_ledgers(const connection& audit, const ledger_source& source,
                                                         bool chains);

/// As above without recomputing chains, for the audit file `path`; empty if there is no such file. @param immutable as
/// in `connection_options`
caf::expected<std::vector<ledger_problem>> check_ledgers(const std::filesystem::path& path, const ledger_source& source,
                                                         bool immutable);

/// The names of the databases that the audit in `db` knows, in order.
caf::expected<std::vector<std::string>> audited_names(const connection& db);

} // namespace sluice::sqlite
