#pragma once

#include "messages/write.hpp"
#include "runtime/server/rpc/handler.hpp"

#include <functional>
#include <memory>
#include <string>

namespace sluice::http {

/// Whether the broker works; `reason` is for the operator and empty when it does.
struct health {
  bool ready = false;
  std::string reason;
};

/// The interface through which the HTTP server reaches the broker. Called on the thread of the server, which must not
/// be blocked.
class backend {
public:
  virtual ~backend() = default;

  /// Makes the handler for the sender of one request. @param token the name of the agent's token with which it came;
  /// empty for the store's
  virtual std::unique_ptr<rpc::handler> open_handler(const std::string& token) = 0;

  /// Called when a request with a valid token was refused for its size.
  virtual void note_refusal([[maybe_unused]] errc code) {}

  /// Checks whether a write is possible now; `done` is called once, on the server's thread.
  virtual void check_health(std::function<void(health)> done) = 0;

  /// Passes all metrics in Prometheus' text format; `done` is called once, on the server's thread.
  virtual void metrics(std::function<void(std::string)> done) = 0;
};

} // namespace sluice::http
