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
  /// Whether they are refusals of which many alike may become one with a `count`, because a client can cause any number
  /// of them at no cost.
  bool may_be_merged = false;
};

/// What the audit actor takes out at once.
struct audit_batches {
  std::deque<audit_batch> batches;
  /// Records that came before these and were dropped, and the time of the last of them.
  uint64_t dropped = 0;
  int64_t dropped_until_us = 0;
};

/// The queue into which all actors put their records, and which the audit actor empties: a moment after the first, when
/// many wait, or when the audit is asked for. A commit therefore wakes no other thread. Outlives the audit actor.
/// Thread-safe.
class audit_queue {
public:
  /// Records that may wait; beyond that the oldest batches are dropped, and counted.
  static constexpr size_t max_records = 200'000;
  /// As many have the actor woken at once.
  static constexpr size_t wake_at = 1'024;
  static constexpr std::chrono::milliseconds interval{20};

  explicit audit_queue(std::shared_ptr<const clock> time) : waker_(interval, std::move(time)) {}

  /// Adds records. A record of an event of a database file has the actor woken at once, since its ledger is to be read
  /// again.
  void push(audit_batch batch);

  /// All that wait, in the order in which they were added.
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
