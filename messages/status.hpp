#pragma once

#include "messages/fields.hpp"
#include "messages/inspection.hpp"
#include "messages/peer_identity.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

/// Counts the attempts to get locks that external processes held, since the broker started.
struct retry_status {
  /// Attempts that were refused.
  uint64_t lock_errors = 0;
  /// Attempts that were repeated after a pause.
  uint64_t retries = 0;
  /// Requests that got the lock only after a refusal, and requests that gave up.
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

template <>
inline constexpr auto fields_of<retry_status> = list_fields(
  "retry_status",
  named_field{"lock_errors", &retry_status::lock_errors,
              as_counter("sluice_database_lock_errors_total", "Times that an external process had the lock."),
              as_counter("sluice_host_lock_errors_total", "Lock errors of calls that hosts retry themselves.")},
  named_field{"retries", &retry_status::retries,
              as_counter("sluice_database_lock_retries_total", "Times that the lock was asked for again."),
              as_counter("sluice_host_lock_retries_total", "Retries that hosts made themselves.")},
  named_field{
    "successes_after_retry", &retry_status::successes_after_retry,
    as_counter("sluice_database_lock_recovered_requests_total", "Requests that got the lock after a refusal."),
    as_counter("sluice_host_lock_recovered_calls_total", "Calls of hosts that succeeded after a lock error.")},
  named_field{"failures", &retry_status::failures,
              as_counter("sluice_database_lock_failed_requests_total", "Requests that gave up on the lock."),
              as_counter("sluice_host_lock_failed_calls_total", "Calls of hosts that gave up on the lock.")},
  named_field{"error_rate_5m", &retry_status::error_rate_5m},
  named_field{"total_wait_ms", &retry_status::total_wait_ms,
              as_counter("sluice_database_lock_wait_seconds_total", "Time spent waiting for the lock.", milli),
              as_counter("sluice_host_lock_wait_seconds_total", "Time that hosts waited for locks.", milli)},
  named_field{"max_wait_ms", &retry_status::max_wait_ms,
              as_gauge("sluice_database_lock_wait_max_seconds", "The longest wait for the lock.", milli),
              as_gauge("sluice_host_lock_wait_max_seconds", "The longest wait of a host for a lock.", milli)},
  named_field{"mean_wait_ms", &retry_status::mean_wait_ms},
  named_field{"last_lock_error_us", &retry_status::last_lock_error_us});
SLUICE_DECLARE_INSPECT(retry_status)

/// The current state of one database, and its counters since the broker started.
struct database_status {
  std::string name;
  bool quarantined = false;
  uint64_t queued = 0;
  uint64_t queued_bytes = 0;
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
  /// Checkpoints of its writer that ended without an error, even if a reader kept a part of the WAL from being moved.
  uint64_t checkpoints = 0;
  /// Part of the write-ahead log that is not in the database file yet.
  uint64_t unmoved_wal_bytes = 0;
  retry_status retry;
};

template <>
inline constexpr auto fields_of<database_status> = list_fields(
  "database_status", named_field{"name", &database_status::name},
  named_field{
    "quarantined", &database_status::quarantined,
    as_gauge("sluice_database_quarantined", "Whether the database is in quarantine after too many failures.")},
  named_field{"queued", &database_status::queued,
              as_gauge("sluice_database_queued_requests", "Writes that wait or are in an open group.")},
  named_field{"queued_bytes", &database_status::queued_bytes,
              as_gauge("sluice_database_queued_bytes", "Size of the writes that wait or are in an open group.")},
  named_field{"overloaded", &database_status::overloaded,
              as_counter("sluice_database_overloaded_requests_total", "Writes refused because the queue was full.")},
  named_field{"last_commit_seq", &database_status::last_commit_seq,
              as_gauge("sluice_database_last_commit_sequence", "Number of the latest commit.")},
  named_field{"commits", &database_status::commits, as_counter("sluice_database_commits_total", "Group commits.")},
  named_field{"committed_requests", &database_status::committed_requests,
              as_counter("sluice_database_committed_requests_total", "Writes that were committed.")},
  named_field{"replayed_requests", &database_status::replayed_requests,
              as_counter("sluice_database_replayed_requests_total",
                         "Repeated writes that were answered with their first outcome.")},
  named_field{"failed_requests", &database_status::failed_requests,
              as_counter("sluice_database_failed_requests_total", "Writes that failed.")},
  named_field{"foreign_commits", &database_status::foreign_commits,
              as_counter("sluice_database_foreign_commits_total", "Commits made past the broker.")},
  named_field{"file_events", &database_status::file_events,
              as_counter("sluice_database_file_events_total",
                         "Times that other programs replaced, overwrote or removed files of the database.")},
  named_field{"restarts", &database_status::restarts,
              as_counter("sluice_database_restarts_total", "Restarts of the database's actors.")},
  named_field{
    "checkpoints", &database_status::checkpoints,
    as_counter("sluice_database_checkpoints_total", "Checkpoints of the writer that ended without an error.")},
  named_field{
    "unmoved_wal_bytes", &database_status::unmoved_wal_bytes,
    as_gauge("sluice_database_wal_unmoved_bytes", "Part of the write-ahead log that is not in the database file yet.")},
  named_field{"retry", &database_status::retry});
SLUICE_DECLARE_INSPECT(database_status)

/// The current state of the read cache, and its counters since the broker started.
struct cache_status {
  bool enabled = true;
  uint64_t entries = 0;
  uint64_t bytes = 0;
  uint64_t hits = 0;
  /// Reads that ran a query, and reads that joined another one's.
  uint64_t misses = 0;
  uint64_t joined = 0;
  uint64_t invalidated = 0;
  uint64_t evicted = 0;
};

template <>
inline constexpr auto fields_of<cache_status> = list_fields(
  "cache_status",
  named_field{"enabled", &cache_status::enabled,
              as_gauge("sluice_cache_enabled", "Whether repeated reads are answered from memory.")},
  named_field{"entries", &cache_status::entries,
              as_gauge("sluice_cache_entries", "Answers that the read cache holds.")},
  named_field{"bytes", &cache_status::bytes,
              as_gauge("sluice_cache_bytes", "Size of the answers that the read cache holds.")},
  named_field{"hits", &cache_status::hits,
              as_counter("sluice_cache_hits_total", "Reads that were answered from the cache.")},
  named_field{"misses", &cache_status::misses, as_counter("sluice_cache_misses_total", "Reads that ran a query.")},
  named_field{"joined", &cache_status::joined,
              as_counter("sluice_cache_joined_total", "Reads that shared the query of another.")},
  named_field{"invalidated", &cache_status::invalidated,
              as_counter("sluice_cache_invalidated_total", "Answers dropped because a table had changed.")},
  named_field{"evicted", &cache_status::evicted,
              as_counter("sluice_cache_evicted_total", "Answers dropped to make room.")});
SLUICE_DECLARE_INSPECT(cache_status)

/// The current state of the audit, and its counters since the broker started.
struct audit_status {
  /// Records taken that are not on disk yet.
  uint64_t pending = 0;
  uint64_t written = 0;
  /// Records recovered from ledgers, and records lost while the file could not be written.
  uint64_t recovered = 0;
  uint64_t lost = 0;
  /// Audit files that were damaged or removed, and that a new file replaced.
  uint64_t files_set_aside = 0;
  /// The last attempt to write failed; `last_error` says why.
  bool failing = false;
  std::string last_error;
};

template <>
inline constexpr auto fields_of<audit_status> = list_fields(
  "audit_status",
  named_field{"pending", &audit_status::pending,
              as_gauge("sluice_audit_pending_records", "Audit records that are not in the file yet.")},
  named_field{"written", &audit_status::written,
              as_counter("sluice_audit_written_records_total", "Audit records written.")},
  named_field{"recovered", &audit_status::recovered,
              as_counter("sluice_audit_recovered_records_total", "Audit records rebuilt from ledgers.")},
  named_field{"lost", &audit_status::lost,
              as_counter("sluice_audit_lost_records_total", "Audit records lost while the file refused them.")},
  named_field{"files_set_aside", &audit_status::files_set_aside,
              as_counter("sluice_audit_files_set_aside_total",
                         "Damaged or removed audit files that were replaced by a new one.")},
  named_field{"failing", &audit_status::failing,
              as_gauge("sluice_audit_failing", "Whether the audit file refused the last records.")},
  named_field{"last_error", &audit_status::last_error});
SLUICE_DECLARE_INSPECT(audit_status)

/// One table that the write-behind buffer knows.
struct buffered_table_status {
  std::string db;
  std::string table;
  uint64_t pending = 0;
  int64_t priority = 0;
  uint64_t interval_ms = 0;
  uint64_t oldest_ms = 0;
};

template <>
inline constexpr auto fields_of<buffered_table_status> = list_fields(
  "buffered_table_status", named_field{"db", &buffered_table_status::db},
  named_field{"table", &buffered_table_status::table},
  named_field{"pending", &buffered_table_status::pending,
              as_gauge("sluice_buffer_table_pending_rows", "Rows of the table that wait in the buffer.")},
  named_field{"priority", &buffered_table_status::priority},
  named_field{"interval_ms", &buffered_table_status::interval_ms},
  named_field{"oldest_ms", &buffered_table_status::oldest_ms,
              as_gauge("sluice_buffer_table_oldest_seconds", "How long the oldest of them has waited.", milli)});
SLUICE_DECLARE_INSPECT(buffered_table_status)

/// The current state of the write-behind buffer, and its counters since the broker started.
struct buffer_status {
  uint64_t pending = 0;
  uint64_t max_pending = 0;
  bool journal = false;
  /// Operations accepted; of these, merged into a pending one; and operations refused because the buffer was full.
  uint64_t puts = 0;
  uint64_t merged = 0;
  uint64_t overloaded = 0;
  /// Write requests that committed, rows in them, and write requests that failed and were kept.
  uint64_t flushes = 0;
  uint64_t flushed_rows = 0;
  uint64_t failed_flushes = 0;
  /// Rows rejected so far, and rejected rows that are stored now.
  uint64_t rejected = 0;
  uint64_t set_aside = 0;
  /// Microseconds since the Unix epoch; 0 when there was none.
  int64_t last_flush_us = 0;
  uint64_t last_flush_ms = 0;
  std::string last_error;
  std::vector<buffered_table_status> tables;
};

template <>
inline constexpr auto fields_of<buffer_status> = list_fields(
  "buffer_status",
  named_field{"pending", &buffer_status::pending,
              as_gauge("sluice_buffer_pending_rows", "Rows that wait in the write-behind buffer.")},
  named_field{"max_pending", &buffer_status::max_pending,
              as_gauge("sluice_buffer_max_pending_rows", "Rows that the write-behind buffer may hold.")},
  named_field{"journal", &buffer_status::journal,
              as_gauge("sluice_buffer_journal_enabled", "Whether pending rows survive a kill.")},
  named_field{"puts", &buffer_status::puts, as_counter("sluice_buffer_puts_total", "Operations that the buffer took.")},
  named_field{"merged", &buffer_status::merged,
              as_counter("sluice_buffer_merged_total", "Operations merged into one that was pending.")},
  named_field{"overloaded", &buffer_status::overloaded,
              as_counter("sluice_buffer_overloaded_total", "Operations refused because the buffer was full.")},
  named_field{"flushes", &buffer_status::flushes,
              as_counter("sluice_buffer_flushes_total", "Writes of the buffer that committed.")},
  named_field{"flushed_rows", &buffer_status::flushed_rows,
              as_counter("sluice_buffer_flushed_rows_total", "Rows that the buffer has written.")},
  named_field{
    "failed_flushes", &buffer_status::failed_flushes,
    as_counter("sluice_buffer_failed_flushes_total", "Writes of the buffer that failed; their rows were kept.")},
  named_field{"rejected", &buffer_status::rejected,
              as_counter("sluice_buffer_rejected_rows_total", "Rows that a database refused.")},
  named_field{"set_aside", &buffer_status::set_aside,
              as_gauge("sluice_buffer_set_aside_rows", "Refused rows that wait for somebody's decision.")},
  named_field{"last_flush_us", &buffer_status::last_flush_us,
              as_gauge("sluice_buffer_last_flush_timestamp_seconds",
                       "When the buffer last wrote, since the epoch; 0 if never.", micro)},
  named_field{"last_flush_ms", &buffer_status::last_flush_ms,
              as_gauge("sluice_buffer_last_flush_duration_seconds", "How long that took.", milli)},
  named_field{"last_error", &buffer_status::last_error}, named_field{"tables", &buffer_status::tables});
SLUICE_DECLARE_INSPECT(buffer_status)

/// The current state of the log database, and its counters since the broker started.
struct log_status {
  uint64_t queued = 0;
  uint64_t written = 0;
  /// Entries lost because the queue was full, and entries lost because the file could not be written.
  uint64_t dropped = 0;
  uint64_t lost = 0;
  /// Messages truncated at the configured length.
  uint64_t cut = 0;
  /// Entries removed because of their age.
  uint64_t pruned = 0;
  /// Damaged log files that were renamed.
  uint64_t files_set_aside = 0;
  bool failing = false;
  std::string last_error;
};

template <>
inline constexpr auto fields_of<log_status> = list_fields(
  "log_status",
  named_field{"queued", &log_status::queued,
              as_gauge("sluice_log_queued_entries", "Log entries that are not in the file yet.")},
  named_field{"written", &log_status::written, as_counter("sluice_log_written_entries_total", "Log entries written.")},
  named_field{"dropped", &log_status::dropped,
              as_counter("sluice_log_dropped_entries_total", "Log entries dropped because the queue was full.")},
  named_field{"lost", &log_status::lost,
              as_counter("sluice_log_lost_entries_total", "Log entries lost because the file refused them.")},
  named_field{"cut", &log_status::cut,
              as_counter("sluice_log_cut_messages_total", "Log messages cut because of their length.")},
  named_field{"pruned", &log_status::pruned,
              as_counter("sluice_log_pruned_entries_total", "Log entries removed because of their age.")},
  named_field{"files_set_aside", &log_status::files_set_aside,
              as_counter("sluice_log_set_aside_files_total", "Damaged log files that were renamed.")},
  named_field{"failing", &log_status::failing,
              as_gauge("sluice_log_failing", "Whether the log file refused the last entries.")},
  named_field{"last_error", &log_status::last_error});
SLUICE_DECLARE_INSPECT(log_status)

/// A request that is under way.
struct running_request {
  std::string db;
  /// "write", "read" or "cursor".
  std::string operation;
  /// As given by the client or generated by the broker; empty for a write that has none yet.
  std::string request_id;
  std::string agent;
  peer_identity peer;
  /// The statements, cut after 1,000 bytes.
  std::string sql;
  /// Whether it is being executed; otherwise it waits for its turn or, for a cursor, for its client's next request.
  bool is_running = false;
  uint64_t since_ms = 0;
  /// For a cursor: the number of rows that it has returned so far; else 0.
  uint64_t rows = 0;
};

template <>
inline constexpr auto fields_of<running_request> = list_fields(
  "running_request", named_field{"db", &running_request::db}, named_field{"operation", &running_request::operation},
  named_field{"request_id", &running_request::request_id}, named_field{"agent", &running_request::agent},
  named_field{"peer", &running_request::peer}, named_field{"sql", &running_request::sql},
  named_field{"is_running", &running_request::is_running}, named_field{"since_ms", &running_request::since_ms},
  named_field{"rows", &running_request::rows});
SLUICE_DECLARE_INSPECT(running_request)

/// How long the parts of one of the slowest requests took. Parts that do not apply are 0.
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
  /// The output of EXPLAIN QUERY PLAN, one line per step; empty when it is not available.
  std::string plan;
  /// "ok", or the name of the error code.
  std::string status;
  uint64_t total_us = 0;
  /// Time in the queue; waiting for the lock of an external process; in execution; in the COMMIT with its fsync.
  uint64_t queue_us = 0;
  uint64_t lock_us = 0;
  uint64_t execute_us = 0;
  uint64_t commit_us = 0;
};

