#include "actors/shared/database_context.hpp"

#include <algorithm>

namespace sluice {

void database_context::listen(const invalidation_listener& x) {
  std::lock_guard guard{mutex_};
  auto address = x.address();
  if (std::none_of(listeners_.begin(), listeners_.end(), [&](const auto& each) { return each->address() == address; }))
    listeners_.push_back(std::make_shared<listener_backlog>(std::move(address), name_));
  listened_to_.store(true, std::memory_order_relaxed);
}

void database_context::unlisten(const invalidation_listener& x) {
  std::lock_guard guard{mutex_};
  std::erase_if(listeners_, [address = x.address()](const auto& each) {
    if (each->address() != address)
      return false;
    each->leave();
    return true;
  });
  listened_to_.store(!listeners_.empty(), std::memory_order_relaxed);
}

void database_context::forget_listeners() {
  std::lock_guard guard{mutex_};
  for (const auto& each : listeners_)
    each->leave();
  listeners_.clear();
  listened_to_.store(false, std::memory_order_relaxed);
}

void database_context::tell_listeners(const invalidation& x) {
  // Sent under the lock, so that a removed listener is sent nothing more.
  std::lock_guard guard{mutex_};
  std::erase_if(listeners_, [&](const auto& each) { return !each->tell(x); });
  listened_to_.store(!listeners_.empty(), std::memory_order_relaxed);
}

database_status database_context::status(const clock& time) const {
  database_status x;
  x.name = name_;
  x.last_commit_seq = versions_.last_commit();
  x.commits = counters_.commits;
  x.committed_requests = counters_.committed_requests;
  x.replayed_requests = counters_.replayed_requests;
  x.failed_requests = counters_.failed_requests;
  x.foreign_commits = counters_.foreign_commits;
  x.file_events = counters_.file_events;
  x.restarts = counters_.restarts;
  x.unmoved_wal_bytes = counters_.wal_bytes;
  x.retry = retries_.snapshot(time);
  std::lock_guard guard{mutex_};
  x.quarantined = quarantined_;
  if (route_.queue) {
    auto queued = route_.queue->queued();
    x.queued = queued.requests;
    x.queued_bytes = queued.bytes;
    x.overloaded = route_.queue->refused();
  }
  return x;
}

} // namespace sluice
