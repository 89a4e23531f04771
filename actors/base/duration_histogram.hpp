#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice {

/// Durations counted in buckets, each twice as wide as the one before. One thread at a time adds, which costs a few
/// nanoseconds and no lock; any thread looks.
class duration_histogram {
public:
  /// The last bucket holds what is beyond `upper_end` of the one before it.
  static constexpr size_t bucket_count = 25;

  /// What bucket `i` holds is no longer than this: 4 us for the first, 33.6 s for the last but one.
  static constexpr std::chrono::nanoseconds upper_end(size_t i) noexcept {
    return std::chrono::nanoseconds{int64_t{narrowest_ns} << i};
  }

  struct snapshot {
    std::array<uint64_t, bucket_count> counts{};
    std::chrono::nanoseconds sum{0};

    uint64_t count() const noexcept {
      uint64_t total = 0;
      for (auto x : counts)
        total += x;
      return total;
    }

    /// The upper end of the bucket that holds the quantile `q` (0 to 1); zero when nothing was counted.
    std::chrono::nanoseconds quantile(double q) const noexcept;
  };

  void add(std::chrono::nanoseconds x) noexcept {
    auto ns = static_cast<uint64_t>(std::max<int64_t>(x.count(), 0));
    auto bucket = static_cast<size_t>(std::bit_width((std::max<uint64_t>(ns, 1) - 1) / narrowest_ns));
    raise(counts_[std::min(bucket, bucket_count - 1)], 1);
    raise(sum_ns_, ns);
  }

  snapshot look() const noexcept {
    snapshot x;
    for (size_t i = 0; i < bucket_count; ++i)
      x.counts[i] = counts_[i].load(std::memory_order_relaxed);
    x.sum = std::chrono::nanoseconds{static_cast<int64_t>(sum_ns_.load(std::memory_order_relaxed))};
    return x;
  }

private:
  static constexpr uint64_t narrowest_ns = 4'000;

  // Nobody else writes, so it need not be one step.
  static void raise(std::atomic<uint64_t>& x, uint64_t by) noexcept {
    x.store(x.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  std::array<std::atomic<uint64_t>, bucket_count> counts_{};
  std::atomic<uint64_t> sum_ns_{0};
};

inline std::chrono::nanoseconds duration_histogram::snapshot::quantile(double q) const noexcept {
  auto all = static_cast<double>(count());
  if (all == 0)
    return std::chrono::nanoseconds{0};
  double seen = 0;
  size_t i = 0;
  for (; i + 1 < bucket_count; ++i)
    if (seen += static_cast<double>(counts[i]); seen >= q * all && seen > 0)
      break;
  return upper_end(i);
}

/// Where the time of a database's writes goes. Its writer adds.
struct write_timings {
  /// Of each request: waiting for its turn, without the wait for a foreign process's lock; being executed.
  duration_histogram queue;
  duration_histogram execution;
  /// Of each COMMIT, its fsync included.
  duration_histogram commit;
};

} // namespace sluice
