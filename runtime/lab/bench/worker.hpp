#pragma once

#include "runtime/lab/bench/measurement.hpp"

#include <chrono>
#include <filesystem>
#include <functional>

namespace sluice::bench {

/// The loop of a worker process.
enum class work : uint8_t {
  /// One row per write, through the broker.
  broker_write,
  /// One row per write on a connection of its own: WAL, busy_timeout 5 s, synchronous FULL or NORMAL.
  direct_write_full,
  direct_write_normal,
  /// Point reads through the broker: always the same row, and all rows in turn.
  broker_read_cached,
  broker_read,
  /// All rows in turn by a prepared statement on a connection of its own.
  direct_read,
  /// A new row per operation into the write-behind buffer, waiting for room.
  broker_put,
  /// Through the socket bound.
  bound_write,
  bound_read,
  bound_read_cached,
  /// An existing row per write, scattered over the file: through the broker, and on a connection of its own with
  /// synchronous FULL.
  broker_update,
  direct_update,
};

inline constexpr int last_work = static_cast<int>(work::direct_update);

/// Runs `count` processes on the store `root` concurrently, during the same time, and adds up their results; `fairness`
/// is the operations of the slowest one divided by the mean. Each worker opens its files by a first operation, which is
/// not counted; then `ready` is called, and the time begins. Ends the case with an exception when a worker cannot be
/// started or dies.
measurement run_processes(size_t count, work task, const std::filesystem::path& root,
                          std::chrono::milliseconds duration, const std::function<void()>& ready);

/// The main function of `bench-worker`, a process that forks the workers. It prints `ready`, starts when it has read
/// the time to start at, and prints the sum of their measurements. Returns the exit status.
int run_workers(size_t count, work task, const std::filesystem::path& root, std::chrono::milliseconds duration);

/// The work of one process. `run` is given the operation that opens its files, and the one of its loop.
measurement work_alone(
  work task, const std::filesystem::path& root,
  const std::function<measurement(const std::function<bool()>& first, const std::function<bool()>& each)>& run);

} // namespace sluice::bench
