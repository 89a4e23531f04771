#include "actors/shared/listener_backlog.hpp"

#include "messages/watched_message.hpp"

#include <utility>

namespace sluice {

bool listener_backlog::tell(const invalidation& change) {
  auto to = caf::actor_cast<invalidation_listener>(to_);
  if (!to)
    return false;
  std::lock_guard guard{mutex_};
  if (is_behind_) {
    missed_ = true;
  } else if (waiting_ < most_waiting) {
    send(to, change, false);
  } else {
    is_behind_ = true;
    send(to, {db_, 0, {}, true}, true);
  }
  return true;
}

void listener_backlog::leave() {
  std::lock_guard guard{mutex_};
  left_ = true;
}

void listener_backlog::send(const invalidation_listener& to, invalidation change, bool is_summary) {
  ++waiting_;
  watched_message<invalidation>::send(to, std::move(change),
                                      [self = shared_from_this(), is_summary] { self->handled(is_summary); });
}

void listener_backlog::handled(bool stood_for_all) {
  // Before the lock: if this was the last holder of the listener, the listener ends after the lock is released.
  invalidation_listener to;
  if (stood_for_all)
    to = caf::actor_cast<invalidation_listener>(to_);
  std::lock_guard guard{mutex_};
  --waiting_;
  if (!stood_for_all)
    return;
  is_behind_ = std::exchange(missed_, false) && to && !left_;
  if (is_behind_)
    send(to, {db_, 0, {}, true}, true);
}

} // namespace sluice
