#pragma once

#include "actors/base/clock.hpp"

#include <string>

namespace sluice {

/// Identifies the clock that `since_boot` reads: the boot of the machine, and the time namespace if it is not the
/// initial one, because its clock has an arbitrary offset. One word without spaces; empty when the boot is unknown.
/// @param boot_id the content of /proc/sys/kernel/random/boot_id
/// @param time_namespace the target of the link /proc/self/ns/time; empty without time namespaces
/// @param offsets the content of /proc/self/timens_offsets, because the numbers of ended namespaces are reused
std::string clock_identity(const std::string& boot_id, const std::string& time_namespace, const std::string& offsets);

/// The machine's own time.
class machine_clock final : public clock {
public:
  steady now() const override { return std::chrono::steady_clock::now(); }
  wall wall_now() const override { return std::chrono::system_clock::now(); }
  std::chrono::microseconds since_boot() const override;
  std::string boot_id() const override;
};

/// The default clock.
inline const clock& machine_time() {
  static const machine_clock time;
  return time;
}

} // namespace sluice
