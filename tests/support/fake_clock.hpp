#pragma once

#include "actors/base/clock.hpp"

#include <atomic>
#include <string>

namespace sluice::test {

/// A clock that stands still until a test advances it. Both clocks move together, unless the wall clock jumps.
class fake_clock : public clock {
public:
  steady now() const override { return steady{} + std::chrono::hours{1} + elapsed(); }
  wall wall_now() const override { return wall{} + std::chrono::seconds{1'700'000'000} + elapsed() + jumped(); }
  std::chrono::microseconds since_boot() const override { return std::chrono::hours{1} + elapsed() - booted_; }
  std::string boot_id() const override { return boot_; }

  /// Simulates a restart of the machine.
  void reboot() {
    boot_ += "again";
    booted_ = std::chrono::hours{1} + elapsed();
  }

  /// Moves the wall clock alone.
  void jump(std::chrono::nanoseconds by) { jumped_ns_ += by.count(); }

  void advance(std::chrono::nanoseconds by) { elapsed_ns_ += by.count(); }

private:
  std::chrono::microseconds elapsed() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::nanoseconds{elapsed_ns_.load()});
  }

  std::chrono::microseconds jumped() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::nanoseconds{jumped_ns_.load()});
  }

  std::atomic<int64_t> elapsed_ns_{0};
  std::atomic<int64_t> jumped_ns_{0};
  std::string boot_ = "first";
  std::chrono::microseconds booted_{0};
};

} // namespace sluice::test
