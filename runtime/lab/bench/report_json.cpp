#include "runtime/lab/bench/figures.hpp"
#include "runtime/lab/bench/report.hpp"

#include <nlohmann/json.hpp>

namespace sluice::bench {

namespace {

using nlohmann::json;

json or_null(const std::optional<double>& number) { return number ? json(*number) : json(nullptr); }

json spread_json(const spread& of) { return {{"median", of.median}, {"min", of.min}, {"max", of.max}}; }

json shares_json(const contender_result& contender,
                 std::optional<double> (*of)(const contender_result&, usage_member)) {
  return {{"broker", or_null(of(contender, &measurement::broker))},
          {"clients", or_null(of(contender, &measurement::clients))},
          {"process", or_null(of(contender, &measurement::process))}};
}

json latencies_json(const contender_result& contender) {
  auto sorted = contender.latencies();
  if (sorted.empty())
    return nullptr;
  return {{"p50", quantile(sorted, 0.5)},
          {"p99", quantile(sorted, 0.99)},
          {"p99_9", quantile(sorted, 0.999)},
          {"max", quantile(sorted, 1)}};
}

json contender_json(const contender_result& contender) {
  json result{{"contender", contender.name},
              {"kind", to_string(contender.kind)},
              {"errors", contender.errors()},
              {"per_second", contender.per_second()},
              {"mean_us", contender.mean_us()},
              {"latency_us", latencies_json(contender)},
              {"rows_per_commit", or_null(rows_per_commit_of(contender))},
              {"fairness", or_null(fairness_of(contender))},
              {"cpu_us_per_request", shares_json(contender, cpu_us_per_request)},
              {"context_switches_per_request", shares_json(contender, switches_per_request)},
              {"written_bytes_per_row", or_null(written_bytes_per_row(contender))},
              {"stored_bytes_per_row", nullptr},
              {"rounds", json::array()}};
  if (contender.stored)
    result["stored_bytes_per_row"] = {{"database", contender.stored->database}, {"audit", contender.stored->audit}};
  uint64_t operations = 0;
  double seconds = 0;
  for (const auto& round : contender.rounds) {
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

json to_json(const case_result& one_case) {
  json result{{"case", one_case.name},
              {"title", one_case.title},
              {"family", one_case.family.empty() ? json(nullptr) : json(one_case.family)},
              {"size", one_case.size},
              {"size_label", one_case.size_label.empty() ? json(nullptr) : json(one_case.size_label)},
              {"failure", one_case.failure.empty() ? json(nullptr) : json(one_case.failure)},
              {"contenders", json::array()},
              {"ratios", json::array()},
              {"goals", json::array()}};
  for (const auto& found : one_case.contenders)
    result["contenders"].push_back(contender_json(found));
  for (const auto& found : one_case.ratios)
    result["ratios"].push_back({{"contender", found.contender},
                                {"reference", found.reference},
                                {"reference_kind", to_string(found.reference_kind)},
                                {"rate", spread_json(found.got)}});
  for (const auto& found : one_case.goals)
    result["goals"].push_back({{"text", found.text},
                               {"ratio", found.got.median},
                               {"min", found.got.min},
                               {"max", found.got.max},
                               {"wanted", found.wanted},
                               {"unit", found.unit.empty() ? json(nullptr) : json(found.unit)},
                               {"direction", found.is_upper_bound ? "at_most" : "at_least"},
                               {"met", found.is_met()}});
  return result;
}

} // namespace sluice::bench
