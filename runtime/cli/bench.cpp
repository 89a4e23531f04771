#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/lab/bench/report.hpp"
#include "runtime/lab/bench/worker.hpp"

#include <fmt/core.h>

#include <memory>
#include <unistd.h>

namespace sluice::cli {

namespace {

struct bench_command {
  size_t agents = 64;
  double seconds = 2;
  std::vector<size_t> processes{1, 4, 16, 64};
  std::string folder;
  bool json = false;
};

using bench_case = std::function<bench::case_report(const bench::bench_options&)>;

std::vector<bench_case> cases_of(const bench_command& asked) {
  std::vector<bench_case> result{bench::many_writers,   bench::lone_writer,     bench::cached_read,
                                 bench::uncached_reads, bench::latency_classes, bench::flushed_rows,
                                 bench::cost_of_audit};
  for (auto count : asked.processes)
    for (auto mode : {synchronous_mode::full, synchronous_mode::normal})
      result.emplace_back([=](const bench::bench_options& x) { return bench::process_writers(x, count, mode); });
  if (asked.processes.empty())
    return result;
  result.emplace_back([](const bench::bench_options& x) { return bench::process_readers(x, 1); });
  result.emplace_back([](const bench::bench_options& x) { return bench::process_readers(x, 16); });
  result.emplace_back(bench::cold_commands);
  result.emplace_back(bench::cost_of_metrics);
  return result;
}

int run(const bench_command& asked) {
  bench::bench_options options;
  options.agents = asked.agents;
  options.duration = std::chrono::milliseconds{static_cast<int64_t>(asked.seconds * 1'000)};
  options.folder = asked.folder.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path{asked.folder};
  auto all = nlohmann::json::array();
  auto show_progress = isatty(STDERR_FILENO) != 0;
  auto cases = cases_of(asked);
  for (const auto& make : cases) {
    if (show_progress)
      fmt::print(stderr, "\rmeasuring case {} of {} ...", all.size() + 1, cases.size());
    auto report = make(options);
    if (show_progress)
      fmt::print(stderr, "\r{:30}\r", "");
    if (!asked.json)
      bench::print(stdout, report);
    all.push_back(bench::to_json(report));
  }
  if (asked.json)
    return status_of(
      print_json(dump_pretty(nlohmann::json{{"folder", options.folder.string()}, {"cases", std::move(all)}}) + "\n"));
  // Flushes the buffer of stdout.
  return finish("");
}

struct worker_command {
  std::string root;
  int kind = 0;
  int64_t duration_ms = 0;
};

} // namespace

void declare_bench(CLI::App& command, action& chosen) {
  auto asked = std::make_shared<bench_command>();
  command.add_option("--agents", asked->agents, "agents of the many-writers case")
    ->check(CLI::Range(1, 10'000))
    ->capture_default_str();
  command.add_option("--seconds", asked->seconds, "how long each contender runs")
    ->check(CLI::Range(0.05, 3'600.0))
    ->capture_default_str();
  command
    .add_option("--processes", asked->processes,
                "numbers of processes for the cases across processes, separated by commas; 0 leaves these cases out")
    ->delimiter(',')
    ->check(CLI::Range(0, 1'000))
    ->capture_default_str();
  command.add_option("--folder", asked->folder, "folder of the files, on the disk to measure [the temporary folder]");
  command.add_flag("--json", asked->json, "one JSON document on standard output");
  command.callback([asked, &chosen] {
    std::erase(asked->processes, size_t{0});
    chosen = [asked] { return run(*asked); };
  });
}

void declare_bench_worker(CLI::App& command, action& chosen) {
  auto asked = std::make_shared<worker_command>();
  command.add_option("ROOT", asked->root)->required();
  command.add_option("WORK", asked->kind)->required()->check(CLI::Range(0, 6));
  command.add_option("MS", asked->duration_ms)->required();
  command.callback([asked, &chosen] {
    chosen = [asked] {
      return bench::run_worker(static_cast<bench::work>(asked->kind), asked->root,
                               std::chrono::milliseconds{asked->duration_ms});
    };
  });
}

} // namespace sluice::cli
