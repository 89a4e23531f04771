#pragma once

#include "messages/peer_identity.hpp"

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <string>
#include <vector>

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
  /// How often another program replaced, overwrote or removed files of the database.
  uint64_t file_events = 0;
  uint64_t restarts = 0;
  uint64_t wal_bytes = 0;
  retry_status retry;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, database_status& x) {
  return f(caf::meta::type_name("database_status"), x.name, x.quarantined, x.queued, x.queued_bytes, x.overloaded,
           x.last_commit_seq, x.commits, x.committed_requests, x.replayed_requests, x.failed_requests,
           x.foreign_commits, x.file_events, x.restarts, x.wal_bytes, x.retry);
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

/// How the audit stands, and what it has done since the broker started.
struct audit_status {
  /// Records taken that are not on disk yet.
  uint64_t pending = 0;
  uint64_t written = 0;
  /// Records rebuilt from ledgers, and records lost while the file could not be written.
  uint64_t recovered = 0;
  uint64_t lost = 0;
  /// Files that were damaged or taken away, and replaced by a new one.
  uint64_t files_set_aside = 0;
  /// The last attempt to write failed; `last_error` says why.
  bool failing = false;
  std::string last_error;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, audit_status& x) {
  return f(caf::meta::type_name("audit_status"), x.pending, x.written, x.recovered, x.lost, x.files_set_aside,
           x.failing, x.last_error);
}

/// One table that the write-behind buffer knows.
struct buffered_table_status {
  std::string db;
  std::string table;
  uint64_t pending = 0;
  int64_t priority = 0;
  uint64_t interval_ms = 0;
  /// How long the oldest pending operation has waited.
  uint64_t oldest_ms = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, buffered_table_status& x) {
  return f(caf::meta::type_name("buffered_table_status"), x.db, x.table, x.pending, x.priority, x.interval_ms,
           x.oldest_ms);
}

/// How the write-behind buffer stands, and what it has done since the broker started.
struct buffer_status {
  uint64_t pending = 0;
  uint64_t max_pending = 0;
  bool journal = false;
  /// Operations taken, of these merged into one that was pending, and refused because the buffer was full.
  uint64_t puts = 0;
  uint64_t merged = 0;
  uint64_t overloaded = 0;
  /// Requests to writers that committed, rows in them, and requests that failed and were kept.
  uint64_t flushes = 0;
  uint64_t flushed_rows = 0;
  uint64_t failed_flushes = 0;
  /// Rows set aside in all, and those that are so now.
  uint64_t rejected = 0;
  uint64_t set_aside = 0;
  /// Microseconds since the Unix epoch; 0 when there was none.
  int64_t last_flush_us = 0;
  uint64_t last_flush_ms = 0;
  std::string last_error;
  std::vector<buffered_table_status> tables;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, buffer_status& x) {
  return f(caf::meta::type_name("buffer_status"), x.pending, x.max_pending, x.journal, x.puts, x.merged, x.overloaded,
           x.flushes, x.flushed_rows, x.failed_flushes, x.rejected, x.set_aside, x.last_flush_us, x.last_flush_ms,
           x.last_error, x.tables);
}

/// How the log database stands, and what it has done since the broker started.
struct log_status {
  uint64_t queued = 0;
  uint64_t written = 0;
  /// Entries lost because the queue was full, and because the file could not be written.
  uint64_t dropped = 0;
  uint64_t lost = 0;
  /// Messages cut at the configured length.
  uint64_t cut = 0;
  /// Entries removed because of their age.
  uint64_t pruned = 0;
  /// Damaged log files that were set aside.
  uint64_t files_set_aside = 0;
  bool failing = false;
  std::string last_error;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, log_status& x) {
  return f(caf::meta::type_name("log_status"), x.queued, x.written, x.dropped, x.lost, x.cut, x.pruned,
           x.files_set_aside, x.failing, x.last_error);
}

/// A request that is under way.
struct running_request {
  std::string db;
  /// "write", "read" or "cursor".
  std::string operation;
  /// As the client gave it, or the broker made it up; empty for a write that has none yet.
  std::string request_id;
  std::string agent;
  peer_identity peer;
  /// The statements, cut after 1,000 bytes.
  std::string sql;
  /// Whether it is executed; it waits otherwise: a cursor, for its client to ask for the next page.
  bool is_running = false;
  /// How long ago it was asked for, in milliseconds.
  uint64_t since_ms = 0;
  /// Of a cursor: the rows that were answered so far.
  uint64_t rows = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, running_request& x) {
  return f(caf::meta::type_name("running_request"), x.db, x.operation, x.request_id, x.agent, x.peer, x.sql,
           x.is_running, x.since_ms, x.rows);
}

/// Where the time of one of the slowest requests went. Parts that do not apply are 0.
struct slow_request {
  /// When it was answered, in microseconds since the Unix epoch.
  int64_t ts_us = 0;
  std::string request_id;
  std::string agent;
  std::string db;
  /// "write" or "read".
  std::string operation;
  /// The statements, cut after 1,000 bytes.
  std::string sql;
  /// What EXPLAIN QUERY PLAN says, a line a step; empty when it could not be asked.
  std::string plan;
  /// "ok", or the word of the error.
  std::string status;
  uint64_t total_us = 0;
  /// Waiting for its turn; for the lock of a foreign process; being executed; waiting for the COMMIT and its fsync.
  uint64_t queue_us = 0;
  uint64_t lock_us = 0;
  uint64_t execute_us = 0;
  uint64_t commit_us = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, slow_request& x) {
  return f(caf::meta::type_name("slow_request"), x.ts_us, x.request_id, x.agent, x.db, x.operation, x.sql, x.plan,
           x.status, x.total_us, x.queue_us, x.lock_us, x.execute_us, x.commit_us);
}

/// How a broker stands: what all its actors have published of themselves.
struct broker_status {
  std::string root;
  /// How long the broker has been running.
  uint64_t uptime_ms = 0;
  std::vector<database_status> databases;
  cache_status cache;
  audit_status audit;
  buffer_status buffer;
  log_status log;
  /// Retries that hosts make with `retry` and have counted here.
  retry_status host_retry;
  /// The slowest requests, slowest first.
  std::vector<slow_request> slow;
  /// Requests that were warned about: too long in the queue, or in execution.
  uint64_t slow_warnings = 0;
  uint64_t restarts = 0;
  /// What is executed and what waits, oldest first.
  std::vector<running_request> running;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, broker_status& x) {
  return f(caf::meta::type_name("broker_status"), x.root, x.uptime_ms, x.databases, x.cache, x.audit, x.buffer, x.log,
           x.host_retry, x.slow, x.slow_warnings, x.restarts, x.running);
}

} // namespace sluice
