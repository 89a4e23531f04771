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

/// Which records to remove.
struct prune_bounds {
  /// Segments without a record as new as this, in microseconds since the Unix epoch.
  int64_t before_us = 0;
  /// The oldest records, until the file has no more bytes than this; 0 for no such bound.
  uint64_t max_bytes = 0;
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

  /// Removes the oldest records within `bounds`, a bounded number at once, but never the last one. The remaining chain
  /// begins after a signed anchor. Records that can be recovered from a ledger are removed only after the ledger has
  /// been compared. `now_us` is recorded in the anchor. On error nothing was removed.
  virtual caf::expected<audit_pruned> prune(const prune_bounds& bounds, int64_t now_us) = 0;

  /// The commit, at most `until`, up to which this audit has all requests in the ledger of `db`, synced to the disk.
  /// The result of the last call when the audit lacks one; 0 when the ledger is a different one than at that call, or
  /// nothing is synced.
  virtual caf::expected<uint64_t> agree(const std::string& db, uint64_t until) = 0;

  /// Compares the ledger of `db` with this audit. Records that `db` exists, so that its ledger is compared again after
  /// the next start.
  virtual caf::expected<ledger_comparison> compare(const std::string& db) = 0;
};

} // namespace sluice
