#include "actors/shared/listener_backlog.hpp"

#include "messages/watched_message.hpp"

#include <utility>

namespace sluice {

bool listener_backlog::notify(const invalidation& change) {
  auto to = caf::actor_cast<invalidation_listener>(to_);
  if (!to)
    return false;
  std::lock_guard guard{mutex_};
  if (is_behind_) {
    has_missed_change_ = true;
  } else if (waiting_ < max_waiting) {
    send(to, change, false);
  } else {
    is_behind_ = true;
    send(to, {db_, 0, {}, true}, true);
  }
  return true;
}

void listener_backlog::close() {
  std::lock_guard guard{mutex_};
  is_closed_ = true;
}

void listener_backlog::send(const invalidation_listener& to, invalidation change, bool is_summary) {
  ++waiting_;
  watched_message<invalidation>::send(to, std::move(change),
                                      [self = shared_from_this(), is_summary] { self->handled(is_summary); });
}

void listener_backlog::handled(bool is_summary) {
  // Fetched before the lock: if this is the last reference to the listener, the listener ends after the lock is
  // released.
  invalidation_listener to;
  if (is_summary)
    to = caf::actor_cast<invalidation_listener>(to_);
  std::lock_guard guard{mutex_};
  --waiting_;
  if (!is_summary)
    return;
  is_behind_ = std::exchange(has_missed_change_, false) && to && !is_closed_;
  if (is_behind_)
    send(to, {db_, 0, {}, true}, true);
}

} // namespace sluice
