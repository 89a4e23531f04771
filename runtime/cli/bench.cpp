#include "runtime/bench/report.hpp"
#include "runtime/cli/commands.hpp"

#include <fmt/core.h>

#include <memory>
#include <unistd.h>

namespace sluice::cli {

namespace {

struct bench_command {
  size_t agents = 64;
  double seconds = 2;
  std::string folder;
  bool json = false;
};

int run(const bench_command& asked) {
  bench::bench_options options;
  options.agents = asked.agents;
  options.duration = std::chrono::milliseconds{static_cast<int64_t>(asked.seconds * 1'000)};
  options.folder = asked.folder.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path{asked.folder};
  auto all = nlohmann::json::array();
  auto show_progress = isatty(STDERR_FILENO) != 0;
  for (auto* make : {bench::many_writers, bench::lone_writer, bench::cached_read, bench::uncached_reads}) {
    if (show_progress)
      fmt::print(stderr, "\rmeasuring case {} of 4 ...", all.size() + 1);
    auto report = make(options);
    if (show_progress)
      fmt::print(stderr, "\r{:30}\r", "");
    if (!asked.json)
      bench::print(stdout, report);
    all.push_back(bench::to_json(report));
  }
  if (asked.json)
    fmt::print("{}\n", nlohmann::json{{"folder", options.folder.string()}, {"cases", std::move(all)}}.dump(2));
  return 0;
}

} // namespace

void declare_bench(CLI::App& command, action& chosen) {
  auto asked = std::make_shared<bench_command>();
  command.add_option("--agents", asked->agents, "agents of the many-writers case")
    ->check(CLI::Range(1, 10'000))
    ->capture_default_str();
  command.add_option("--seconds", asked->seconds, "how long each contender runs")
    ->check(CLI::Range(0.05, 3'600.0))
    ->capture_default_str();
  command.add_option("--folder", asked->folder, "where the files go; its disk is what is measured [the temporary folder]");
  command.add_flag("--json", asked->json, "one JSON document on standard output");
  command.callback([asked, &chosen] { chosen = [asked] { return run(*asked); }; });
}

} // namespace sluice::cli
