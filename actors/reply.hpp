#pragma once

#include "messages/error.hpp"

#include <caf/expected.hpp>
#include <caf/typed_response_promise.hpp>

#include <utility>

namespace sluice {

/// The way back to whoever waits for a `Result`. It answers exactly once: should it be destroyed unanswered, because
/// its actor failed, it answers `unavailable`, so that nobody waits for ever. Move-only; used by its actor's thread.
template <class Result> class reply {
public:
  using promise = caf::typed_response_promise<Result>;

  reply() = default;
  explicit reply(promise to) : to_(std::move(to)) {}

  reply(reply&& other) noexcept : to_(std::exchange(other.to_, promise{})), if_lost_(other.if_lost_) {}
  reply& operator=(reply&& other) noexcept {
    if (this != &other) {
      abandon();
      to_ = std::exchange(other.to_, promise{});
      if_lost_ = other.if_lost_;
    }
    return *this;
  }

  ~reply() { abandon(); }

  void deliver(Result x) { std::exchange(to_, promise{}).deliver(std::move(x)); }
  void deliver(caf::error x) { std::exchange(to_, promise{}).deliver(std::move(x)); }
  void deliver(caf::expected<Result> x) { x ? deliver(std::move(*x)) : deliver(std::move(x.error())); }

  /// From now on, if this actor fails, nobody here knows what became of the request.
  void now_in_doubt() noexcept { if_lost_ = outcome::unknown; }

private:
  void abandon() noexcept {
    if (!to_.pending())
      return;
    failure x;
    x.code = errc::unavailable;
    x.outcome = if_lost_;
    x.message = "the actor that served this request failed; it is being restarted";
    x.retry_after_ms = 100;
    deliver(make_error(std::move(x)));
  }

  promise to_;
  outcome if_lost_ = outcome::not_committed;
};

} // namespace sluice
