#include "runtime/lab/scenario/runner.hpp"
#include "runtime/lab/scenario/scenario.hpp"
#include "tests/simulation/backend/simulated_backend.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::simulation {

namespace {

using end = scenario::report::end;

struct tally {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
};

// Prints the report of the first seed that fails, or else of the last one.
std::pair<scenario::report, uint64_t> run_seeds(const scenario::definition& definition, uint64_t first, uint64_t last,
                                                bool verbose) {
  scenario::run_options options;
  // Scenarios may let a year pass.
  options.time_limit = std::chrono::hours{24 * 400};
  if (verbose)
    options.on_step = [](const scenario::step& step, const nlohmann::json& answer) {
      fmt::print(stderr, "  line {}: {}: {}\n", step.at.line, scenario::title_of(step), answer.dump());
    };
  for (auto seed = first;; ++seed) {
    auto on = make_simulated_backend(seed);
    auto went = scenario::run(definition, *on, options);
    if (went.status != end::passed || seed == last)
      return {std::move(went), seed};
  }
}

void tell(const std::string& file, const scenario::definition& definition, const scenario::report& went, uint64_t seed,
          tally& to) {
  auto& count = went.status == end::passed ? to.passed : went.status == end::skipped ? to.skipped : to.failed;
  ++count;
  if (went.status == end::skipped)
    return fmt::print("skipped - {}: {}\n", definition.name, went.complaints.front().text);
  fmt::print("{} - {}\n", went.status == end::passed ? "ok" : "not ok", definition.name);
  for (const auto& complaint : went.complaints)
    fmt::print("  seed {}: {}:{}:{}: {}\n", seed, file, complaint.at.line, complaint.at.column, complaint.text);
}

int run(const std::vector<std::string>& files, uint64_t first, uint64_t last, bool verbose) {
  tally all;
  for (const auto& file : files) {
    auto read = scenario::read_scenario(file);
    if (const auto* error = std::get_if<scenario::wrong_file>(&read)) {
      fmt::print("not ok - {}:{}:{}: {}\n", file, error->at.line, error->at.column, error->text);
      ++all.failed;
      continue;
    }
    const auto& definition = std::get<scenario::definition>(read);
    auto [went, seed] = run_seeds(definition, first, last, verbose);
    tell(file, definition, went, seed, all);
  }
  fmt::print("{} passed, {} failed, {} skipped\n", all.passed, all.failed, all.skipped);
  return all.failed > 0 ? 1 : 0;
}

} // namespace

} // namespace sluice::simulation

int main(int argc, char** argv) {
  CLI::App app{
    "Plays scenarios (docs/guides/scenarios.md) on the simulation: a fake clock, and an order that a seed decides"};
  std::vector<std::string> files;
  uint64_t first = 1;
  uint64_t seeds = 1;
  bool verbose = false;
  app.add_option("FILE", files, "Scenarios")->required()->check(CLI::ExistingFile);
  app.add_option("--seed", first, "The seed, or the first of several [1]");
  app.add_option("--count", seeds, "How many seeds to run each with [1]")->check(CLI::PositiveNumber);
  app.add_flag("-v,--verbose", verbose, "Print the answer of each step on stderr");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return sluice::simulation::run(files, first, first + seeds - 1, verbose);
}
