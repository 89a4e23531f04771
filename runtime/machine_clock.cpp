#include "runtime/machine_clock.hpp"

#include <ctime>
#include <fstream>

namespace sluice {

std::chrono::microseconds machine_clock::since_boot() const {
  timespec x{};
  if (clock_gettime(CLOCK_BOOTTIME, &x) != 0)
    return clock::since_boot();
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::seconds{x.tv_sec}
                                                               + std::chrono::nanoseconds{x.tv_nsec});
}

std::string machine_clock::boot() const {
  static const auto id = [] {
    std::ifstream in{"/proc/sys/kernel/random/boot_id"};
    std::string result;
    in >> result;
    return result;
  }();
  return id;
}

} // namespace sluice
