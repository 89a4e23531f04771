#include "runtime/server/metrics.hpp"

#include "messages/error.hpp"
#include "runtime/server/metric_families.hpp"
#include "runtime/server/rpc/methods.hpp"

#include <nlohmann/json.hpp>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <vector>

namespace sluice {

namespace {

constexpr size_t code_count = detail::errc_names.size() + 2;

// "ok", the names of the errors, "other".
constexpr std::string_view code_name(size_t i) {
  return i == 0 ? "ok" : i < code_count - 1 ? detail::errc_names[i - 1].name : "other";
}

// The methods, and "other".
constexpr size_t method_count = rpc::all_methods.size() + 1;

// One for each method, the last for all others.
size_t method_index(std::string_view name) {
  const auto* found = rpc::find_method(name);
  return found ? static_cast<size_t>(found - rpc::all_methods.data()) : rpc::all_methods.size();
}

std::string method_label(size_t i) {
  return std::string{i < rpc::all_methods.size() ? rpc::all_methods[i].name : "other"};
}

size_t code_index(std::string_view code) {
  size_t i = 0;
  while (i < code_count - 1 && code_name(i) != code)
    ++i;
  return i;
}

constexpr std::array latency_buckets{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                     0.1,    0.25,    0.5,    1.,    2.5,    5.,    10.,  30.};

} // namespace

// The series of a method and code are created on first use, and then kept by pointer.
struct metrics::state {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
    prometheus::BuildCounter().Name("sluice_requests_total").Help("Requests that were answered.").Register(registry);
  prometheus::Family<prometheus::Histogram>& latencies = prometheus::BuildHistogram()
                                                           .Name("sluice_request_duration_seconds")
                                                           .Help("From the arrival of a request to its answer.")
                                                           .Register(registry);
  std::array<std::array<prometheus::Counter*, code_count>, method_count> counters{};
  std::array<prometheus::Histogram*, method_count> histograms{};
};

metrics::metrics() : state_(std::make_unique<state>()) {}

metrics::~metrics() = default;

void metrics::observe(std::string_view method, std::string_view code, std::chrono::nanoseconds latency) {
  auto m = method_index(method);
  auto c = code_index(code);
  auto& answered = state_->counters[m][c];
  if (!answered)
    answered = &state_->requests.Add({{"method", method_label(m)}, {"code", std::string{code_name(c)}}});
  auto& histogram = state_->histograms[m];
  if (!histogram)
    histogram = &state_->latencies.Add({{"method", method_label(m)}},
                                       std::vector<double>(latency_buckets.begin(), latency_buckets.end()));
  answered->Increment();
  histogram->Observe(std::chrono::duration<double>{std::max(latency, std::chrono::nanoseconds{0})}.count());
}

std::string metrics::scrape(const nlohmann::json& status, const std::vector<database_timings>& timings) const {
  auto families = state_->registry.Collect();
  for (const auto& more : {status_families(status), timing_families(timings)})
    families.insert(families.end(), more.begin(), more.end());
  // Removes families without a series, so that the text has no HELP and TYPE for them.
  std::erase_if(families, [](const auto& x) { return x.metric.empty(); });
  return prometheus::TextSerializer{}.Serialize(families);
}

} // namespace sluice
