#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sluice {

/// The time source of the actors. Tests inject a fake; the runtime uses the machine's clock. Thread-safe.
class clock {
public:
  using steady = std::chrono::steady_clock::time_point;
  using wall = std::chrono::system_clock::time_point;

  virtual ~clock() = default;

  /// Monotonic; for deadlines, latencies and ages.
  virtual steady now() const = 0;

  /// Wall-clock time, for records only: it may jump.
  virtual wall wall_now() const = 0;

  /// Time since boot, including suspend.
  virtual std::chrono::microseconds since_boot() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(now().time_since_epoch());
  }

  /// The boot id of the machine, the same for all processes; empty if unknown.
  virtual std::string boot_id() const { return {}; }
};

/// Microseconds since the Unix epoch.
inline int64_t wall_us(const clock& c) {
  return std::chrono::duration_cast<std::chrono::microseconds>(c.wall_now().time_since_epoch()).count();
}

} // namespace sluice
