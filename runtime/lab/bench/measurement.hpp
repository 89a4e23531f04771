#pragma once

#include "runtime/lab/bench/resource_usage.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace sluice::bench {

using bench_clock = std::chrono::steady_clock;

/// The results of one contender in one round.
struct measurement {
  /// Operations that succeeded within the time of the round. The rate counts these alone, so that a contender gains or
  /// loses nothing by a last operation that takes long.
  uint64_t operations = 0;
  /// Operations that succeeded, including those that ended after the time of the round.
  uint64_t completed = 0;
  uint64_t errors = 0;
  /// The length of the round, in seconds.
  double seconds = 0;
  /// The time until the last operation had ended, in seconds.
  double elapsed = 0;
  /// In microseconds, of all operations; empty where only the mean was measured. Sorted once the round is over.
  std::vector<float> latencies_us;
  /// Rows per COMMIT, where it applies.
  double rows_per_commit = 0;
  /// The operations of the slowest agent or process divided by the mean, 0 to 1; 0 where it does not apply.
  double fairness = 0;
  /// Rows that were stored, including those before the round began.
  uint64_t stored_rows = 0;
  /// The resources that the broker used, if it has a process of its own, and those that the client processes used.
  std::optional<resource_usage> broker;
  std::optional<resource_usage> clients;
  /// The resources that this process used, if it contains both broker and agents.
  std::optional<resource_usage> process;

  void note(bool is_good, bench_clock::time_point begin, bench_clock::time_point end, bench_clock::time_point stop_at);

  /// Adds the results of another thread or process of the same round.
  void add(const measurement& part);

  double per_second() const;
  double mean_us() const { return per_second() > 0 ? 1e6 / per_second() : 0; }
};

/// The `q`-quantile of sorted values, 0 to 1. 0 when there are none.
double quantile(const std::vector<float>& sorted, double q);

/// Quotient, or 0 where it has no meaning.
double ratio(double a, double b);

/// Runs `loop(i, stop_at, own)` in `threads` threads at once, each with an `i` from 0, and adds up their results.
measurement run_threads(size_t threads, std::chrono::milliseconds duration,
                        const std::function<void(size_t i, bench_clock::time_point stop_at, measurement& own)>& loop);

/// Calls `operation` until `stop_at`, at least once, timing each call; it returns false for an error.
void timed_loop(bench_clock::time_point stop_at, measurement& own, const std::function<bool()>& operation);

} // namespace sluice::bench
