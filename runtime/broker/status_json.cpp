#include "runtime/broker/store_status.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sluice {

namespace {

using nlohmann::json;

json retry_json(const retry_status& x) {
  return {{"lock_errors", x.lock_errors},
          {"retries", x.retries},
          {"successes_after_retry", x.successes_after_retry},
          {"failures", x.failures},
          {"error_rate_5m", x.error_rate_5m},
          {"total_wait_ms", x.total_wait_ms},
          {"max_wait_ms", x.max_wait_ms},
          {"mean_wait_ms", x.mean_wait_ms},
          {"last_lock_error_us", x.last_lock_error_us}};
}

// Of all databases; the rate is the highest of them.
retry_status total_of(const std::vector<database_status>& databases) {
  retry_status sum;
  double waits = 0;
  for (const auto& db : databases) {
    const auto& x = db.retry;
    sum.lock_errors += x.lock_errors;
    sum.retries += x.retries;
    sum.successes_after_retry += x.successes_after_retry;
    sum.failures += x.failures;
    sum.total_wait_ms += x.total_wait_ms;
    sum.max_wait_ms = std::max(sum.max_wait_ms, x.max_wait_ms);
    sum.error_rate_5m = std::max(sum.error_rate_5m, x.error_rate_5m);
    sum.last_lock_error_us = std::max(sum.last_lock_error_us, x.last_lock_error_us);
    if (x.mean_wait_ms > 0)
      waits += static_cast<double>(x.total_wait_ms) / static_cast<double>(x.mean_wait_ms);
  }
  if (waits > 0)
    sum.mean_wait_ms = static_cast<uint64_t>(static_cast<double>(sum.total_wait_ms) / waits);
  return sum;
}

double per_commit(uint64_t requests, uint64_t commits) {
  return commits == 0 ? 0 : static_cast<double>(requests) / static_cast<double>(commits);
}

json quantiles_json(const duration_histogram::snapshot& x) {
  auto at = [&](double q) { return std::chrono::duration_cast<std::chrono::microseconds>(x.quantile(q)).count(); };
  return {{"count", x.count()}, {"p50", at(0.5)}, {"p99", at(0.99)}, {"p99_9", at(0.999)}, {"max", at(1)}};
}

json timings_json(const database_timings& x) {
  return {{"queue", quantiles_json(x.queue)},
          {"execution", quantiles_json(x.execution)},
          {"commit", quantiles_json(x.commit)}};
}

json database_json(const database_status& x, const database_file& file, const database_timings& timings) {
  return {{"name", x.name},
          {"quarantined", x.quarantined},
          {"queued", x.queued},
          {"queued_bytes", x.queued_bytes},
          {"overloaded", x.overloaded},
          {"last_commit_seq", x.last_commit_seq},
          {"commits", x.commits},
          {"committed_requests", x.committed_requests},
          {"requests_per_commit", per_commit(x.committed_requests, x.commits)},
          {"replayed_requests", x.replayed_requests},
          {"failed_requests", x.failed_requests},
          {"foreign_commits", x.foreign_commits},
          {"file_events", x.file_events},
          {"restarts", x.restarts},
          {"unmoved_wal_bytes", x.wal_bytes},
          {"file_bytes", file.bytes},
          {"wal_file_bytes", file.wal_bytes},
          {"retry", retry_json(x.retry)},
          {"time_us", timings_json(timings)}};
}

json totals_json(const std::vector<database_status>& databases) {
  uint64_t queued = 0;
  uint64_t queued_bytes = 0;
  uint64_t commits = 0;
  uint64_t requests = 0;
  for (const auto& x : databases) {
    queued += x.queued;
    queued_bytes += x.queued_bytes;
    commits += x.commits;
    requests += x.committed_requests;
  }
  return {{"queued", queued},
          {"queued_bytes", queued_bytes},
          {"commits", commits},
          {"committed_requests", requests},
          {"requests_per_commit", per_commit(requests, commits)}};
}

json cache_json(const cache_status& x) {
  return {{"enabled", x.enabled},
          {"entries", x.entries},
          {"bytes", x.bytes},
          {"hits", x.hits},
          {"misses", x.misses},
          {"joined", x.joined},
          {"invalidated", x.invalidated},
          {"evicted", x.evicted}};
}

json audit_json(const audit_status& x) {
  return {{"pending", x.pending},
          {"written", x.written},
          {"recovered", x.recovered},
          {"lost", x.lost},
          {"files_set_aside", x.files_set_aside},
          {"failing", x.failing},
          {"last_error", x.last_error}};
}

json buffer_json(const buffer_status& x) {
  auto tables = json::array();
  for (const auto& t : x.tables)
    tables.push_back({{"db", t.db},
                      {"table", t.table},
                      {"pending", t.pending},
                      {"priority", t.priority},
                      {"interval_ms", t.interval_ms},
                      {"oldest_ms", t.oldest_ms}});
  return {{"pending", x.pending},
          {"max_pending", x.max_pending},
          {"journal", x.journal},
          {"puts", x.puts},
          {"merged", x.merged},
          {"overloaded", x.overloaded},
          {"flushes", x.flushes},
          {"flushed_rows", x.flushed_rows},
          {"failed_flushes", x.failed_flushes},
          {"rejected", x.rejected},
          {"set_aside", x.set_aside},
          {"last_flush_us", x.last_flush_us},
          {"last_flush_ms", x.last_flush_ms},
          {"last_error", x.last_error},
          {"tables", std::move(tables)}};
}

json log_json(const log_status& x) {
  return {{"queued", x.queued},
          {"written", x.written},
          {"dropped", x.dropped},
          {"lost", x.lost},
          {"cut", x.cut},
          {"pruned", x.pruned},
          {"failing", x.failing},
          {"files_set_aside", x.files_set_aside},
          {"last_error", x.last_error}};
}

json slow_json(const std::vector<slow_request>& all) {
  auto result = json::array();
  for (const auto& x : all)
    result.push_back({{"ts_us", x.ts_us},
                      {"request_id", x.request_id},
                      {"agent", x.agent},
                      {"db", x.db},
                      {"operation", x.operation},
                      {"sql", x.sql},
                      {"plan", x.plan},
                      {"status", x.status},
                      {"total_us", x.total_us},
                      {"queue_us", x.queue_us},
                      {"lock_us", x.lock_us},
                      {"execute_us", x.execute_us},
                      {"commit_us", x.commit_us}});
  return result;
}

json running_json(const std::vector<running_request>& all) {
  auto result = json::array();
  for (const auto& x : all) {
    auto is_cursor = x.operation == "cursor";
    json entry{{"request_id", x.request_id},
               {"agent", x.agent},
               {"uid", x.peer.uid},
               {"pid", x.peer.pid},
               {"db", x.db},
               {"operation", x.operation},
               {"sql", x.sql},
               {"since_ms", x.since_ms},
               {"state", x.is_running ? "running"
                         : is_cursor  ? "open"
                                      : "queued"}};
    if (is_cursor)
      entry["rows"] = x.rows;
    result.push_back(std::move(entry));
  }
  return result;
}

template <class T, class Name> T find_or_empty(const std::vector<T>& in, Name name_of, const std::string& name) {
  auto found = std::find_if(in.begin(), in.end(), [&](const T& x) { return name_of(x) == name; });
  return found == in.end() ? T{} : *found;
}

} // namespace

