#pragma once

#include "actors/base/clock.hpp"

#include <string>

namespace sluice {

/// Which clock `since_boot` reads: the start of the machine, and the time namespace where that is not the initial one,
/// since the clock there is set off by any amount. One word without spaces; empty when the start is not known.
/// @param boot_id of /proc/sys/kernel/random
/// @param time_namespace what the link /proc/self/ns/time says; empty where there are none
/// @param offsets the content of /proc/self/timens_offsets: numbers of namespaces that are gone are given again
std::string clock_identity(const std::string& boot_id, const std::string& time_namespace, const std::string& offsets);

/// The machine's own time.
class machine_clock final : public clock {
public:
  steady now() const override { return std::chrono::steady_clock::now(); }
  wall wall_now() const override { return std::chrono::system_clock::now(); }
  std::chrono::microseconds since_boot() const override;
  std::string boot() const override;
};

/// The default clock.
inline const clock& machine_time() {
  static const machine_clock time;
  return time;
}

} // namespace sluice
