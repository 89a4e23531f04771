#pragma once

#include "actors/clock.hpp"

#include <atomic>

namespace sluice::test {

/// Time that stands still until a test moves it. Both clocks move together, unless the wall clock is set.
class fake_clock : public clock {
public:
  steady now() const override { return steady{} + std::chrono::hours{1} + elapsed(); }
  wall wall_now() const override {
    return wall{} + std::chrono::seconds{1'700'000'000} + elapsed() + std::chrono::microseconds{set_by_us_.load()};
  }

  void advance(std::chrono::nanoseconds by) { elapsed_ns_ += by.count(); }

  /// Sets the wall clock forward or back; no time passes.
  void set_wall(std::chrono::microseconds by) { set_by_us_ += by.count(); }

private:
  std::chrono::microseconds elapsed() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::nanoseconds{elapsed_ns_.load()});
  }

  std::atomic<int64_t> elapsed_ns_{0};
  std::atomic<int64_t> set_by_us_{0};
};

} // namespace sluice::test
