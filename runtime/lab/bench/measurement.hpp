#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sluice::bench {

using bench_clock = std::chrono::steady_clock;

/// The results of one contender in one case.
struct measurement {
  std::string contender;
  uint64_t operations = 0;
  uint64_t errors = 0;
  double seconds = 0;
  /// Latencies in microseconds; empty where only the mean was measured.
  std::vector<float> latencies_us;
  /// Rows per COMMIT, where it applies.
  double rows_per_commit = 0;
  /// The work of the slowest of several, as a share of their mean; 0 where it does not apply.
  double fairness = 0;

  double per_second() const { return seconds > 0 ? static_cast<double>(operations) / seconds : 0; }
  double mean_us() const { return operations > 0 ? seconds * 1e6 / static_cast<double>(operations) : 0; }
};

/// The `q`-quantile of latencies in microseconds, 0 to 1; sorts `values`. 0 when there are none.
double quantile(std::vector<float>& values, double q);

/// Runs `loop(stop_at, own)` in `threads` threads at once and adds up their results.
measurement run_threads(std::string contender, size_t threads, std::chrono::milliseconds duration,
                        const std::function<void(bench_clock::time_point stop_at, measurement& own)>& loop);

/// Calls `operation` until `stop_at`, timing each call; it returns false for an error.
void timed_loop(bench_clock::time_point stop_at, measurement& own, const std::function<bool()>& operation);

} // namespace sluice::bench
