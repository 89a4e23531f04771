#pragma once

#include "runtime/lab/bench/measurement.hpp"

#include <chrono>
#include <filesystem>
#include <string>

namespace sluice::bench {

/// The loop of a worker process.
enum class work : uint8_t {
  /// One row per write, through the broker.
  broker_write,
  /// The same on a connection of its own: WAL, busy_timeout 5 s, synchronous FULL or NORMAL.
  direct_write_full,
  direct_write_normal,
  /// Point reads through the broker: always the same row, and all rows in turn.
  broker_read_cached,
  broker_read,
  /// All rows in turn by a prepared statement on a connection of its own.
  direct_read,
  /// A new row per operation into the write-behind buffer, waiting for room.
  broker_put,
};

/// Runs `count` processes of this program (`bench-worker`) on the store `root` at once and adds up their results;
/// `fairness` is the work of the slowest, as a share of the mean. Ends the benchmark with an exception when a worker
/// cannot be started or dies.
measurement run_processes(std::string contender, size_t count, work kind, const std::filesystem::path& root,
                          std::chrono::milliseconds duration);

/// The other side: runs such a process. It prints `ready`, starts when stdin has a line, and prints its measurements.
/// Returns the exit status.
int run_worker(work kind, const std::filesystem::path& root, std::chrono::milliseconds duration);

} // namespace sluice::bench
