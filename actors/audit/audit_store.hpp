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
  /// Those of segments without a record as new as this, in microseconds since the Unix epoch.
  int64_t before_us = 0;
  /// Older ones than the rest, until the file has no more bytes than this; 0 for no such bound.
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

  /// Removes the oldest records, as far as `bounds` say, but never the last; a bounded number at once. What is left is
  /// a chain that begins behind a signed anchor. Records that a ledger could give back are removed only when it has
  /// been compared. `now_us` is written down. On error nothing was removed.
  virtual caf::expected<audit_pruned> prune(const prune_bounds& bounds, int64_t now_us) = 0;

  /// The commit up to which this audit has all requests in the ledger of `db`, safe on the disk, at most `until`. The
  /// same as the last time when it lacks one; 0 when the ledger is another one than at that time, or nothing is safe.
  virtual caf::expected<uint64_t> agree(const std::string& db, uint64_t until) = 0;

  /// Compares the ledger of `db` with this audit. Notes that `db` exists, so that it is looked at again after the next
  /// start.
  virtual caf::expected<ledger_comparison> compare(const std::string& db) = 0;
};

} // namespace sluice
