#pragma once

#include "messages/error.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>

namespace sluice {

/// Holds the front door of a broker, which has at most one, and closes it before the broker ends. Broker and front door
/// share ownership of it, since either may be destroyed first. Thread-safe.
class front_door_guard {
public:
  /// Called by the front door: from now on it belongs to the broker. `close` closes it, and returns when that is done;
  /// the thread that shuts the broker down calls it at most once. `errc::unavailable` when the broker has been shut
  /// down, `errc::invalid_request` when it has another front door.
  caf::error enter(std::function<void()> close);

  /// Called by the front door when it has closed by itself: another one may enter.
  void leave();

  /// Called by the front door before it is destroyed: waits until a running call of `close` has returned.
  void await_close();

  /// Called by the broker: closes the front door, and admits no other one. Returns when it is closed.
  void close();

private:
  std::mutex mutex_;
  std::condition_variable done_;
  std::function<void()> close_door_;
  bool is_entered_ = false;
  bool is_closing_ = false;
  bool is_closed_ = false;
};

} // namespace sluice
