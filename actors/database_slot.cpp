#include "actors/database_slot.hpp"

namespace sluice {

database_status database_slot::status(const clock& time) const {
  database_status x;
  x.name = name_;
  x.last_commit_seq = versions_.last_commit();
  x.commits = counters_.commits;
  x.committed_requests = counters_.committed_requests;
  x.replayed_requests = counters_.replayed_requests;
  x.failed_requests = counters_.failed_requests;
  x.foreign_commits = counters_.foreign_commits;
  x.restarts = counters_.restarts;
  x.wal_bytes = counters_.wal_bytes;
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
