#pragma once

#include "actors/base/clock.hpp"

#include <cstdint>
#include <string>

namespace sluice {

/// The clock by which capsules expire. It never goes back: within a boot of the machine it follows the time since boot,
/// whatever the wall clock does; after a boot it continues at the wall clock's time, or where it was if that is later.
/// Used by one thread at a time.
class capsule_clock {
public:
  /// The state that is kept between processes.
  struct state {
    int64_t seen_us = 0;
    /// The boot of the machine, and the time since then, at which the clock was `seen_us`; empty when it is unknown.
    std::string boot;
    int64_t since_boot_us = 0;
  };

  /// Begins at the wall clock's time. `time` outlives this.
  explicit capsule_clock(const clock& time);

  /// Continues from a state that was kept.
  capsule_clock(const clock& time, const state& kept);

  /// Microseconds by this clock.
  int64_t now_us() const;

  /// The state to keep now.
  state kept() const;

private:
  const clock* time_;
  state base_;
};

} // namespace sluice