json as_json(const store_status& x) {
  const auto& broker = x.broker;
  auto databases = json::array();
  for (const auto& db : broker.databases)
    databases.push_back(database_json(db,
                                      find_or_empty(
                                        x.files, [](const auto& f) { return f.name; }, db.name),
                                      find_or_empty(
                                        x.timings, [](const auto& t) { return t.db; }, db.name)));
  return {{"store_root", broker.root},
          {"leader", {{"pid", x.leader_pid}, {"in_process", x.in_process}}},
          {"uptime_ms", broker.uptime_ms},
          {"restarts", broker.restarts},
          {"cache", cache_json(broker.cache)},
          {"answers", {{"bytes", x.answers.bytes}, {"max_bytes", x.answers.max_bytes}}},
          {"cursors", {{"open", x.answers.cursors}, {"max", x.answers.max_cursors}}},
          {"totals", totals_json(broker.databases)},
          {"retry", retry_json(total_of(broker.databases))},
          {"host_retry", retry_json(broker.host_retry)},
          {"audit", audit_json(broker.audit)},
          {"buffer", buffer_json(broker.buffer)},
          {"log", log_json(broker.log)},
          {"slow", slow_json(broker.slow)},
          {"slow_warnings", broker.slow_warnings},
          {"running", running_json(broker.running)},
          {"databases", std::move(databases)}};
}

} // namespace sluice
