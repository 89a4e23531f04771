#include "messages/ticket.hpp"

#include <caf/mailbox_element.hpp>
#include <caf/message.hpp>

namespace sluice {

void ticket::answer_to(caf::strong_actor_ptr to, caf::message_id id) {
  std::lock_guard guard{mutex_};
  to_ = std::move(to);
  id_ = id;
}

bool ticket::begin() noexcept {
  auto expected = state::queued;
  // A request runs again when another request of its group has made the group lose its transaction.
  return state_.compare_exchange_strong(expected, state::running) || expected == state::running;
}

bool ticket::finish() noexcept {
  auto now = state_.load();
  while (now != state::given_up && !state_.compare_exchange_weak(now, state::done)) {
  }
  return now != state::given_up;
}

bool ticket::give_up(failure error) {
  caf::strong_actor_ptr to;
  {
    std::lock_guard guard{mutex_};
    auto now = state_.load();
    if (!to_ || now == state::done || now == state::given_up)
      return false;
    error.request_id = info_.request_id;
    // `begin` may change the state meanwhile, but the state never returns to `queued`.
    error.outcome = outcome::not_committed;
    if (now != state::queued || !state_.compare_exchange_strong(now, state::given_up)) {
      error.outcome = outcome::unknown;
      if (now != state::running || !state_.compare_exchange_strong(now, state::given_up))
        return false;
    }
    reason_ = std::move(error);
    interrupted_.store(true, std::memory_order_release);
    to = std::move(to_);
    error = reason_;
  }
  to->enqueue(caf::make_mailbox_element(nullptr, id_, {}, make_error(std::move(error))), nullptr);
  return true;
}

bool ticket::interrupt(failure error) {
  std::lock_guard guard{mutex_};
  if (state_.load() != state::running)
    return false;
  if (!interrupted_.load()) {
    reason_ = std::move(error);
    interrupted_.store(true, std::memory_order_release);
  }
  return true;
}

bool ticket::answered() const noexcept {
  auto now = state_.load();
  return now == state::done || now == state::given_up;
}

failure ticket::reason() const {
  std::lock_guard guard{mutex_};
  auto error = reason_;
  // The actor reports that it has undone the request.
  error.outcome = outcome::not_committed;
  return error;
}

} // namespace sluice
