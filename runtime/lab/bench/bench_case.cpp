#include "runtime/lab/bench/bench_case.hpp"

#include <algorithm>

namespace sluice::bench {

const char* to_string(contender_kind kind) noexcept {
  switch (kind) {
  case contender_kind::sluice: return "sluice";
  case contender_kind::direct: return "direct";
  default: return "bound";
  }
}

spread spread_of(std::vector<double> values) {
  if (values.empty())
    return {};
  std::sort(values.begin(), values.end());
  auto middle = values.size() / 2;
  auto median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

double contender_result::median(const std::function<double(const measurement&)>& of) const {
  std::vector<double> values;
  for (const auto& round : rounds)
    values.push_back(of(round));
  return spread_of(std::move(values)).median;
}

double contender_result::per_second() const { return median(&measurement::per_second); }
double contender_result::mean_us() const { return median(&measurement::mean_us); }

uint64_t contender_result::errors() const {
  uint64_t result = 0;
  for (const auto& round : rounds)
    result += round.errors;
  return result;
}

std::vector<float> contender_result::latencies() const {
  std::vector<float> result;
  for (const auto& round : rounds)
    result.insert(result.end(), round.latencies_us.begin(), round.latencies_us.end());
  std::sort(result.begin(), result.end());
  return result;
}

} // namespace sluice::bench
