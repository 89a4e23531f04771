#pragma once

#include "messages/write.hpp"
#include "runtime/server/rpc/handler.hpp"

#include <functional>
#include <memory>
#include <string>

namespace sluice::http {

/// Whether the broker can do its work; `reason` is for the operator and empty when all is well.
struct health {
  bool ready = false;
  std::string reason;
};

/// What the HTTP server offers to the world; called on its thread, which none of it may block.
class backend {
public:
  virtual ~backend() = default;

  /// The methods of one request's sender.
  virtual std::unique_ptr<rpc::handler> open_handler() = 0;

  /// Told of a request that was refused for its size after it had shown the token.
  virtual void note_refusal([[maybe_unused]] errc why) {}

  /// Says whether a write could be done now; `done` is called once, on the server's thread.
  virtual void check_health(std::function<void(health)> done) = 0;

  /// Gives all metrics in Prometheus' text format; `done` is called once, on the server's thread.
  virtual void metrics(std::function<void(std::string)> done) = 0;
};

} // namespace sluice::http
