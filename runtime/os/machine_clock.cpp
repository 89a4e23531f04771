#include "runtime/os/machine_clock.hpp"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace sluice {

namespace {

// Fixed by the kernel (PROC_TIME_INIT_INO).
constexpr const char* initial_time_namespace = "time:[4026531834]";

} // namespace

std::string clock_identity(const std::string& boot_id, const std::string& time_namespace, const std::string& offsets) {
  if (boot_id.empty() || time_namespace.empty() || time_namespace == initial_time_namespace)
    return boot_id;
  auto result = boot_id + '/' + time_namespace;
  std::istringstream words{offsets};
  for (std::string word; words >> word;)
    result += '/' + word;
  return result;
}

std::chrono::microseconds machine_clock::since_boot() const {
  timespec time{};
  if (clock_gettime(CLOCK_BOOTTIME, &time) != 0)
    return clock::since_boot();
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::seconds{time.tv_sec}
                                                               + std::chrono::nanoseconds{time.tv_nsec});
}

std::string machine_clock::boot_id() const {
  // Never destroyed: brokers that are static objects use it until their end.
  static const auto& id = *new auto{[] {
    std::string boot_id;
    std::ifstream{"/proc/sys/kernel/random/boot_id"} >> boot_id;
    std::error_code unknown;
    auto space = std::filesystem::read_symlink("/proc/self/ns/time", unknown).string();
    std::stringstream offsets;
    offsets << std::ifstream{"/proc/self/timens_offsets"}.rdbuf();
    return clock_identity(boot_id, space, offsets.str());
  }()};
  return id;
}

} // namespace sluice
