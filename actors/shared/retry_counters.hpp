#pragma once

#include "actors/base/clock.hpp"
#include "messages/status.hpp"

#include <array>
#include <mutex>

namespace sluice {

/// Counts the attempts to get locks that external processes held. Thread-safe; called once per attempt, not per
/// request.
class retry_counters {
public:
  /// The lock was got or refused.
  void attempt(const clock& time, bool refused);

  /// Another attempt will follow.
  void retry();

  /// `requests` got the lock, or gave up, after a wait of `waited`.
  void succeeded(uint64_t requests, std::chrono::milliseconds waited);
  void gave_up(std::chrono::milliseconds waited);

  retry_status snapshot(const clock& time) const;

  /// Resets all counters, including those of the last five minutes.
  void reset();

private:
  // Ten-second buckets over five minutes; each has the number of its ten seconds.
  struct bucket {
    int64_t context = -1;
    uint64_t attempts = 0;
    uint64_t refused = 0;
  };

  void add_wait(std::chrono::milliseconds waited);

  mutable std::mutex mutex_;
  retry_status sums_;
  uint64_t waits_ = 0;
  std::array<bucket, 30> recent_{};
};

} // namespace sluice
