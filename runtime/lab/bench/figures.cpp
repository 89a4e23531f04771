#include "runtime/lab/bench/figures.hpp"

#include <functional>

namespace sluice::bench {

namespace {

std::optional<double> per_request(const contender_result& contender, usage_member used,
                                  const std::function<double(const resource_usage&)>& of) {
  double sum = 0;
  uint64_t requests = 0;
  for (const auto& round : contender.rounds)
    if (const auto& found = round.*used) {
      sum += of(*found);
      requests += round.completed;
    }
  if (requests == 0)
    return {};
  return sum / static_cast<double>(requests);
}

std::optional<double> median_if_any(const contender_result& contender, double measurement::*member) {
  auto result = contender.median([member](const measurement& round) { return round.*member; });
  if (result <= 0)
    return {};
  return result;
}

} // namespace

std::optional<double> cpu_us_per_request(const contender_result& contender, usage_member used) {
  return per_request(contender, used, [](const resource_usage& found) { return found.cpu_us; });
}

std::optional<double> switches_per_request(const contender_result& contender, usage_member used) {
  return per_request(contender, used,
                     [](const resource_usage& found) { return static_cast<double>(found.context_switches); });
}

std::optional<double> written_bytes_per_row(const contender_result& contender) {
  uint64_t bytes = 0;
  uint64_t rows = 0;
  for (const auto& round : contender.rounds) {
    rows += round.stored_rows;
    for (auto used : {&measurement::broker, &measurement::clients, &measurement::process})
      if (const auto& found = round.*used) {
        if (!found->has_written_bytes)
          return {};
        bytes += found->written_bytes;
      }
  }
  // A RAM disk has no storage layer that would receive bytes.
  if (rows == 0 || bytes == 0)
    return {};
  return static_cast<double>(bytes) / static_cast<double>(rows);
}

std::optional<double> rows_per_commit_of(const contender_result& contender) {
  return median_if_any(contender, &measurement::rows_per_commit);
}

std::optional<double> fairness_of(const contender_result& contender) {
  return median_if_any(contender, &measurement::fairness);
}

} // namespace sluice::bench
