#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sluice {

/// Time as the actors see it. Tests hand in a fake; the runtime hands in the machine's. Thread-safe.
class clock {
public:
  using steady = std::chrono::steady_clock::time_point;
  using wall = std::chrono::system_clock::time_point;

  virtual ~clock() = default;

  /// Monotonic; for deadlines, latencies and ages.
  virtual steady now() const = 0;

  /// What a calendar shows; for records only, it may step.
  virtual wall wall_now() const = 0;

  /// Time that has passed since the machine was started, its sleep included.
  virtual std::chrono::microseconds since_boot() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(now().time_since_epoch());
  }

  /// Which start of the machine `since_boot` counts from, the same for all processes; empty when that is not known.
  virtual std::string boot() const { return {}; }
};

/// Microseconds since the Unix epoch.
inline int64_t wall_us(const clock& c) {
  return std::chrono::duration_cast<std::chrono::microseconds>(c.wall_now().time_since_epoch()).count();
}

} // namespace sluice
