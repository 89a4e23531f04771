#pragma once

#include "messages/error.hpp"
#include "messages/ticket.hpp"

#include <caf/expected.hpp>
#include <caf/typed_response_promise.hpp>

#include <functional>
#include <memory>
#include <utility>

namespace sluice {

/// The promise of a `Result` to its caller. It answers exactly once: if it is destroyed unanswered because its actor
/// failed, it answers `unavailable`, so that no caller waits for ever. A request that its ticket marks as given up was
/// answered elsewhere, and is not answered again. Move-only; used by its actor's thread.
template <class Result> class reply {
public:
  using promise = caf::typed_response_promise<Result>;

  reply() = default;
  /// @param ticket set if other threads may answer instead of this actor; else null
  explicit reply(promise to, std::shared_ptr<sluice::ticket> ticket = nullptr)
    : to_(std::move(to)), ticket_(std::move(ticket)) {}

  reply(reply&& other) noexcept
    : to_(std::exchange(other.to_, promise{})), ticket_(std::move(other.ticket_)),
      on_answer_(std::move(other.on_answer_)), if_lost_(other.if_lost_) {}
  reply& operator=(reply&& other) noexcept {
    if (this != &other) {
      abandon();
      to_ = std::exchange(other.to_, promise{});
      ticket_ = std::move(other.ticket_);
      on_answer_ = std::move(other.on_answer_);
      if_lost_ = other.if_lost_;
    }
    return *this;
  }

  ~reply() { abandon(); }

  /// Calls `f` just before the answer is given, with the error or null; replaces the function set before. The actor's
  /// state may be gone when it is called, so it must own everything that it uses.
  void on_answer(std::function<void(const caf::error*)> f) { on_answer_ = std::move(f); }

  void deliver(Result result) {
    notify(nullptr);
    give(std::move(result));
  }
  void deliver(caf::error error) {
    notify(&error);
    give(std::move(error));
  }
  void deliver(caf::expected<Result> answer) {
    answer ? deliver(std::move(*answer)) : deliver(std::move(answer.error()));
  }

  /// From now on the outcome of the request is unknown if this actor fails.
  void mark_unknown() noexcept { if_lost_ = outcome::unknown; }

private:
  template <class T> void give(T answer) {
    auto to = std::exchange(to_, promise{});
    if (!ticket_ || ticket_->finish())
      to.deliver(std::move(answer));
  }

  void notify(const caf::error* error) {
    if (auto f = std::exchange(on_answer_, nullptr))
      f(error);
  }

  void abandon() noexcept {
    if (!to_.pending())
      return;
    deliver(make_error(errc::unavailable, "the actor that served this request failed; it is being restarted",
                       {.outcome = if_lost_, .retry_after_ms = 100}));
  }

  promise to_;
  std::shared_ptr<sluice::ticket> ticket_;
  std::function<void(const caf::error*)> on_answer_;
  outcome if_lost_ = outcome::not_committed;
};

} // namespace sluice
