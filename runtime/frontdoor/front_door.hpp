#pragma once

#include "runtime/broker.hpp"

#include <caf/expected.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sluice {

struct front_door_options {
  /// The broker was started by normal use: it wants to go when nobody has needed it for `linger`, and makes room for a
  /// newer version.
  bool transient = false;
  /// `ADDRESS:PORT` on loopback for HTTP; none if empty. Port 0 is any free one.
  std::string http;
  /// Called once, on the front door's thread, when the broker should be stopped, with the reason in words. Its owner
  /// then calls `stop` from another thread.
  std::function<void(std::string_view reason)> stop_wanted = [](std::string_view) {};
};

/// What makes a broker in this process the leader that other processes talk to: its socket, and HTTP where asked for. A
/// host that embeds a broker opens one to share it; when it closes the front door and shuts the broker down, the next
/// client elects another leader. Thread-safe, except that `stop` may not be called by `stop_wanted`.
class front_door {
public:
  /// Begins to serve. `leader` outlives the front door. `errc::io_error` or `not_authorized` when there can be no
  /// socket, `invalid_request` for an HTTP address that cannot be used.
  static caf::expected<std::unique_ptr<front_door>> open(broker& leader, front_door_options options);

  front_door(const front_door&) = delete;
  front_door& operator=(const front_door&) = delete;
  ~front_door();

  /// Takes no more clients, lets the requests under way finish (for at most ten seconds), and closes. Idempotent.
  void stop();

  /// `127.0.0.1:PORT`, or empty.
  const std::string& http_address() const noexcept;

private:
  struct parts;
  explicit front_door(std::unique_ptr<parts> x);

  std::unique_ptr<parts> parts_;
};

} // namespace sluice
