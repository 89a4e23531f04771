#include "actors/base/counted.hpp"
#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/cases.hpp"
#include "runtime/lab/bench/goals.hpp"
#include "runtime/lab/bench/process_contenders.hpp"

#include <fmt/format.h>

namespace sluice::bench {

namespace {

bool is_read(work task) {
  return task == work::broker_read || task == work::broker_read_cached || task == work::direct_read
         || task == work::bound_read || task == work::bound_read_cached;
}

void make_items(work task, const std::filesystem::path& folder) {
  if (is_read(task))
    fill_file(folder / items_file);
  else
    open_raw(folder / items_file, std::chrono::milliseconds{0});
}

std::string processes_text(size_t count) { return counted(count, "process", "processes"); }

double per_commit(uint64_t rows, uint64_t commits) {
  return ratio(static_cast<double>(rows), static_cast<double>(commits));
}

measurement run_beside(server_process& server, work task, size_t processes, const std::filesystem::path& folder,
                       std::chrono::milliseconds duration) {
  server_report before;
  auto result = run_processes(processes, task, folder, duration, [&] { before = server.report(); });
  auto is_buffered = task == work::broker_put;
  auto after = is_buffered ? server.report_flushed() : server.report();
  result.broker = after.used - before.used;
  // Each worker wrote one more when it opened its files.
  result.stored_rows = is_read(task) ? 0 : result.completed + processes;
  result.errors += after.kept_rows;
  result.rows_per_commit = is_buffered
                             ? per_commit(after.flushed_rows - before.flushed_rows, after.flushes - before.flushes)
                             : per_commit(after.committed_rows - before.committed_rows, after.commits - before.commits);
  return result;
}

// Goals of the design for sluice, direct SQLite and the socket bound, in these places of the case.
std::vector<goal> goals_of(size_t processes, bool is_full, size_t direct, size_t bound) {
  std::vector<goal> result;
  if (processes == 1) {
    result.push_back(rate_goal("of the socket bound", 0, bound, is_full ? 0.8 : 0.7));
    if (is_full) {
      result.push_back(switches_per_request_goal(0, 2));
      result.push_back(stored_bytes_goal("bytes of ledger and audit per row, written alone", 0, 120));
    }
  }
  if (processes == 16 || processes == 64) {
    result.push_back(rate_goal("of the socket bound", 0, bound, 0.75));
    if (is_full) {
      result.push_back(rate_goal("times direct SQLite", 0, direct, processes == 16 ? 3.3 : 4.5));
      result.push_back(quantile_goal("of the p99.9 of direct SQLite", 0, direct, 0.999, 0.05));
    }
    result.push_back(no_errors_goal(0));
  }
  if (processes == 64 && is_full)
    result.push_back(stored_bytes_goal("bytes of ledger and audit per row, written in groups", 0, 60));
  return result;
}

} // namespace

contender through_socket(std::string name, server_kind server, work task, size_t processes) {
  auto is_bound = server == server_kind::bound_full || server == server_kind::bound_normal;
  return {std::move(name), is_bound ? contender_kind::bound : contender_kind::sluice,
          [=](const std::filesystem::path& folder) -> session {
            make_items(task, folder);
            auto running = std::make_shared<server_process>(server, folder);
            return
              [=](const bench_round& round) { return run_beside(*running, task, processes, folder, round.duration); };
          },
          !is_read(task)};
}

contender without_server(std::string name, work task, size_t processes) {
  return {std::move(name), contender_kind::direct,
          [=](const std::filesystem::path& folder) -> session {
            make_items(task, folder);
            return [=](const bench_round& round) {
              auto result = run_processes(processes, task, folder, round.duration, [] {});
              result.stored_rows = is_read(task) ? 0 : result.completed;
              result.rows_per_commit = is_read(task) ? 0 : 1;
              return result;
            };
          },
          !is_read(task)};
}

bench_case processes_writing(size_t processes, synchronous_mode mode) {
  auto is_full = mode == synchronous_mode::full;
  bench_case result;
  result.family = fmt::format("processes-{}", suffix_of(mode));
  result.name = fmt::format("processes-{}-{}", processes, suffix_of(mode));
  result.title = fmt::format("{}, one row each in a loop, synchronous={}", processes_text(processes), to_string(mode));
  result.size = processes;
  result.size_label = processes_label;
  auto broker = is_full ? server_kind::broker_full : server_kind::broker_normal;
  result.contenders.push_back(through_socket("sluice, write", broker, work::broker_write, processes));
  if (is_full)
    result.contenders.push_back(through_socket("sluice, buffer.put", broker, work::broker_put, processes));
  auto direct = result.contenders.size();
  result.contenders.push_back(without_server("a connection each, WAL, busy_timeout 5 s",
                                             is_full ? work::direct_write_full : work::direct_write_normal, processes));
  result.contenders.push_back(through_socket(
    "socket bound", is_full ? server_kind::bound_full : server_kind::bound_normal, work::bound_write, processes));
  result.goals = goals_of(processes, is_full, direct, direct + 1);
  return result;
}

bench_case processes_reading(size_t processes) {
  bench_case result;
  result.family = "process-reads";
  result.name = fmt::format("process-reads-{}", processes);
  result.title = fmt::format("{} reading single rows", processes_text(processes));
  result.size = processes;
  result.size_label = processes_label;
  result.contenders = {
    through_socket("sluice, cached", server_kind::broker_full, work::broker_read_cached, processes),
    through_socket("sluice, uncached", server_kind::broker_full, work::broker_read, processes),
    without_server("a connection and a prepared statement each", work::direct_read, processes),
    through_socket("socket bound, cached", server_kind::bound_full, work::bound_read_cached, processes),
    through_socket("socket bound, uncached", server_kind::bound_full, work::bound_read, processes),
  };
  return result;
}

} // namespace sluice::bench
