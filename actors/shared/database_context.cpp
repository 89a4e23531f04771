#include "actors/shared/database_context.hpp"

#include <algorithm>

namespace sluice {

void database_context::listen(const invalidation_listener& listener) {
  std::lock_guard guard{mutex_};
  auto address = listener.address();
  if (std::none_of(listeners_.begin(), listeners_.end(), [&](const auto& each) { return each->address() == address; }))
    listeners_.push_back(std::make_shared<listener_backlog>(std::move(address), name_));
  has_listeners_.store(true, std::memory_order_relaxed);
}

void database_context::unlisten(const invalidation_listener& listener) {
  std::lock_guard guard{mutex_};
  std::erase_if(listeners_, [address = listener.address()](const auto& each) {
    if (each->address() != address)
      return false;
    each->close();
    return true;
  });
  has_listeners_.store(!listeners_.empty(), std::memory_order_relaxed);
}

void database_context::forget_listeners() {
  std::lock_guard guard{mutex_};
  for (const auto& each : listeners_)
    each->close();
  listeners_.clear();
  has_listeners_.store(false, std::memory_order_relaxed);
}

void database_context::notify_listeners(const invalidation& change) {
  // Sent under the lock, so that a removed listener receives nothing more.
  std::lock_guard guard{mutex_};
  std::erase_if(listeners_, [&](const auto& each) { return !each->notify(change); });
  has_listeners_.store(!listeners_.empty(), std::memory_order_relaxed);
}

database_status database_context::status(const clock& time) const {
  database_status result;
  result.name = name_;
  result.last_commit_seq = versions_.last_commit();
  result.commits = counters_.commits;
  result.committed_requests = counters_.committed_requests;
  result.replayed_requests = counters_.replayed_requests;
  result.failed_requests = counters_.failed_requests;
  result.foreign_commits = counters_.foreign_commits;
  result.file_events = counters_.file_events;
  result.restarts = counters_.restarts;
  result.checkpoints = counters_.checkpoints;
  result.unmoved_wal_bytes = counters_.wal_bytes;
  result.retry = retries_.snapshot(time);
  std::lock_guard guard{mutex_};
  result.quarantined = quarantined_;
  if (route_.queue) {
    auto queued = route_.queue->queued();
    result.queued = queued.requests;
    result.queued_bytes = queued.bytes;
    result.overloaded = route_.queue->refused();
  }
  return result;
}

} // namespace sluice
