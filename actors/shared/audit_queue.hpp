#pragma once

#include "actors/shared/flush_waker.hpp"
#include "messages/audit.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace sluice {

/// Records that belong together, such as those of a commit.
struct audit_batch {
  std::vector<audit_record> records;
  /// Whether these are refusals, which a client can cause in any number at no cost: many equal ones may be merged into
  /// one record with a `count`.
  bool may_be_merged = false;
};

/// The records that the audit actor takes at once.
struct audit_batches {
  std::deque<audit_batch> batches;
  /// The number of earlier records that were dropped, and the time of the last of them.
  uint64_t dropped = 0;
  int64_t dropped_until_us = 0;
};

/// The queue into which all actors put their records. The audit actor empties it a moment after the first record, when
/// many wait, or when a client queries the audit. A commit therefore wakes no other thread. Outlives the audit actor.
/// Thread-safe.
class audit_queue {
public:
  /// The maximum number of waiting records; beyond it the oldest batches are dropped and counted.
  static constexpr size_t max_records = 200'000;
  /// The number of records that wakes the actor at once.
  static constexpr size_t wake_at = 1'024;
  static constexpr std::chrono::milliseconds interval{20};

  explicit audit_queue(std::shared_ptr<const clock> time) : waker_(interval, std::move(time)) {}

  /// Adds records. A record of an event of a database file wakes the actor at once, because the actor must read its
  /// ledger again.
  void push(audit_batch batch);

  /// Takes all waiting records, in the order in which they were added.
  audit_batches take();

  /// Records that wait.
  size_t size() const;

  flush_waker& waker() noexcept { return waker_; }

private:
  void drop_oldest();

  mutable std::mutex mutex_;
  audit_batches waiting_;
  size_t records_ = 0;
  flush_waker waker_;
};

} // namespace sluice
