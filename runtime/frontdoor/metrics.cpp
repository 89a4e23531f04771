#include "runtime/frontdoor/metrics.hpp"

#include "messages/error.hpp"

#include <nlohmann/json.hpp>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <vector>

namespace sluice {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::array<std::string_view, 12> methods{"write",      "read",         "cancel",    "status",
                                                   "audit.list", "audit.verify", "subscribe", "unsubscribe",
                                                   "ping",       "hello",        "shutdown",  "other"};

constexpr size_t code_count = detail::errc_words.size() + 2;

// "ok", the words of the errors, "other".
constexpr std::string_view code_word(size_t i) {
  return i == 0 ? "ok" : i < code_count - 1 ? detail::errc_words[i - 1].word : "other";
}

size_t method_index(std::string_view x) {
  auto found = std::find(methods.begin(), methods.end() - 1, x);
  return static_cast<size_t>(found - methods.begin());
}

size_t code_index(std::string_view x) {
  size_t i = 0;
  while (i < code_count - 1 && code_word(i) != x)
    ++i;
  return i;
}

const std::vector<double> latency_buckets{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                          0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30};

/// A number of the status document, and how Prometheus sees it.
struct reading {
  const char* pointer;
  const char* name;
  const char* help;
  MetricType type = MetricType::Counter;
  /// From the document's unit to the base unit.
  double scale = 1;
};

constexpr auto gauge = MetricType::Gauge;
constexpr double milli = 1e-3;

const std::array broker_readings{
  reading{"/restarts", "sluice_restarts_total", "Restarts of actors since the broker started."},
  reading{"/front_door/connections", "sluice_connections", "Clients that are connected.", gauge},
  reading{"/front_door/subscriptions", "sluice_subscriptions", "Subscriptions to changes of tables.", gauge},
  reading{"/cache/entries", "sluice_cache_entries", "Answers that the read cache holds.", gauge},
  reading{"/cache/bytes", "sluice_cache_bytes", "Size of the answers that the read cache holds.", gauge},
  reading{"/cache/hits", "sluice_cache_hits_total", "Reads that were answered from the cache."},
  reading{"/cache/misses", "sluice_cache_misses_total", "Reads that ran a query."},
  reading{"/cache/joined", "sluice_cache_joined_total", "Reads that shared the query of another."},
  reading{"/cache/invalidated", "sluice_cache_invalidated_total", "Answers dropped because a table had changed."},
  reading{"/cache/evicted", "sluice_cache_evicted_total", "Answers dropped to make room."},
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
          MetricType::Counter, milli},
  reading{"/retry/max_wait_ms", "sluice_database_lock_wait_max_seconds", "The longest wait for the lock.", gauge,
          milli},
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

ClientMetric sample(MetricType type, double value, std::vector<ClientMetric::Label> labels) {
  ClientMetric result;
  result.label = std::move(labels);
  (type == MetricType::Counter ? result.counter.value : result.gauge.value) = value;
  return result;
}

void add(MetricFamily& to, const reading& what, const nlohmann::json& from, std::vector<ClientMetric::Label> labels) {
  if (auto value = number_at(from, what.pointer))
    to.metric.push_back(sample(what.type, *value * what.scale, std::move(labels)));
}

MetricFamily family_of(const reading& x) { return {x.name, x.help, x.type, {}}; }

// Two series of one name would spoil the whole scrape.
std::vector<std::pair<std::string, const nlohmann::json*>> databases_of(const nlohmann::json& status) {
  std::vector<std::pair<std::string, const nlohmann::json*>> result;
  std::set<std::string> known;
  if (!status.contains("databases") || !status["databases"].is_array())
    return result;
  for (const auto& x : status["databases"])
    if (x.contains("name") && x["name"].is_string())
      if (auto name = x["name"].get<std::string>(); known.insert(name).second)
        result.emplace_back(std::move(name), &x);
  return result;
}

std::vector<MetricFamily> families_of(const nlohmann::json& status) {
  std::vector<MetricFamily> result;
  for (const auto& x : broker_readings) {
    auto& family = result.emplace_back(family_of(x));
    add(family, x, status, {});
  }
  auto databases = databases_of(status);
  for (const auto& x : database_readings) {
    auto& family = result.emplace_back(family_of(x));
    for (const auto& [name, database] : databases)
      add(family, x, *database, {{"database", name}});
  }
  return result;
}

} // namespace

// The series of a method and code are made when they are first seen, and never looked up again.
struct metrics::state {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
    prometheus::BuildCounter().Name("sluice_requests_total").Help("Requests that were answered.").Register(registry);
  prometheus::Family<prometheus::Histogram>& latencies = prometheus::BuildHistogram()
                                                           .Name("sluice_request_duration_seconds")
                                                           .Help("From the arrival of a request to its answer.")
                                                           .Register(registry);
  std::array<std::array<prometheus::Counter*, code_count>, methods.size()> counters{};
  std::array<prometheus::Histogram*, methods.size()> histograms{};
};

metrics::metrics() : state_(std::make_unique<state>()) {}

metrics::~metrics() = default;

void metrics::observe(std::string_view method, std::string_view code, std::chrono::nanoseconds latency) {
  auto m = method_index(method);
  auto c = code_index(code);
  auto& counter = state_->counters[m][c];
  if (!counter)
    counter = &state_->requests.Add({{"method", std::string{methods[m]}}, {"code", std::string{code_word(c)}}});
  auto& histogram = state_->histograms[m];
  if (!histogram)
    histogram = &state_->latencies.Add({{"method", std::string{methods[m]}}}, latency_buckets);
  counter->Increment();
  histogram->Observe(std::chrono::duration<double>{std::max(latency, std::chrono::nanoseconds{0})}.count());
}

std::string metrics::scrape(const nlohmann::json& status) const {
  auto families = state_->registry.Collect();
  auto read = families_of(status);
  families.insert(families.end(), std::make_move_iterator(read.begin()), std::make_move_iterator(read.end()));
  // HELP and TYPE of nothing say nothing.
  std::erase_if(families, [](const auto& x) { return x.metric.empty(); });
  return prometheus::TextSerializer{}.Serialize(families);
}

} // namespace sluice
