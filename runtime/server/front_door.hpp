#pragma once

#include "runtime/broker/broker.hpp"

#include <caf/expected.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace sluice {

struct front_door_options {
  /// Whether the broker is transient: it ends when it has been idle for `linger`, and gives way to a newer version.
  bool transient = false;
  /// `ADDRESS:PORT` on loopback for HTTP; no HTTP if empty. Port 0 selects a free one.
  std::string http{};
  /// Whether every method that changes something is refused.
  bool read_only = false;
  /// Called once, in a thread of its own, when the broker should be stopped, with the reason in words. It may stop and
  /// destroy the front door and the broker; if another thread destroys the front door, the destructor waits for it.
  std::function<void(std::string_view reason)> stop_wanted = [](std::string_view) {};
};

/// Opens the broker of this process to other processes: its socket, and HTTP if configured. A host that embeds a broker
/// opens one to share it; when the host closes the front door and shuts the broker down, the next client elects another
/// leader. Shutting the broker down, or destroying it, stops its front door first; the object may be destroyed later.
/// Thread-safe.
class front_door {
public:
  /// Begins to serve. Do not move `leader` while the front door is open. `errc::unavailable` when the broker has been
  /// shut down; `invalid_request` when it has a front door already, and for an invalid HTTP address; `io_error` or
  /// `not_authorized` when the socket cannot be created, `busy` when another broker listens at its path.
  static caf::expected<std::unique_ptr<front_door>> open(broker& leader, front_door_options options);

  front_door(const front_door&) = delete;
  front_door& operator=(const front_door&) = delete;
  ~front_door();

  /// Accepts no more clients, lets the requests under way finish (for at most ten seconds), and closes. Idempotent.
  void stop();

  /// `127.0.0.1:PORT`, or empty.
  const std::string& http_address() const noexcept { return http_address_; }

private:
  struct parts;
  struct stop_notifier;
  explicit front_door(std::shared_ptr<front_door_guard> keeper);

  caf::error start(broker& leader, front_door_options options);
  caf::error serve(broker& leader, front_door_options options);
  void leave();

  const std::shared_ptr<front_door_guard> keeper_;
  bool is_entered_ = false;
  std::mutex mutex_;
  std::unique_ptr<stop_notifier> stop_notifier_;
  std::unique_ptr<parts> parts_;
  std::atomic<std::thread::id> loop_thread_{};
  std::string http_address_;
};

} // namespace sluice
