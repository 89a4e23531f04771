#pragma once

#include "runtime/launcher/quick_command.hpp"

#include <string>

namespace sluice::launcher {

/// What became of a call.
struct quick_answer {
  /// Whether something of the request may have reached a broker.
  bool sent = false;
  /// Whether the broker sent nothing for two seconds, though it was asked whether it lives.
  bool silent = false;
  /// The line of the answer, without its line feed; empty without one.
  std::string line{};
};

/// The request as a line of JSON-RPC. @param key the idempotency key of a write
std::string request_line(const quick_command& command, const std::string& key);

/// Sends the request to the broker at the store's own socket and awaits the answer, as long as the broker shows that it
/// is alive. No answer when no broker is there, or it is another user's or another store's.
quick_answer call_broker(const quick_command& command, const std::string& key);

} // namespace sluice::launcher
