#pragma once

#include "runtime/os/descriptor.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace sluice {

struct unix_connection {
  /// Empty when no process listens there, or with an `error`.
  descriptor socket;
  /// `errno`; 0 also when no process listens there: no such file, an abandoned one, a full queue, or a path that is too
  /// long for a socket.
  int error = 0;
  /// Whether the listening process belongs to this user.
  bool is_own = false;
};

/// Connects to the Unix socket at `path`. The socket does not block.
unix_connection connect_unix_socket(const std::string& path);

/// Waits for `events` of `poll`, at most until `limit`; false when none has occurred by then, or the descriptor is
/// invalid.
bool await_socket(int socket, short events, std::chrono::steady_clock::time_point limit);

/// Sends the whole text before `limit`. False when the connection has ended, or the time is over.
bool send_to_socket(int socket, std::string_view text, std::chrono::steady_clock::time_point limit);

} // namespace sluice
