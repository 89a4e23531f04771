#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/lab/bench/cases.hpp"
#include "runtime/lab/bench/growth_cases.hpp"
#include "runtime/lab/bench/plots.hpp"
#include "runtime/lab/bench/report.hpp"
#include "runtime/lab/bench/run_case.hpp"
#include "runtime/lab/bench/server_process.hpp"
#include "runtime/lab/bench/worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <unistd.h>

namespace sluice::cli {

namespace {

struct bench_command {
  bench::case_sizes sizes;
  bench::growth_sizes growth_sizes;
  std::vector<std::string> names;
  double seconds = 0.5;
  int64_t duration_ms = 0;
  size_t rounds = 5;
  std::string folder;
  std::string plots;
  bool is_growth = false;
  bool is_quick = false;
  bool lists = false;
  bool json = false;
};

// With these values a run takes less than 30 s on two cores. On a busy machine it leaves out the last cases.
constexpr std::chrono::milliseconds quick_duration{40};
constexpr size_t quick_rounds = 3;
constexpr std::chrono::seconds quick_time{24};

bench::case_sizes quick_sizes() { return {{1, 64}, {1, 16}}; }

std::vector<bench::bench_case> cases_of(const bench_command& asked) {
  return asked.is_growth ? bench::growth_cases(asked.growth_sizes) : bench::all_cases(asked.sizes);
}

std::string names_of(const std::vector<bench::bench_case>& cases) {
  std::string result;
  for (const auto& each : cases)
    result += (result.empty() ? "" : ", ") + each.name;
  return result;
}

int list_cases(const std::vector<bench::bench_case>& cases) {
  std::string result;
  for (const auto& each : cases)
    result += fmt::format("{:<26} {}\n", each.name, each.title);
  return finish(result);
}

// Keeps the requested cases. Returns the name of one that does not exist, or nothing.
std::optional<std::string> choose(std::vector<bench::bench_case>& cases, const std::vector<std::string>& names) {
  for (const auto& name : names)
    if (std::none_of(cases.begin(), cases.end(), [&](const auto& x) { return x.name == name; }))
      return name;
  if (!names.empty())
    std::erase_if(cases, [&](const auto& x) { return std::find(names.begin(), names.end(), x.name) == names.end(); });
  return {};
}

struct left_out_case {
  std::string name;
  const char* reason;
};

// The cases of a complete run that this one does not have.
std::vector<left_out_case> left_out_of(const std::vector<bench::bench_case>& chosen, const bench_command& asked) {
  const auto* reason = !asked.names.empty() ? "other cases were asked for"
                       : asked.is_quick     ? "fewer sizes, by --quick or as asked for"
                                            : "other sizes were asked for";
  std::vector<left_out_case> result;
  for (const auto& known : asked.is_growth ? bench::growth_cases({}) : bench::all_cases({}))
    if (std::none_of(chosen.begin(), chosen.end(), [&](const auto& selected) { return selected.name == known.name; }))
      result.push_back({known.name, reason});
  return result;
}

bench::run_options options_of(const bench_command& asked) {
  bench::run_options options;
  options.rounds = asked.rounds;
  options.duration = asked.duration_ms > 0 ? std::chrono::milliseconds{asked.duration_ms}
                                           : std::chrono::milliseconds{static_cast<int64_t>(asked.seconds * 1'000)};
  options.folder = asked.folder.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path{asked.folder};
  return options;
}

// The load average of the last minute: processes that ran or waited for the disk.
double load_average() {
  double result = 0;
  return getloadavg(&result, 1) == 1 ? result : 0;
}

nlohmann::json document_of(const bench_command& asked, const bench::run_options& options, double load,
                           const std::vector<bench::case_result>& results, const std::vector<left_out_case>& left_out) {
  auto cases = nlohmann::json::array();
  auto failed = nlohmann::json::array();
  for (const auto& result : results) {
    cases.push_back(bench::to_json(result));
    if (!result.failure.empty())
      failed.push_back({{"case", result.name}, {"failure", result.failure}});
  }
  auto missing = nlohmann::json::array();
  for (const auto& skipped : left_out)
    missing.push_back({{"case", skipped.name}, {"why", skipped.reason}});
  return {{"folder", options.folder.string()},
          {"quick", asked.is_quick},
          {"rounds", options.rounds},
          {"duration_ms", options.duration.count()},
          {"cores", std::thread::hardware_concurrency()},
          {"load_average", load},
          {"cases", std::move(cases)},
          {"left_out", std::move(missing)},
          {"failed", std::move(failed)},
          {"summary", bench::summary_of(results)}};
}

std::vector<bench::case_result> run_all(const std::vector<bench::bench_case>& cases, const bench_command& asked,
                                        const bench::run_options& options, std::vector<left_out_case>& left_out) {
  std::vector<bench::case_result> results;
  auto show_progress = isatty(STDERR_FILENO) != 0;
  auto begin = bench::bench_clock::now();
  for (const auto& next : cases) {
    if (asked.is_quick && asked.names.empty() && bench::bench_clock::now() - begin > quick_time) {
      left_out.push_back({next.name, "the time of --quick was over"});
      continue;
    }
    if (show_progress)
      fmt::print(stderr, "\r{:70}\rmeasuring case {} of {}: {} ...", "", results.size() + 1, cases.size(), next.name);
    results.push_back(bench::run_case(next, options));
    if (show_progress)
      fmt::print(stderr, "\r{:70}\r", "");
    if (!asked.json)
      bench::print(stdout, results.back());
  }
  return results;
}

void print_left_out(const std::vector<left_out_case>& left_out) {
  const char* reason = "";
  for (const auto& skipped : left_out) {
    fmt::print(stdout, "{}{}",
               std::string_view{reason} == skipped.reason ? ", " : fmt::format("\nleft out ({}): ", skipped.reason),
               skipped.name);
    reason = skipped.reason;
  }
  if (!left_out.empty())
    fmt::print(stdout, "\n");
}

int finish_text(const bench::run_options& options, double load, const std::vector<bench::case_result>& results,
                const std::vector<left_out_case>& left_out, const std::vector<std::filesystem::path>& plots) {
  fmt::print(stdout,
             "\n{} rounds of {} ms per contender, interleaved; ratios are the median of the rounds, with the least and "
             "the greatest; load average before the run: {:.1f}\n",
             options.rounds, options.duration.count(), load);
  print_left_out(left_out);
  for (const auto& plot : plots)
    fmt::print(stdout, "plot: {}\n", plot.string());
  fmt::print(stdout, "\n{}\n", bench::summary_of(results));
  // Flushes the buffer of stdout.
  return finish("");
}

int report_failures(const std::vector<bench::case_result>& results) {
  std::string failed;
  for (const auto& result : results)
    if (!result.failure.empty())
      failed += fmt::format("{}{} ({})", failed.empty() ? "" : "; ", result.name, result.failure);
  return failed.empty() ? done : fail(make_failure(errc::internal, "cases failed: " + failed), false);
}

int run(const bench_command& asked) {
  auto cases = cases_of(asked);
  if (asked.lists)
    return list_cases(cases);
  auto all_names = names_of(cases);
  if (auto unknown = choose(cases, asked.names))
    return usage_error(
      fmt::format("bench has no case '{}' with these --agents and --processes; it has: {}", *unknown, all_names),
      asked.json);
  auto left_out = left_out_of(cases, asked);
  auto options = options_of(asked);
  auto load = load_average();
  if (!asked.plots.empty())
    std::filesystem::create_directories(asked.plots);
  auto results = run_all(cases, asked, options, left_out);
  auto plots = asked.plots.empty() ? std::vector<std::filesystem::path>{} : bench::write_plots(results, asked.plots);
  auto printed = asked.json
                   ? status_of(print_json(dump_pretty(document_of(asked, options, load, results, left_out)) + "\n"))
                   : finish_text(options, load, results, left_out, plots);
  auto failed = report_failures(results);
  return failed != done ? failed : printed;
}

// The options on the command line, which --quick does not change.
struct given_options {
  bool has_time = false;
  bool has_rounds = false;
  bool has_agents = false;
  bool has_processes = false;
};

void make_quick(bench_command& asked, const given_options& given) {
  if (!given.has_time)
    asked.duration_ms = quick_duration.count();
  if (!given.has_rounds)
    asked.rounds = quick_rounds;
  // A case that is named must exist.
  if (!asked.names.empty())
    return;
  asked.growth_sizes = bench::quick_growth_sizes();
  if (!given.has_agents)
    asked.sizes.agents = quick_sizes().agents;
  if (!given.has_processes)
    asked.sizes.processes = quick_sizes().processes;
}

struct hidden_command {
  std::string root;
  int kind = 0;
  int64_t duration_ms = 0;
  size_t count = 1;
};

} // namespace

void declare_bench(CLI::App& command, action& chosen) {
  auto asked = std::make_shared<bench_command>();
  command.add_flag("--list", asked->lists, "print the names of the cases");
  command.add_option("--case", asked->names, "run this case alone; may be repeated")->type_name("NAME");
  command.add_flag("--growth", asked->is_growth, "the cases of how the cost of a request grows with sizes");
  command.add_flag("--quick", asked->is_quick, "fewer sizes and short rounds: a run in less than 30 s");
  auto* seconds = command.add_option("--seconds", asked->seconds, "how long each contender runs in each round")
                    ->check(CLI::Range(0.001, 3'600.0))
                    ->capture_default_str();
  auto* duration = command.add_option("--duration-ms", asked->duration_ms, "the same in milliseconds")
                     ->check(CLI::Range(1, 3'600'000))
                     ->excludes(seconds);
  auto* rounds = command.add_option("--rounds", asked->rounds, "how often the contenders of a case run, in turn")
                   ->check(CLI::Range(1, 1'000))
                   ->capture_default_str();
  auto* agents = command
                   .add_option("--agents", asked->sizes.agents,
                               "numbers of agents for the cases within one process, separated by commas; 0 leaves "
                               "these cases out")
                   ->delimiter(',')
                   ->check(CLI::Range(0, 10'000))
                   ->capture_default_str();
  auto* processes = command
                      .add_option("--processes", asked->sizes.processes,
                                  "numbers of processes for the cases across processes, separated by commas; 0 leaves "
                                  "these cases and the commands out")
                      ->delimiter(',')
                      ->check(CLI::Range(0, 4'000))
                      ->capture_default_str();
  command.add_option("--folder", asked->folder, "folder of the files, on the disk to measure [the temporary folder]");
  command.add_option("--plots", asked->plots, "write SVG plots of rate and p99 into this folder")->type_name("FOLDER");
  command.add_flag("--json", asked->json, "one JSON document on standard output");
  command.callback([asked, &chosen, seconds, duration, rounds, agents, processes] {
    if (asked->is_quick)
      make_quick(*asked, {seconds->count() + duration->count() > 0, rounds->count() > 0, agents->count() > 0,
                          processes->count() > 0});
    std::erase(asked->sizes.agents, size_t{0});
    std::erase(asked->sizes.processes, size_t{0});
    if (agents->count() > 0)
      asked->growth_sizes.agents = asked->sizes.agents;
    if (processes->count() > 0)
      asked->growth_sizes.processes = asked->sizes.processes;
    chosen = [asked] { return run(*asked); };
  });
}

void declare_bench_worker(CLI::App& command, action& chosen) {
  auto asked = std::make_shared<hidden_command>();
  command.add_option("ROOT", asked->root)->required();
  command.add_option("WORK", asked->kind)->required()->check(CLI::Range(0, bench::last_work));
  command.add_option("MS", asked->duration_ms)->required();
  command.add_option("COUNT", asked->count)->required();
  command.callback([asked, &chosen] {
    chosen = [asked] {
      return bench::run_workers(asked->count, static_cast<bench::work>(asked->kind), asked->root,
                                std::chrono::milliseconds{asked->duration_ms});
    };
  });
}

void declare_bench_server(CLI::App& command, action& chosen) {
  auto asked = std::make_shared<hidden_command>();
  command.add_option("ROOT", asked->root)->required();
  command.add_option("KIND", asked->kind)->required()->check(CLI::Range(0, 3));
  command.callback([asked, &chosen] {
    chosen = [asked] { return bench::run_server(static_cast<bench::server_kind>(asked->kind), asked->root); };
  });
}

} // namespace sluice::cli
