#pragma once

#include "actors/base/clock.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

namespace sluice {

/// Makes an actor empty a queue that other threads fill: at once or after an interval, with one message for many
/// entries, so that a thread that adds an entry seldom sends one. Thread-safe.
class flush_waker {
public:
  /// Makes the actor flush after the delay.
  using function = std::function<void(std::chrono::milliseconds delay)>;

  flush_waker(std::chrono::milliseconds interval, std::shared_ptr<const clock> time)
    : interval_(interval), time_(std::move(time)) {}

  /// Sets the function to call, by one thread at a time. Set it before the first wake-up.
  void set(function wake);

  /// Schedules a wake-up after the interval, unless one is scheduled.
  void wake_later() noexcept;

  /// Wakes the actor at once, unless a wake-up is under way.
  void wake_now() noexcept;

  /// The actor reads the queue now: the next `wake_now` is for later entries.
  void looked() noexcept;

  /// Forgets scheduled wake-ups, because their actor has ended.
  void forget() noexcept;

  /// After it returns there is no further wake-up.
  void close();

private:
  void call(std::chrono::milliseconds delay) noexcept;

  const std::chrono::milliseconds interval_;
  const std::shared_ptr<const clock> time_;
  std::mutex mutex_;
  bool is_under_way_ = false;
  // The time of the scheduled wake-up.
  clock::steady comes_at_{};

  // A separate mutex, so that a slow function delays only threads that wake.
  std::mutex function_mutex_;
  function wake_;
};

} // namespace sluice
