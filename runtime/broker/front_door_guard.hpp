#pragma once

#include "messages/error.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>

namespace sluice {

/// Holds the front door of a broker, of which there is one at most, and closes it before the broker ends. Broker and
/// front door share ownership of it, since either may be destroyed first. Thread-safe.
class front_door_guard {
public:
  /// For the door: from now on it is the broker's. `close` closes it, and returns when that is done; it is called at
  /// most once, by the thread that shuts the broker down. `errc::unavailable` when the broker has been shut down,
  /// `errc::invalid_request` when it has another door.
  caf::error enter(std::function<void()> close);

  /// For the door, when it has been closed by itself: another one may come.
  void leave();

  /// For the door, before it is destroyed: waits until `close` has returned if that is being called.
  void await_close();

  /// For the broker: has the door closed, and lets no other one in. Returns when it is closed.
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
