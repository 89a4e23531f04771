#pragma once

#include <cstdint>
#include <sys/resource.h>

namespace sluice::bench {

/// What a process, or several, took of the machine. Plain data, also between processes of this program.
struct resource_usage {
  /// Processor time, user and system.
  double cpu_us = 0;
  /// Voluntary and involuntary, of all threads.
  uint64_t context_switches = 0;
  /// Bytes that were sent to the storage layer: pages made dirty in files, counted by the kernel (`write_bytes` of
  /// /proc/self/io). A RAM disk counts none.
  uint64_t written_bytes = 0;
  bool has_written_bytes = true;

  /// Of this process and the threads that it has had, so far.
  static resource_usage now() noexcept;

  resource_usage& operator+=(const resource_usage& other) noexcept;
  friend resource_usage operator-(const resource_usage& later, const resource_usage& earlier) noexcept;
};

/// What the kernel tells of a process, without the bytes that it wrote.
resource_usage usage_of(const rusage& usage) noexcept;

} // namespace sluice::bench
