#pragma once

#include "messages/audit.hpp"
#include "messages/ledger.hpp"

#include <caf/expected.hpp>

#include <span>
#include <string>
#include <vector>

namespace sluice {

/// The result of comparing an audit with a ledger.
struct ledger_comparison {
  /// The writes that the ledger holds and the audit lacks, marked `recovered`, in commit order.
  std::vector<audit_record> missing;
  ledger_standing standing;
};

/// The audit actor's port: one append-only, hash-chained file. Used by one thread at a time.
class audit_store {
public:
  virtual ~audit_store() = default;

  /// Appends the records in order, in one transaction; sets their `seq`. On error nothing was appended.
  virtual caf::expected<void> append(std::span<audit_record> records) = 0;

  virtual caf::expected<audit_page> list(const audit_query& query) = 0;

  /// Recomputes every hash; an error only when the file cannot be read at all.
  virtual caf::expected<audit_verdict> verify() = 0;

  /// Compares the ledger of `db` with this audit. Notes that `db` exists, so that it is looked at again after the next
  /// start.
  virtual caf::expected<ledger_comparison> compare(const std::string& db) = 0;
};

} // namespace sluice
