#pragma once

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <string>

namespace sluice {

/// What asking again for a foreign process's lock has come to, since the broker started.
struct retry_status {
  /// Times that the lock was refused.
  uint64_t lock_errors = 0;
  /// Times that it was asked for again after a pause.
  uint64_t retries = 0;
  /// Requests that got it only after a refusal, and requests that gave up.
  uint64_t successes_after_retry = 0;
  uint64_t failures = 0;
  /// Share of attempts in the last five minutes that were refused, 0 to 1.
  double error_rate_5m = 0;
  uint64_t total_wait_ms = 0;
  uint64_t max_wait_ms = 0;
  uint64_t mean_wait_ms = 0;
  /// Microseconds since the Unix epoch; 0 when there was none.
  int64_t last_lock_error_us = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, retry_status& x) {
  return f(caf::meta::type_name("retry_status"), x.lock_errors, x.retries, x.successes_after_retry, x.failures,
           x.error_rate_5m, x.total_wait_ms, x.max_wait_ms, x.mean_wait_ms, x.last_lock_error_us);
}

/// How one database stands, and what it has done since the broker started.
struct database_status {
  std::string name;
  bool quarantined = false;
  uint64_t queued = 0;
  uint64_t queued_bytes = 0;
  /// Requests refused because the queue was full.
  uint64_t overloaded = 0;
  uint64_t last_commit_seq = 0;
  uint64_t commits = 0;
  uint64_t committed_requests = 0;
  uint64_t replayed_requests = 0;
  uint64_t failed_requests = 0;
  uint64_t foreign_commits = 0;
  uint64_t restarts = 0;
  uint64_t wal_bytes = 0;
  retry_status retry;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, database_status& x) {
  return f(caf::meta::type_name("database_status"), x.name, x.quarantined, x.queued, x.queued_bytes, x.overloaded,
           x.last_commit_seq, x.commits, x.committed_requests, x.replayed_requests, x.failed_requests,
           x.foreign_commits, x.restarts, x.wal_bytes, x.retry);
}

/// How the read cache stands, and what it has done since the broker started.
struct cache_status {
  bool enabled = true;
  uint64_t entries = 0;
  uint64_t bytes = 0;
  uint64_t hits = 0;
  /// Reads that ran a query, and reads that shared another's.
  uint64_t misses = 0;
  uint64_t joined = 0;
  uint64_t invalidated = 0;
  uint64_t evicted = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, cache_status& x) {
  return f(caf::meta::type_name("cache_status"), x.enabled, x.entries, x.bytes, x.hits, x.misses, x.joined,
           x.invalidated, x.evicted);
}

} // namespace sluice
