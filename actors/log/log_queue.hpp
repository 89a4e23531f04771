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
  /// Entries that may wait; beyond that the oldest are dropped.
  uint64_t entries = 10'000;
  /// Entries that are written at once when as many wait.
  uint64_t batch = 50;
  /// How long an entry waits at most before it is written.
  std::chrono::milliseconds interval{2'000};
  /// Characters after which a message is cut.
  uint64_t message = 10'000;
};

/// Entries on their way from the queue into the file.
struct log_batch {
  std::vector<log_entry> entries;
  /// Entries that would have come before these, and were dropped or lost.
  uint64_t missing = 0;
};

/// The queue into which all threads log, and which the log actor empties. Thread-safe. Outlives the broker, for threads
/// that still log then.
///
/// Every entry pushed ends up in exactly one of these: written, dropped (the queue was full, or closed), lost (the file
/// could not be written), or it waits.
class log_queue {
public:
  log_queue(log_limits limits, std::shared_ptr<const clock> time);

  /// Adds an entry with the present time. Never fails, and waits only for other threads in this function. Bytes that
  /// are not UTF-8 are escaped (`\xNN`), messages are cut at their limit, names at 256 characters. The first entry into
  /// an empty queue has it flushed after the interval, a full batch at once; without entries there is no wake-up.
  void push(log_level level, std::string_view source, std::string_view message, std::string_view agent = {}) noexcept;

  /// Up to `most` of the oldest, which count as waiting until `written` or `put_back` is called.
  log_batch take(size_t most);

  /// The entries taken are in the file.
  void written(size_t count);

  /// The entries taken could not be written. They come first again; what finds no room, the oldest, is lost.
  void put_back(log_batch batch);

  /// Has the log actor flush. Logging threads wake it.
  flush_waker& waker() noexcept { return waker_; }

  /// Entries that wait, those under way included.
  uint64_t size() const;

  /// From now on entries are dropped. Once this returns, there is no wake-up any more.
  void close();

  /// Waiting entries of a closed queue are lost, because no actor writes them.
  void abandon();

  /// Fills in what is counted here: `queued`, `dropped`, `lost` and `cut`.
  void describe(log_status& to) const;

  const log_limits& limits() const noexcept { return limits_; }

private:
  enum class wake_kind : uint8_t { none, later, at_once };

  // The entries that the caller has to free, outside of the lock.
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
