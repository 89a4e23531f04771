#pragma once

#include "actors/base/clock.hpp"
#include "actors/shared/flush_waker.hpp"
#include "messages/log.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace sluice {

struct log_limits {
  /// The maximum number of waiting entries; beyond it the oldest are dropped.
  uint64_t entries = 10'000;
  /// As soon as this many entries wait, they are written.
  uint64_t batch = 50;
  /// The longest time that an entry waits before it is written.
  std::chrono::milliseconds interval{2'000};
  /// The number of characters after which a message is truncated.
  uint64_t message = 10'000;
};

/// Entries on their way from the queue into the file.
struct log_batch {
  std::vector<log_entry> entries;
  /// Entries before these that were dropped or lost.
  uint64_t missing = 0;
};

/// The queue into which all threads log; the log actor empties it. Thread-safe. Outlives the broker, for threads that
/// still log then.
///
/// Every entry pushed ends up in exactly one of these states: written, dropped (the queue was full, or closed), lost
/// (the file could not be written), or waiting.
class log_queue {
public:
  log_queue(log_limits limits, std::shared_ptr<const clock> time);

  /// Adds an entry with the present time. Never fails, and waits only for other threads in this function. Escapes bytes
  /// that are not UTF-8 (`\xNN`), and truncates messages at their limit and names at 256 characters. The first entry in
  /// an empty queue schedules a flush after the interval, a full batch an immediate one; without entries there is no
  /// wake-up.
  void push(log_level level, std::string_view source, std::string_view message, std::string_view agent = {}) noexcept;

  /// Takes up to `most` of the oldest entries, which count as waiting until `written` or `put_back` is called.
  log_batch take(size_t most);

  /// The entries taken are in the file.
  void written(size_t count);

  /// The entries taken could not be written. They go back to the front; if there is no room for all, the oldest are
  /// lost.
  void put_back(log_batch batch);

  /// Makes the log actor flush. Logging threads wake it.
  flush_waker& waker() noexcept { return waker_; }

  /// Waiting entries, including those taken and not yet written.
  uint64_t size() const;

  /// Drops entries from now on. After it returns there is no further wake-up.
  void close();

  /// Counts the waiting entries of a closed queue as lost, because no actor writes them.
  void abandon();

  /// Fills in the counters of this queue: `queued`, `dropped`, `lost` and `cut`.
  void describe(log_status& to) const;

  const log_limits& limits() const noexcept { return limits_; }

private:
  enum class wake_kind : uint8_t { none, later, at_once };

  // Entries that the caller frees after it has released the lock.
  struct pushed {
    wake_kind wake = wake_kind::none;
    log_entry dropped;
  };

  pushed push(log_entry entry, bool cut);

  const log_limits limits_;
  const std::shared_ptr<const clock> time_;

  mutable std::mutex mutex_;
  std::deque<log_entry> waiting_;
  uint64_t under_way_ = 0;
  // Since the last `take`.
  uint64_t missing_ = 0;
  uint64_t dropped_ = 0;
  uint64_t lost_ = 0;
  uint64_t cut_ = 0;
  bool closed_ = false;
  flush_waker waker_;
};

} // namespace sluice
