#pragma once

#include "runtime/os/descriptor.hpp"

#include <string>

namespace sluice {

struct unix_connection {
  /// None when nobody listens there, or with an `error`.
  descriptor socket;
  /// `errno`; 0 when nobody listens there, too: no such file, an abandoned one, a full queue, or a path that is too
  /// long for a socket.
  int error = 0;
  /// Whether the process that listens is this user's.
  bool is_own = false;
};

/// Connects to the Unix socket at `path`. The socket does not block.
unix_connection connect_unix_socket(const std::string& path);

} // namespace sluice
