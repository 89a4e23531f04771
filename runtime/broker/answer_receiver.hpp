#pragma once

#include "messages/error.hpp"

#include <caf/all.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace sluice {

/// The sender of requests for code that is not an actor: it handles each answer in the thread of the actor that sends
/// it. It therefore needs no thread of an actor system, leaves no reference to the system in the thread that creates it
/// (as CAF's `scoped_actor` does), and may outlive the system when no answer is outstanding.
class answer_receiver : public caf::monitorable_actor {
public:
  explicit answer_receiver(caf::actor_config& cfg) : caf::monitorable_actor(cfg) {}

  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit*) final {
    if (message && message->mid.is_response())
      take(message->mid, message->move_content_to_message());
  }

private:
  /// Called by any thread, possibly by several at once.
  virtual void take(caf::message_id id, caf::message answer) = 0;
};

/// Sends `receiver` a request from `self`; the answer has the id that is returned. `number` is not 0, and each is used
/// once per `self`.
template <class Handle, class... Content>
caf::message_id ask_for(caf::strong_actor_ptr self, const Handle& receiver, uint64_t number, Content&&... content) {
  using request_types = caf::detail::type_list<std::decay_t<Content>...>;
  static_assert(caf::response_type_unbox<caf::signatures_of_t<Handle>, request_types>::valid, "no such request");
  auto id = caf::message_id{number}.with_normal_priority();
  caf::actor_cast<caf::strong_actor_ptr>(receiver)->enqueue(
    caf::make_mailbox_element(std::move(self), id, caf::no_stages, std::forward<Content>(content)...), nullptr);
  return id.response_id();
}

/// The content of an answer. `caf::sec::unexpected_response` when it is of another type.
template <class Result> caf::expected<Result> read_answer(caf::message& answer) {
  if (answer.match_elements<caf::error>())
    return std::move(answer.get_mutable_as<caf::error>(0));
  if constexpr (std::is_empty_v<Result>)
    return Result{};
  else if (answer.match_elements<Result>())
    return std::move(answer.get_mutable_as<Result>(0));
  else
    return caf::make_error(caf::sec::unexpected_response);
}

/// For a thread that waits for one answer after the other.
class blocking_receiver final : public answer_receiver {
public:
  using answer_receiver::answer_receiver;

  /// The number of the next request. From now on only its answer is accepted.
  uint64_t next() {
    std::lock_guard guard{mutex_};
    answer_.reset();
    expected_ = caf::message_id{++number_}.with_normal_priority().response_id();
    return number_;
  }

  bool has_answer() const {
    std::lock_guard guard{mutex_};
    return answer_.has_value();
  }

  /// The answer; nothing if it has not arrived after `timeout`.
  std::optional<caf::message> wait(std::optional<std::chrono::milliseconds> timeout) {
    std::unique_lock lock{mutex_};
    auto is_there = [this] { return answer_.has_value(); };
    if (!timeout)
      arrived_.wait(lock, is_there);
    else if (!arrived_.wait_for(lock, *timeout, is_there))
      return std::nullopt;
    return std::exchange(answer_, std::nullopt);
  }

private:
  void take(caf::message_id id, caf::message answer) override {
    std::lock_guard guard{mutex_};
    if (id != expected_ || answer_)
      return;
    answer_ = std::move(answer);
    // Called under the lock: the waiting thread may hold the last reference to this.
    arrived_.notify_one();
  }

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  uint64_t number_ = 0;
  caf::message_id expected_;
  std::optional<caf::message> answer_;
};

/// For a thread that does not wait: fulfils a promise, with `errc::unavailable` when no actor can answer any more.
template <class Result> class promised_answer final : public answer_receiver {
public:
  promised_answer(caf::actor_config& cfg, std::promise<caf::expected<Result>> promise)
    : answer_receiver(cfg), promise_(std::move(promise)) {}

  ~promised_answer() override {
    fulfil(make_error(errc::unavailable, "the broker ended before it could answer", {.outcome = outcome::unknown}));
  }

private:
  void take(caf::message_id, caf::message answer) override { fulfil(read_answer<Result>(answer)); }

  void fulfil(caf::expected<Result> result) {
    if (!is_fulfilled_.exchange(true))
      promise_.set_value(std::move(result));
  }

  std::promise<caf::expected<Result>> promise_;
  std::atomic<bool> is_fulfilled_{false};
};

/// Creates a receiver of the type `Receiver`; its owner and the actors with requests from it keep it alive.
template <class Receiver, class... Parts>
caf::strong_actor_ptr make_receiver(caf::actor_system& system, Parts&&... parts) {
  caf::actor_config cfg;
  return caf::make_actor<Receiver, caf::strong_actor_ptr>(system.next_actor_id(), system.node(), &system, cfg,
                                                          std::forward<Parts>(parts)...);
}

} // namespace sluice
