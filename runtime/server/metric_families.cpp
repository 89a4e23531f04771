#include "runtime/server/metric_families.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace sluice {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using labels = std::vector<ClientMetric::Label>;

/// A number of the status document, and how Prometheus sees it.
struct reading {
  const char* pointer;
  const char* name;
  const char* help;
  MetricType type = MetricType::Counter;
  /// From the document's unit to the base unit.
  double scale = 1;
};

constexpr auto counter = MetricType::Counter;
constexpr auto gauge = MetricType::Gauge;
constexpr double milli = 1e-3;
constexpr double micro = 1e-6;

const std::array broker_readings{
  reading{"/uptime_ms", "sluice_uptime_seconds", "How long the broker has been running.", gauge, milli},
  reading{"/restarts", "sluice_restarts_total", "Restarts of actors since the broker started."},
  reading{"/slow_warnings", "sluice_slow_requests_total",
          "Requests that waited or ran for longer than slow_queue_ms or slow_execution_ms."},
  reading{"/front_door/connections", "sluice_connections", "Clients that are connected.", gauge},
  reading{"/front_door/subscriptions", "sluice_subscriptions", "Subscriptions to changes of tables.", gauge},
  reading{"/cache/enabled", "sluice_cache_enabled", "Whether repeated reads are answered from memory.", gauge},
  reading{"/cache/entries", "sluice_cache_entries", "Answers that the read cache holds.", gauge},
  reading{"/cache/bytes", "sluice_cache_bytes", "Size of the answers that the read cache holds.", gauge},
  reading{"/cache/hits", "sluice_cache_hits_total", "Reads that were answered from the cache."},
  reading{"/cache/misses", "sluice_cache_misses_total", "Reads that ran a query."},
  reading{"/cache/joined", "sluice_cache_joined_total", "Reads that shared the query of another."},
  reading{"/cache/invalidated", "sluice_cache_invalidated_total", "Answers dropped because a table had changed."},
  reading{"/cache/evicted", "sluice_cache_evicted_total", "Answers dropped to make room."},
  reading{"/answers/bytes", "sluice_answer_bytes", "Size of the rows of all answers under way and in the read cache.",
          gauge},
  reading{"/answers/max_bytes", "sluice_answer_max_bytes", "Size at which further answers are refused.", gauge},
  reading{"/cursors/open", "sluice_open_cursors", "Cursors that are open.", gauge},
  reading{"/cursors/max", "sluice_max_open_cursors", "Cursors that may be open.", gauge},
  reading{"/audit/pending", "sluice_audit_pending_records", "Audit records that are not in the file yet.", gauge},
  reading{"/audit/written", "sluice_audit_written_records_total", "Audit records written."},
  reading{"/audit/recovered", "sluice_audit_recovered_records_total", "Audit records rebuilt from ledgers."},
  reading{"/audit/lost", "sluice_audit_lost_records_total", "Audit records lost while the file refused them."},
  reading{"/audit/files_set_aside", "sluice_audit_files_set_aside_total",
          "Damaged or removed audit files that were replaced by a new one."},
  reading{"/audit/failing", "sluice_audit_failing", "Whether the audit file refused the last records.", gauge},
  reading{"/buffer/pending", "sluice_buffer_pending_rows", "Rows that wait in the write-behind buffer.", gauge},
  reading{"/buffer/max_pending", "sluice_buffer_max_pending_rows", "Rows that the write-behind buffer may hold.",
          gauge},
  reading{"/buffer/journal", "sluice_buffer_journal_enabled", "Whether pending rows survive a kill.", gauge},
  reading{"/buffer/puts", "sluice_buffer_puts_total", "Operations that the buffer took."},
  reading{"/buffer/merged", "sluice_buffer_merged_total", "Operations merged into one that was pending."},
  reading{"/buffer/overloaded", "sluice_buffer_overloaded_total", "Operations refused because the buffer was full."},
  reading{"/buffer/flushes", "sluice_buffer_flushes_total", "Writes of the buffer that committed."},
  reading{"/buffer/flushed_rows", "sluice_buffer_flushed_rows_total", "Rows that the buffer has written."},
  reading{"/buffer/failed_flushes", "sluice_buffer_failed_flushes_total",
          "Writes of the buffer that failed; their rows were kept."},
  reading{"/buffer/rejected", "sluice_buffer_rejected_rows_total", "Rows that a database refused."},
  reading{"/buffer/set_aside", "sluice_buffer_set_aside_rows", "Refused rows that wait for somebody's decision.",
          gauge},
  reading{"/buffer/last_flush_us", "sluice_buffer_last_flush_timestamp_seconds",
          "When the buffer last wrote, since the epoch; 0 if never.", gauge, micro},
  reading{"/buffer/last_flush_ms", "sluice_buffer_last_flush_duration_seconds", "How long that took.", gauge, milli},
  reading{"/log/queued", "sluice_log_queued_entries", "Log entries that are not in the file yet.", gauge},
  reading{"/log/written", "sluice_log_written_entries_total", "Log entries written."},
  reading{"/log/dropped", "sluice_log_dropped_entries_total", "Log entries dropped because the queue was full."},
  reading{"/log/lost", "sluice_log_lost_entries_total", "Log entries lost because the file refused them."},
  reading{"/log/cut", "sluice_log_cut_messages_total", "Log messages cut because of their length."},
  reading{"/log/pruned", "sluice_log_pruned_entries_total", "Log entries removed because of their age."},
  reading{"/log/files_set_aside", "sluice_log_set_aside_files_total", "Damaged log files that were set aside."},
  reading{"/log/failing", "sluice_log_failing", "Whether the log file refused the last entries.", gauge},
  reading{"/host_retry/lock_errors", "sluice_host_lock_errors_total",
          "Lock errors of calls that hosts retry themselves."},
  reading{"/host_retry/retries", "sluice_host_lock_retries_total", "Retries that hosts made themselves."},
  reading{"/host_retry/successes_after_retry", "sluice_host_lock_recovered_calls_total",
          "Calls of hosts that succeeded after a lock error."},
  reading{"/host_retry/failures", "sluice_host_lock_failed_calls_total", "Calls of hosts that gave up on the lock."},
  reading{"/host_retry/total_wait_ms", "sluice_host_lock_wait_seconds_total", "Time that hosts waited for locks.",
          counter, milli},
  reading{"/host_retry/max_wait_ms", "sluice_host_lock_wait_max_seconds", "The longest wait of a host for a lock.",
          gauge, milli},
};

