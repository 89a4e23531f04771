#pragma once

#include <chrono>

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
};

/// Microseconds since the Unix epoch.
inline int64_t wall_us(const clock& c) {
  return std::chrono::duration_cast<std::chrono::microseconds>(c.wall_now().time_since_epoch()).count();
}

} // namespace sluice
