#include "runtime/lab/bench/cases.hpp"

namespace sluice::bench {

std::vector<bench_case> all_cases(const case_sizes& sizes) {
  std::vector<bench_case> result;
  for (auto count : sizes.agents)
    result.push_back(agents_writing(count, synchronous_mode::full));
  if (!sizes.agents.empty())
    result.push_back(agents_in_flight(sizes.agents.back(), 4));
  for (auto count : sizes.agents)
    result.push_back(agents_writing(count, synchronous_mode::normal));
  result.push_back(cached_reads());
  result.push_back(uncached_reads(16));
  for (auto mode : {synchronous_mode::full, synchronous_mode::normal})
    for (auto count : sizes.processes)
      result.push_back(processes_writing(count, mode));
  for (auto count : sizes.processes)
    result.push_back(processes_reading(count));
  if (!sizes.processes.empty()) {
    result.push_back(commands_writing());
    result.push_back(commands_reading());
    result.push_back(cost_of_metrics());
  }
  result.push_back(cost_of_audit());
  result.push_back(latency_classes());
  result.push_back(flushed_rows());
  return result;
}

} // namespace sluice::bench