const std::array database_readings{
  reading{"/queued", "sluice_database_queued_requests", "Writes that wait or are in an open group.", gauge},
  reading{"/queued_bytes", "sluice_database_queued_bytes", "Size of the writes that wait or are in an open group.",
          gauge},
  reading{"/quarantined", "sluice_database_quarantined", "Whether the database was set aside after too many failures.",
          gauge},
  reading{"/overloaded", "sluice_database_overloaded_requests_total", "Writes refused because the queue was full."},
  reading{"/last_commit_seq", "sluice_database_last_commit_sequence", "Number of the latest commit.", gauge},
  reading{"/commits", "sluice_database_commits_total", "Group commits."},
  reading{"/committed_requests", "sluice_database_committed_requests_total", "Writes that were committed."},
  reading{"/replayed_requests", "sluice_database_replayed_requests_total",
          "Repeated writes that were answered with their first outcome."},
  reading{"/failed_requests", "sluice_database_failed_requests_total", "Writes that failed."},
  reading{"/foreign_commits", "sluice_database_foreign_commits_total", "Commits made past the broker."},
  reading{"/file_events", "sluice_database_file_events_total",
          "Times that other programs replaced, overwrote or removed files of the database."},
  reading{"/restarts", "sluice_database_restarts_total", "Restarts of the database's actors."},
  reading{"/unmoved_wal_bytes", "sluice_database_wal_unmoved_bytes",
          "Part of the write-ahead log that is not in the database file yet.", gauge},
  reading{"/file_bytes", "sluice_database_file_bytes", "Size of the database file.", gauge},
  reading{"/wal_file_bytes", "sluice_database_wal_file_bytes", "Size of the write-ahead log's file.", gauge},
  reading{"/retry/lock_errors", "sluice_database_lock_errors_total", "Times that a foreign process had the lock."},
  reading{"/retry/retries", "sluice_database_lock_retries_total", "Times that the lock was asked for again."},
  reading{"/retry/successes_after_retry", "sluice_database_lock_recovered_requests_total",
          "Requests that got the lock after a refusal."},
  reading{"/retry/failures", "sluice_database_lock_failed_requests_total", "Requests that gave up on the lock."},
  reading{"/retry/total_wait_ms", "sluice_database_lock_wait_seconds_total", "Time spent waiting for the lock.",
          counter, milli},
  reading{"/retry/max_wait_ms", "sluice_database_lock_wait_max_seconds", "The longest wait for the lock.", gauge,
          milli},
};

