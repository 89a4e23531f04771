#pragma once

#include "actors/clock.hpp"

namespace sluice {

/// The machine's own time.
class machine_clock final : public clock {
public:
  steady now() const override { return std::chrono::steady_clock::now(); }
  wall wall_now() const override { return std::chrono::system_clock::now(); }
  std::chrono::microseconds since_boot() const override;
  std::string boot() const override;
};

/// The one that is used where nobody hands in another.
inline const clock& machine_time() {
  static const machine_clock time;
  return time;
}

} // namespace sluice
