#pragma once

#include "runtime/launcher/quick_command.hpp"

#include <string>

namespace sluice::launcher {

/// The outcome of a call.
struct quick_answer {
  /// Whether a broker may have received a part of the request.
  bool sent = false;
  /// Whether no process listens at the store's own socket.
  bool absent = false;
  /// Whether the broker sent nothing for two seconds, although it was sent a `ping`.
  bool silent = false;
  /// The line of the answer, without its line feed; empty without one.
  std::string line{};
};

/// The request as a line of JSON-RPC. @param key the idempotency key of a write
std::string request_line(const quick_command& command, const std::string& key);

/// Sends the request to the broker at the store's own socket and waits for the answer as long as the broker answers
/// pings. No answer when no broker listens there, or when it belongs to another user or another store.
quick_answer call_broker(const quick_command& command, const std::string& key);

} // namespace sluice::launcher
