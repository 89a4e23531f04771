#include "runtime/lab/bench/figures.hpp"
#include "runtime/lab/bench/report.hpp"

#include <nlohmann/json.hpp>

namespace sluice::bench {

namespace {

using nlohmann::json;

json or_null(const std::optional<double>& x) { return x ? json(*x) : json(nullptr); }

json spread_json(const spread& x) { return {{"median", x.median}, {"min", x.min}, {"max", x.max}}; }

json shares_json(const contender_result& x, std::optional<double> (*of)(const contender_result&, usage_member)) {
  return {{"broker", or_null(of(x, &measurement::broker))},
          {"clients", or_null(of(x, &measurement::clients))},
          {"process", or_null(of(x, &measurement::process))}};
}

json latencies_json(const contender_result& x) {
  auto sorted = x.latencies();
  if (sorted.empty())
    return nullptr;
  return {{"p50", quantile(sorted, 0.5)},
          {"p99", quantile(sorted, 0.99)},
          {"p99_9", quantile(sorted, 0.999)},
          {"max", quantile(sorted, 1)}};
}

json contender_json(const contender_result& x) {
  json result{{"contender", x.name},
              {"kind", to_string(x.kind)},
              {"errors", x.errors()},
              {"per_second", x.per_second()},
              {"mean_us", x.mean_us()},
              {"latency_us", latencies_json(x)},
              {"rows_per_commit", or_null(rows_per_commit_of(x))},
              {"fairness", or_null(fairness_of(x))},
              {"cpu_us_per_request", shares_json(x, cpu_us_per_request)},
              {"context_switches_per_request", shares_json(x, switches_per_request)},
              {"written_bytes_per_row", or_null(written_bytes_per_row(x))},
              {"stored_bytes_per_row", nullptr},
              {"rounds", json::array()}};
  if (x.stored)
    result["stored_bytes_per_row"] = {{"database", x.stored->database}, {"audit", x.stored->audit}};
  uint64_t operations = 0;
  double seconds = 0;
  for (const auto& round : x.rounds) {
    operations += round.operations;
    seconds += round.seconds;
    result["rounds"].push_back({{"operations", round.operations},
                                {"errors", round.errors},
                                {"seconds", round.seconds},
                                {"per_second", round.per_second()}});
  }
  result["operations"] = operations;
  result["seconds"] = seconds;
  return result;
}

} // namespace

json to_json(const case_result& x) {
  json result{{"case", x.name},
              {"title", x.title},
              {"family", x.family.empty() ? json(nullptr) : json(x.family)},
              {"size", x.size},
              {"failure", x.failure.empty() ? json(nullptr) : json(x.failure)},
              {"contenders", json::array()},
              {"ratios", json::array()},
              {"goals", json::array()}};
  for (const auto& found : x.contenders)
    result["contenders"].push_back(contender_json(found));
  for (const auto& found : x.ratios)
    result["ratios"].push_back({{"contender", found.contender},
                                {"reference", found.reference},
                                {"reference_kind", to_string(found.reference_kind)},
                                {"rate", spread_json(found.got)}});
  for (const auto& found : x.goals)
    result["goals"].push_back({{"text", found.text},
                               {"ratio", found.got.median},
                               {"min", found.got.min},
                               {"max", found.got.max},
                               {"wanted", found.wanted},
                               {"direction", found.is_upper_bound ? "at_most" : "at_least"},
                               {"met", found.is_met()}});
  return result;
}

} // namespace sluice::bench