const std::array table_readings{
  reading{"/pending", "sluice_buffer_table_pending_rows", "Rows of the table that wait in the buffer.", gauge},
  reading{"/oldest_ms", "sluice_buffer_table_oldest_seconds", "How long the oldest of them has waited.", gauge, milli},
};

std::optional<double> number_at(const nlohmann::json& x, const char* pointer) {
  nlohmann::json::json_pointer at{pointer};
  if (!x.contains(at))
    return std::nullopt;
  const auto& value = x.at(at);
  if (value.is_boolean())
    return value.get<bool>() ? 1 : 0;
  return value.is_number() ? std::optional{value.get<double>()} : std::nullopt;
}

void add(MetricFamily& to, const reading& what, const nlohmann::json& from, labels with) {
  auto value = number_at(from, what.pointer);
  if (!value)
    return;
  auto& x = to.metric.emplace_back();
  x.label = std::move(with);
  (what.type == MetricType::Counter ? x.counter.value : x.gauge.value) = *value * what.scale;
}

MetricFamily family_of(const reading& x) { return {x.name, x.help, x.type, {}}; }

std::string text_at(const nlohmann::json& x, const char* name) {
  auto found = x.is_object() ? x.find(name) : x.end();
  return x.is_object() && found != x.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

struct row {
  labels with;
  const nlohmann::json* content;
};

// The objects of an array, by those of their texts that name them; two series of one name would spoil the whole scrape.
std::vector<row> rows_of(const nlohmann::json& status, const char* pointer,
                         std::initializer_list<std::pair<const char*, const char*>> names) {
  std::vector<row> result;
  std::set<std::vector<std::string>> known;
  nlohmann::json::json_pointer at{pointer};
  if (!status.contains(at) || !status.at(at).is_array())
    return result;
  for (const auto& x : status.at(at)) {
    row next{{}, &x};
    std::vector<std::string> name;
    for (auto [member, label] : names) {
      name.push_back(text_at(x, member));
      next.with.push_back({label, name.back()});
    }
    auto complete = std::find(name.begin(), name.end(), "") == name.end();
    if (complete && known.insert(std::move(name)).second)
      result.push_back(std::move(next));
  }
  return result;
}

template <class Readings>
void add_rows(std::vector<MetricFamily>& to, const Readings& readings, const std::vector<row>& rows) {
  for (const auto& x : readings) {
    auto& family = to.emplace_back(family_of(x));
    for (const auto& each : rows)
      add(family, x, *each.content, each.with);
  }
}

ClientMetric histogram(const duration_histogram::snapshot& x, const std::string& database) {
  using seconds = std::chrono::duration<double>;
  ClientMetric result;
  result.label = {{"database", database}};
  uint64_t below = 0;
  for (size_t i = 0; i < x.counts.size(); ++i) {
    below += x.counts[i];
    auto end = i + 1 < x.counts.size() ? seconds{duration_histogram::upper_end(i)}.count()
                                       : std::numeric_limits<double>::infinity();
    result.histogram.bucket.push_back({below, end});
  }
  result.histogram.sample_count = below;
  result.histogram.sample_sum = seconds{x.sum}.count();
  return result;
}

} // namespace

std::vector<MetricFamily> status_families(const nlohmann::json& status) {
  std::vector<MetricFamily> result;
  add_rows(result, broker_readings, {{{}, &status}});
  add_rows(result, database_readings, rows_of(status, "/databases", {{"name", "database"}}));
  add_rows(result, table_readings, rows_of(status, "/buffer/tables", {{"db", "database"}, {"table", "table"}}));
  return result;
}

std::vector<MetricFamily> timing_families(const std::vector<database_timings>& timings) {
  struct part {
    const char* name;
    const char* help;
    duration_histogram::snapshot database_timings::*content;
  };
  constexpr std::array parts{
    part{"sluice_write_queue_seconds", "How long writes waited for their turn, without the wait for foreign locks.",
         &database_timings::queue},
    part{"sluice_write_execution_seconds", "How long writes were being executed.", &database_timings::execution},
    part{"sluice_commit_duration_seconds", "How long commits took, fsync included.", &database_timings::commit},
  };
  std::vector<MetricFamily> result;
  for (const auto& x : parts) {
    auto& family = result.emplace_back(MetricFamily{x.name, x.help, MetricType::Histogram, {}});
    for (const auto& each : timings)
      family.metric.push_back(histogram(each.*x.content, each.db));
  }
  return result;
}

} // namespace sluice
