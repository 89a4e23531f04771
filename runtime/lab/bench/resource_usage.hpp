#pragma once

#include <cstdint>
#include <sys/resource.h>

namespace sluice::bench {

/// The resources that one or several processes used. Plain data, which processes of this program send to each other.
struct resource_usage {
  /// Processor time, user and system.
  double cpu_us = 0;
  /// Voluntary and involuntary context switches of all threads.
  uint64_t context_switches = 0;
  /// Bytes that were sent to the storage layer: pages made dirty in files, counted by the kernel (`write_bytes` of
  /// /proc/self/io). A RAM disk counts none.
  uint64_t written_bytes = 0;
  bool has_written_bytes = true;

  /// The resources that this process has used so far, including threads that have ended.
  static resource_usage now() noexcept;

  resource_usage& operator+=(const resource_usage& other) noexcept;
  friend resource_usage operator-(const resource_usage& later, const resource_usage& earlier) noexcept;
};

/// Converts the kernel's report on a process, which lacks the bytes that it wrote.
resource_usage usage_of(const rusage& usage) noexcept;

} // namespace sluice::bench
