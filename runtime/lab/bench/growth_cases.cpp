#include "runtime/lab/bench/growth_cases.hpp"

#include "actors/base/counted.hpp"
#include "runtime/lab/bench/cases.hpp"
#include "runtime/lab/bench/goals.hpp"
#include "runtime/lab/bench/process_contenders.hpp"
#include "runtime/lab/bench/table_template.hpp"

#include <fmt/format.h>

namespace sluice::bench {

namespace {

// With more direct connections than this, most of them time out after 5 s.
constexpr size_t most_direct_processes = 64;
constexpr size_t large_writers = 16;

bench_case growth_over_agents(size_t agents) {
  constexpr auto mode = synchronous_mode::full;
  bench_case result;
  result.family = "growth-agents";
  result.name = fmt::format("growth-agents-{}", agents);
  result.title = fmt::format("{} in one process, one row each in a loop, synchronous=FULL", counted(agents, "agent"));
  result.size = agents;
  result.size_label = agents_label;
  result.contenders = {actors_through_broker(agents, 1, mode), threads_through_broker(agents, mode),
                       mutex_around_one_connection(agents, mode), raw_at_the_same_group_size(mode)};
  return result;
}

bench_case growth_over_processes(size_t processes) {
  auto has_direct = processes <= most_direct_processes;
  bench_case result;
  result.family = "growth-processes";
  result.name = fmt::format("growth-processes-{}", processes);
  result.title =
    fmt::format("{}, one row each in a loop, synchronous=FULL{}", counted(processes, "process", "processes"),
                has_direct ? "" : "; too many for a connection each");
  result.size = processes;
  result.size_label = processes_label;
  result.contenders.push_back(through_socket("sluice, write", server_kind::broker_full, work::broker_write, processes));
  if (has_direct)
    result.contenders.push_back(
      without_server("a connection each, WAL, busy_timeout 5 s", work::direct_write_full, processes));
  result.contenders.push_back(through_socket("socket bound", server_kind::bound_full, work::bound_write, processes));
  return result;
}

bench_case large_database(size_t rows) {
  auto table = std::make_shared<table_template>(rows);
  bench_case result;
  result.name = "large-database";
  result.title = fmt::format("{} processes update scattered rows of a database of {} MB, with checkpoints, "
                             "synchronous=FULL",
                             large_writers, rows * 103 / 1'000'000);
  result.contenders = {
    on_copy_of(table, through_socket("sluice, write", server_kind::broker_full, work::broker_update, large_writers)),
    on_copy_of(table, without_server("a connection each, WAL, busy_timeout 5 s", work::direct_update, large_writers))};
  result.goals = {time_limit_goal("for the p99.9 of a durable write", 0, 0.999, std::chrono::milliseconds{50})};
  return result;
}

} // namespace

growth_sizes quick_growth_sizes() {
  growth_sizes result;
  result.agents = {1, 64};
  result.processes = {1, 16};
  result.rows = {1'000, 100'000};
  result.databases = {1, 100};
  result.answers = {1, 1'000};
  result.log_megabytes = {1, 10};
  result.rows_beside_log = 10'000;
  result.large_rows = 100'000;
  return result;
}

std::vector<bench_case> growth_cases(const growth_sizes& sizes) {
  std::vector<bench_case> result;
  for (auto count : sizes.agents)
    result.push_back(growth_over_agents(count));
  for (auto count : sizes.processes)
    result.push_back(growth_over_processes(count));
  for (auto family : {growth_over_rows(sizes.rows), growth_over_databases(sizes.databases),
                      growth_over_answers(sizes.answers), growth_over_log(sizes.log_megabytes, sizes.rows_beside_log)})
    for (auto& one_case : family)
      result.push_back(std::move(one_case));
  if (!sizes.processes.empty())
    result.push_back(large_database(sizes.large_rows));
  return result;
}

} // namespace sluice::bench
