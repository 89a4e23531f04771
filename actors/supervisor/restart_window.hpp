#pragma once

#include "actors/base/clock.hpp"

#include <chrono>
#include <cstdint>
#include <deque>

namespace sluice {

/// Counts restarts within a sliding window, the intensity of Erlang/OTP's supervisors. Not synchronized.
class restart_window {
public:
  restart_window(uint64_t limit, std::chrono::milliseconds length) : limit_(limit), length_(length) {}

  /// Notes a failure; false when there have been more than the limit within the window.
  bool allow(clock::steady now) {
    while (!failures_.empty() && now - failures_.front() > length_)
      failures_.pop_front();
    failures_.push_back(now);
    return failures_.size() <= limit_;
  }

private:
  uint64_t limit_;
  std::chrono::milliseconds length_;
  std::deque<clock::steady> failures_;
};

} // namespace sluice
