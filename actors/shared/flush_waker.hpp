#pragma once

#include "actors/base/clock.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

namespace sluice {

/// Has an actor empty a queue that other threads fill: at once, or after an interval, but never twice for the same. So
/// a thread that adds something seldom sends a message. Thread-safe.
class flush_waker {
public:
  /// Has the actor flush after so long.
  using function = std::function<void(std::chrono::milliseconds delay)>;

  flush_waker(std::chrono::milliseconds interval, std::shared_ptr<const clock> time)
    : interval_(interval), time_(std::move(time)) {}

  /// The function to call, by one thread at a time. Set before the first wake-up.
  void set(function wake);

  /// A wake-up after the interval, unless one is scheduled.
  void wake_later() noexcept;

  /// A wake-up at once, unless one is under way.
  void wake_now() noexcept;

  /// The actor looks at the queue now: the next `wake_now` is for what comes later.
  void looked() noexcept;

  /// Forgets what has been scheduled, because its actor has ended.
  void forget() noexcept;

  /// Once this returns, there is no wake-up any more.
  void close();

private:
  void call(std::chrono::milliseconds delay) noexcept;

  const std::chrono::milliseconds interval_;
  const std::shared_ptr<const clock> time_;
  std::mutex mutex_;
  bool is_under_way_ = false;
  // The time of the scheduled wake-up.
  clock::steady comes_at_{};

  // Taken without the other one, so that a slow function holds up only those who wake.
  std::mutex function_mutex_;
  function wake_;
};

} // namespace sluice
