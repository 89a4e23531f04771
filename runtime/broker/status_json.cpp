#include "runtime/broker/store_status.hpp"
#include "runtime/json/fields_json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sluice {

namespace {

using nlohmann::json;

// The sum of all databases; the rate is the highest one.
retry_status total_of(const std::vector<database_status>& databases) {
  retry_status sum;
  double waits = 0;
  for (const auto& db : databases) {
    const auto& retry = db.retry;
    sum.lock_errors += retry.lock_errors;
    sum.retries += retry.retries;
    sum.successes_after_retry += retry.successes_after_retry;
    sum.failures += retry.failures;
    sum.total_wait_ms += retry.total_wait_ms;
    sum.max_wait_ms = std::max(sum.max_wait_ms, retry.max_wait_ms);
    sum.error_rate_5m = std::max(sum.error_rate_5m, retry.error_rate_5m);
    sum.last_lock_error_us = std::max(sum.last_lock_error_us, retry.last_lock_error_us);
    if (retry.mean_wait_ms > 0)
      waits += static_cast<double>(retry.total_wait_ms) / static_cast<double>(retry.mean_wait_ms);
  }
  if (waits > 0)
    sum.mean_wait_ms = static_cast<uint64_t>(static_cast<double>(sum.total_wait_ms) / waits);
  return sum;
}

double per_commit(uint64_t requests, uint64_t commits) {
  return commits == 0 ? 0 : static_cast<double>(requests) / static_cast<double>(commits);
}

json quantiles_json(const duration_histogram::snapshot& times) {
  auto at = [&](double q) { return std::chrono::duration_cast<std::chrono::microseconds>(times.quantile(q)).count(); };
  return {{"count", times.count()}, {"p50", at(0.5)}, {"p99", at(0.99)}, {"p99_9", at(0.999)}, {"max", at(1)}};
}

json timings_json(const database_timings& timings) {
  return {{"queue", quantiles_json(timings.queue)},
          {"execution", quantiles_json(timings.execution)},
          {"commit", quantiles_json(timings.commit)}};
}

json database_json(const database_status& db, const database_file& file, const database_timings& timings) {
  auto result = fields_json(db);
  result.update(fields_json(file));
  // A missing file has no name.
  result["name"] = db.name;
  result["requests_per_commit"] = per_commit(db.committed_requests, db.commits);
  result["time_us"] = timings_json(timings);
  return result;
}

json totals_json(const std::vector<database_status>& databases) {
  uint64_t queued = 0;
  uint64_t queued_bytes = 0;
  uint64_t commits = 0;
  uint64_t requests = 0;
  for (const auto& database : databases) {
    queued += database.queued;
    queued_bytes += database.queued_bytes;
    commits += database.commits;
    requests += database.committed_requests;
  }
  return {{"queued", queued},
          {"queued_bytes", queued_bytes},
          {"commits", commits},
          {"committed_requests", requests},
          {"requests_per_commit", per_commit(requests, commits)}};
}

json running_json(const std::vector<running_request>& all) {
  auto result = json::array();
  for (const auto& request : all) {
    auto is_cursor = request.operation == "cursor";
    auto entry = fields_json(request);
    entry.update(fields_json(request.peer));
    entry.erase("peer");
    entry.erase("is_running");
    entry["state"] = request.is_running ? "running" : is_cursor ? "open" : "queued";
    if (!is_cursor)
      entry.erase("rows");
    result.push_back(std::move(entry));
  }
  return result;
}

template <class T, class Name> T find_or_empty(const std::vector<T>& in, Name name_of, const std::string& name) {
  auto found = std::find_if(in.begin(), in.end(), [&](const T& x) { return name_of(x) == name; });
  return found == in.end() ? T{} : *found;
}

json policy_json(const policy_status& policy) {
  json result{{"in_force", policy.in_force},
              {"rules", policy.rules},
              {"hash", policy.hash},
              {"raw_sql", policy.raw_sql},
              {"summary", policy_text(policy)}};
  if (!policy.mistake.empty())
    result["mistake"] = policy.mistake;
  return result;
}

} // namespace

json as_json(const store_status& status) {
  const auto& broker = status.broker;
  auto databases = json::array();
  for (const auto& db : broker.databases)
    databases.push_back(database_json(db,
                                      find_or_empty(
                                        status.files, [](const auto& f) { return f.name; }, db.name),
                                      find_or_empty(
                                        status.timings, [](const auto& t) { return t.db; }, db.name)));
  auto result = fields_json(broker);
  result.update({{"leader", {{"pid", status.leader_pid}, {"in_process", status.in_process}}},
                 {"answers", fields_json(status.answers)},
                 {"cursors", fields_json(status.cursors)},
                 {"totals", totals_json(broker.databases)},
                 {"policy", policy_json(status.policy)},
                 {"retry", fields_json(total_of(broker.databases))},
                 {"running", running_json(broker.running)},
                 {"databases", std::move(databases)}});
  return result;
}

} // namespace sluice
