#include "runtime/lab/bench/resource_usage.hpp"

#include <fstream>
#include <string>

namespace sluice::bench {

namespace {

double micros_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
}

} // namespace

resource_usage usage_of(const rusage& usage) noexcept {
  return {micros_of(usage.ru_utime) + micros_of(usage.ru_stime),
          static_cast<uint64_t>(usage.ru_nvcsw + usage.ru_nivcsw), 0, false};
}

resource_usage resource_usage::now() noexcept {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto result = usage_of(used);
  std::ifstream io{"/proc/self/io"};
  for (std::string name; io >> name;)
    if (name == "write_bytes:")
      result.has_written_bytes = static_cast<bool>(io >> result.written_bytes);
  return result;
}

resource_usage& resource_usage::operator+=(const resource_usage& other) noexcept {
  cpu_us += other.cpu_us;
  context_switches += other.context_switches;
  written_bytes += other.written_bytes;
  has_written_bytes = has_written_bytes && other.has_written_bytes;
  return *this;
}

resource_usage operator-(const resource_usage& later, const resource_usage& earlier) noexcept {
  return {later.cpu_us - earlier.cpu_us, later.context_switches - earlier.context_switches,
          later.written_bytes - earlier.written_bytes, later.has_written_bytes && earlier.has_written_bytes};
}

} // namespace sluice::bench
