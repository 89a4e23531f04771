#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace sluice {

/// Buckets, each twice as wide as the one before: 4 us for the first, 33.6 s for the last but one. There are few enough
/// to export them as a Prometheus histogram.
struct doubling_buckets {
  static constexpr size_t count = 25;

  /// The upper bound of the durations in bucket `i`.
  static constexpr std::chrono::nanoseconds upper_end(size_t i) noexcept {
    return std::chrono::nanoseconds{static_cast<int64_t>(narrowest_ns << i)};
  }

  static constexpr size_t index_of(uint64_t ns) noexcept {
    auto i = static_cast<size_t>(std::bit_width((std::max<uint64_t>(ns, 1) - 1) / narrowest_ns));
    return std::min(i, count - 1);
  }

private:
  static constexpr uint64_t narrowest_ns = 4'000;
};

/// Buckets of an eighth of an octave each, as in HdrHistogram: any quantile is exact to 9 %, from 1 us to 2.3 hours.
struct narrow_buckets {
  static constexpr size_t count = size_t{8} * 33;

  static std::chrono::nanoseconds upper_end(size_t i) noexcept {
    return std::chrono::nanoseconds{std::llround(1e3 * std::exp2(static_cast<double>(i + 1) / 8))};
  }

  static size_t index_of(uint64_t ns) noexcept {
    auto us = std::max(1.0, static_cast<double>(ns) / 1e3);
    return std::min(static_cast<size_t>(std::log2(us) * 8), count - 1);
  }
};

/// Durations counted in buckets; those outside the range count in the first or the last. Not synchronized.
template <class Buckets> struct duration_counts {
  std::array<uint64_t, Buckets::count> counts{};
  std::chrono::nanoseconds sum{0};

  void add(std::chrono::nanoseconds duration) noexcept {
    auto ns = std::max<int64_t>(duration.count(), 0);
    ++counts[Buckets::index_of(static_cast<uint64_t>(ns))];
    sum += std::chrono::nanoseconds{ns};
  }

  void add(const duration_counts& other) noexcept {
    for (size_t i = 0; i < counts.size(); ++i)
      counts[i] += other.counts[i];
    sum += other.sum;
  }

  uint64_t count() const noexcept {
    uint64_t total = 0;
    for (auto each : counts)
      total += each;
    return total;
  }

  /// The upper end of the bucket that holds the quantile `q` (0 to 1); zero when nothing was counted.
  std::chrono::nanoseconds quantile(double q) const noexcept {
    auto total = count();
    if (total == 0)
      return std::chrono::nanoseconds{0};
    auto rank = std::max(1.0, q * static_cast<double>(total));
    double seen = 0;
    size_t i = 0;
    for (; i + 1 < counts.size(); ++i)
      if (seen += static_cast<double>(counts[i]); seen >= rank)
        break;
    return Buckets::upper_end(i);
  }
};

/// Durations that one thread adds and any thread reads. Adding costs a few nanoseconds and no lock.
class duration_histogram {
public:
  using buckets = doubling_buckets;
  using snapshot = duration_counts<buckets>;

  static constexpr size_t bucket_count = buckets::count;

  static constexpr std::chrono::nanoseconds upper_end(size_t i) noexcept { return buckets::upper_end(i); }

  void add(std::chrono::nanoseconds duration) noexcept {
    auto ns = static_cast<uint64_t>(std::max<int64_t>(duration.count(), 0));
    increase(counts_[buckets::index_of(ns)], 1);
    increase(sum_ns_, ns);
  }

  snapshot read() const noexcept {
    snapshot result;
    for (size_t i = 0; i < bucket_count; ++i)
      result.counts[i] = counts_[i].load(std::memory_order_relaxed);
    result.sum = std::chrono::nanoseconds{static_cast<int64_t>(sum_ns_.load(std::memory_order_relaxed))};
    return result;
  }

private:
  // With one writer, a load and a store suffice; an atomic addition would cost more.
  static void increase(std::atomic<uint64_t>& counter, uint64_t count) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }

  std::array<std::atomic<uint64_t>, bucket_count> counts_{};
  std::atomic<uint64_t> sum_ns_{0};
};

/// How long the parts of a database's writes take. Its writer adds the durations.
struct write_timings {
  /// For each request: the wait in the queue without the wait for the lock of an external process; the execution.
  duration_histogram queue;
  duration_histogram execution;
  /// For each COMMIT, including its fsync.
  duration_histogram commit;
};

} // namespace sluice
