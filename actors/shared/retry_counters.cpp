#include "actors/shared/retry_counters.hpp"

#include <algorithm>

namespace sluice {

namespace {

int64_t slot_of(const clock& time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.now().time_since_epoch()).count() / 10;
}

} // namespace

void retry_counters::attempt(const clock& time, bool refused) {
  std::lock_guard guard{mutex_};
  auto context = slot_of(time);
  auto& entry = recent_[static_cast<size_t>(context) % recent_.size()];
  if (entry.context != context)
    entry = {context, 0, 0};
  ++entry.attempts;
  if (!refused)
    return;
  ++entry.refused;
  ++sums_.lock_errors;
  sums_.last_lock_error_us = wall_us(time);
}

void retry_counters::retry() {
  std::lock_guard guard{mutex_};
  ++sums_.retries;
}

void retry_counters::succeeded(uint64_t requests, std::chrono::milliseconds waited) {
  std::lock_guard guard{mutex_};
  sums_.successes_after_retry += requests;
  add_wait(waited);
}

void retry_counters::gave_up(std::chrono::milliseconds waited) {
  std::lock_guard guard{mutex_};
  ++sums_.failures;
  add_wait(waited);
}

void retry_counters::add_wait(std::chrono::milliseconds waited) {
  auto ms = static_cast<uint64_t>(std::max<int64_t>(waited.count(), 0));
  ++waits_;
  sums_.total_wait_ms += ms;
  sums_.max_wait_ms = std::max(sums_.max_wait_ms, ms);
}

void retry_counters::reset() {
  std::lock_guard guard{mutex_};
  sums_ = {};
  waits_ = 0;
  recent_ = {};
}

retry_status retry_counters::snapshot(const clock& time) const {
  std::lock_guard guard{mutex_};
  auto result = sums_;
  result.mean_wait_ms = waits_ == 0 ? 0 : sums_.total_wait_ms / waits_;
  auto oldest = slot_of(time) - static_cast<int64_t>(recent_.size());
  uint64_t attempts = 0;
  uint64_t refused = 0;
  for (const auto& entry : recent_)
    if (entry.context > oldest) {
      attempts += entry.attempts;
      refused += entry.refused;
    }
  result.error_rate_5m = attempts == 0 ? 0 : static_cast<double>(refused) / static_cast<double>(attempts);
  return result;
}

} // namespace sluice
