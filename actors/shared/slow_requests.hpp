#pragma once

#include "messages/statement.hpp"
#include "messages/status.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace sluice {

/// The durations of a request beyond which operators are warned.
struct slow_limits {
  std::chrono::milliseconds queue{15'000};
  std::chrono::milliseconds execution{5'000};
};

/// The slowest requests since the start, and warnings about requests that exceeded a limit. Thread-safe.
class slow_requests {
public:
  static constexpr size_t capacity = 32;
  /// Faster requests are never kept.
  static constexpr std::chrono::microseconds least{1'000};
  /// Called with a warning for people: agent, operation, database and the parts of the time, without SQL and data.
  /// Called by the threads that served the requests, one at a time, so it must return quickly.
  using listener = std::function<void(const std::string& warning, const std::string& agent)>;

  explicit slow_requests(slow_limits limits = {});

  /// Whether to pass a request with the duration `total` to `add`. For ordinary requests this check is the only cost.
  bool notable(std::chrono::nanoseconds total) const noexcept {
    return total >= std::chrono::microseconds{notable_from_.load(std::memory_order_relaxed)};
  }

  /// Whether `add` would keep a request that took `total_us`; if so, the caller should query its plan.
  bool would_keep(uint64_t total_us) const noexcept { return total_us >= keep_from_.load(std::memory_order_relaxed); }

  /// Keeps the request if it is one of the slowest, and warns if it exceeded a limit. Counts all warnings; reports one
  /// a second, with the number of the others.
  void add(slow_request request);

  /// Slowest first.
  std::vector<slow_request> slowest() const;

  /// Requests that exceeded a limit.
  uint64_t warnings() const noexcept { return warnings_.load(std::memory_order_relaxed); }

  /// Calls `f` with warnings from now on. Set it before requests are served.
  void on_warning(listener f);

private:
  bool passes_a_limit(const slow_request& request) const noexcept;
  void keep(slow_request request);
  void warn(const slow_request& request);

  const slow_limits limits_;
  std::atomic<int64_t> notable_from_;
  std::atomic<uint64_t> keep_from_{static_cast<uint64_t>(least.count())};
  std::atomic<uint64_t> warnings_{0};
  mutable std::mutex mutex_;
  std::vector<slow_request> kept_;
  std::mutex listener_mutex_;
  listener listener_;
  int64_t last_warning_us_ = 0;
  uint64_t unreported_ = 0;
};

/// The statements as a `slow_request` shows them: one after the other, without their values, truncated after 1,000
/// bytes at the end of a UTF-8 character.
std::string abbreviated_sql(std::span<const statement> statements);

} // namespace sluice
