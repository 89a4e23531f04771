#pragma once

#include "actors/base/clock.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/ledger/ledger_state.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

namespace sluice::sqlite {

/// The retention of a ledger's commit records.
struct ledger_retention {
  /// By the wall clock; 0 means for ever.
  std::chrono::microseconds age{0};
  /// The approximate maximum bytes of its commit records; 0 means no limit.
  uint64_t max_bytes = 0;
  /// The file of the key with which the anchor is signed; created when it is missing.
  std::filesystem::path key_file;

  bool is_limited() const noexcept { return !key_file.empty() && (age.count() > 0 || max_bytes > 0); }
};

struct pruned_records {
  uint64_t count = 0;
  /// Whether another call may remove more now.
  bool has_more = false;
};

/// Removes the oldest commit records of a ledger, whose chain then begins after a signed anchor. Used in the writer's
/// thread.
class ledger_pruning {
public:
  ledger_pruning(const connection& db, const clock& time, ledger_retention settings)
    : db_(db), time_(time), settings_(std::move(settings)) {}

  /// The records that stay whatever their age: those of commits from this one on, and those for which the function
  /// returns true (for the commit `seq`, made at `ts_us` by the wall clock, with the column `requests`).
  struct limits {
    uint64_t first_kept = 0;
    std::function<bool(uint64_t seq, int64_t ts_us, std::string_view requests)> is_kept;
  };

  /// Removes a bounded number, in the open transaction. Updates `epoch`, and stores it if it has changed.
  /// `errc::ledger_damaged` when a record to remove is broken, or the last anchor is not signed with the key, because
  /// the removal would hide that; errors as `signing_key::open_or_make`.
  caf::expected<pruned_records> remove(ledger_epoch& epoch, const limits& keep);

  /// The transaction was rolled back, or another program has written.
  void lost() noexcept { measured_until_ = measured_bytes_ = 0; }

private:
  struct oldest_records;

  caf::expected<bool> measure();
  caf::expected<oldest_records> find(const ledger_epoch& epoch, const limits& keep);
  caf::expected<void> remove_until(const oldest_records& found);

  const connection& db_;
  const clock& time_;
  const ledger_retention settings_;
  // The bytes of the records up to this commit.
  uint64_t measured_until_ = 0;
  uint64_t measured_bytes_ = 0;
};

} // namespace sluice::sqlite