template <>
inline constexpr auto fields_of<slow_request> =
  list_fields("slow_request", named_field{"ts_us", &slow_request::ts_us},
              named_field{"request_id", &slow_request::request_id}, named_field{"agent", &slow_request::agent},
              named_field{"db", &slow_request::db}, named_field{"operation", &slow_request::operation},
              named_field{"sql", &slow_request::sql}, named_field{"plan", &slow_request::plan},
              named_field{"status", &slow_request::status}, named_field{"total_us", &slow_request::total_us},
              named_field{"queue_us", &slow_request::queue_us}, named_field{"lock_us", &slow_request::lock_us},
              named_field{"execute_us", &slow_request::execute_us}, named_field{"commit_us", &slow_request::commit_us});
SLUICE_DECLARE_INSPECT(slow_request)

/// The state of a broker: what all its actors have published.
struct broker_status {
  std::string root;
  uint64_t uptime_ms = 0;
  std::vector<database_status> databases;
  cache_status cache;
  audit_status audit;
  buffer_status buffer;
  log_status log;
  /// Retries that hosts make with `retry` and that are counted here.
  retry_status host_retry;
  /// The slowest requests, slowest first.
  std::vector<slow_request> slow;
  /// Requests that caused a warning: too long in the queue, or in execution.
  uint64_t slow_warnings = 0;
  uint64_t restarts = 0;
  /// Running and waiting requests, oldest first.
  std::vector<running_request> running;
};

template <>
inline constexpr auto fields_of<broker_status> = list_fields(
  "broker_status", named_field{"store_root", &broker_status::root},
  named_field{"uptime_ms", &broker_status::uptime_ms,
              as_gauge("sluice_uptime_seconds", "How long the broker has been running.", milli)},
  named_field{"databases", &broker_status::databases}, named_field{"cache", &broker_status::cache},
  named_field{"audit", &broker_status::audit}, named_field{"buffer", &broker_status::buffer},
  named_field{"log", &broker_status::log}, named_field{"host_retry", &broker_status::host_retry, with_second_metrics{}},
  named_field{"slow", &broker_status::slow},
  named_field{"slow_warnings", &broker_status::slow_warnings,
              as_counter("sluice_slow_requests_total",
                         "Requests that waited or ran for longer than slow_queue_ms or slow_execution_ms.")},
  named_field{"restarts", &broker_status::restarts,
              as_counter("sluice_restarts_total", "Restarts of actors since the broker started.")},
  named_field{"running", &broker_status::running});
SLUICE_DECLARE_INSPECT(broker_status)

} // namespace sluice
