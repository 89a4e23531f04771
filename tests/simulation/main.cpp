// Runs sluice on a simulated machine, with faults; see docs/internals/simulation.md.

#include "tests/simulation/campaign.hpp"

#include <CLI/CLI.hpp>

#include <cinttypes>
#include <cstdio>
#include <memory>
#include <string>

namespace {

using namespace sluice::simulation;

constexpr int failed = 1;
constexpr int usage = 2;
// The number of seeds within which a defect should be found.
constexpr uint64_t hunt_at_most = 3'000;

struct options {
  std::optional<uint64_t> seed;
  uint64_t first = 1;
  std::optional<uint64_t> last;
  std::optional<uint64_t> seconds;
  std::string defect;
  bool trace = false;
  bool shrinks = true;
};

bool read_range(const std::string& text, options& to) {
  auto dots = text.find("..");
  if (dots == std::string::npos)
    return false;
  try {
    size_t end = 0;
    to.first = std::stoull(text.substr(0, dots));
    to.last = std::stoull(text.substr(dots + 2), &end);
    return *to.last >= to.first && end == text.size() - dots - 2;
  } catch (const std::exception&) {
    return false;
  }
}

void print(const tally& tally) {
  auto seconds = tally.took.count() > 0 ? tally.took.count() : 1e-9;
  std::printf("%" PRIu64 " seeds in %.1f s: %.1f seeds/s, %" PRIu64 " operations (%.0f/s), %" PRIu64
              " messages, %" PRIu64 " crashes\n",
              tally.seeds, tally.took.count(), static_cast<double>(tally.seeds) / seconds, tally.operations,
              static_cast<double>(tally.operations) / seconds, tally.steps, tally.crashes);
}

void print_lines(const verdict& verdict) {
  for (const auto& line : verdict.lines)
    std::puts(line.c_str());
}

// Prints everything that helps to understand why a seed fails.
void explain(uint64_t seed, const options& chosen) {
  auto whole = make_plan(seed);
  auto result = run(whole, true);
  if (!result.broken)
    return;
  auto again = chosen.defect.empty() ? "" : " --defect " + chosen.defect;
  if (!chosen.shrinks) {
    std::fputs(to_string(whole).c_str(), stdout);
    print_lines(result);
  } else {
    auto small = shrink(whole);
    std::printf("\n%" PRIu64 " operations of %" PRIu64 " are left after %" PRIu64 " runs:\n",
                small.smallest.operations(), whole.operations(), small.runs);
    std::fputs(to_string(small.smallest).c_str(), stdout);
    std::puts("");
    print_lines(run(small.smallest, true));
    result.broken = small.result.broken;
  }
  std::printf("\nbroken: %s\n  %s\nagain: simulation --seed %" PRIu64 "%s\n", result.broken->invariant.c_str(),
              result.broken->details.c_str(), seed, again.c_str());
}

int run_one(const options& chosen) {
  auto result = run(make_plan(*chosen.seed), chosen.trace);
  if (chosen.trace && !result.broken) {
    std::fputs(to_string(make_plan(*chosen.seed)).c_str(), stdout);
    print_lines(result);
  }
  std::printf("seed %" PRIu64 ": %s, %" PRIu64 " operations, %" PRIu64 " messages, %" PRIu64
              " crashes, trace %016" PRIx64 "\n",
              *chosen.seed, result.broken ? "fails" : "holds", result.operations, result.steps, result.crashes,
              result.trace_hash);
  if (!result.broken)
    return 0;
  explain(*chosen.seed, chosen);
  return failed;
}

int run_many(const options& chosen) {
  auto enough = [&](const tally& so_far) {
    if (chosen.last && so_far.seeds > *chosen.last - chosen.first)
      return true;
    return chosen.seconds && so_far.took.count() >= static_cast<double>(*chosen.seconds);
  };
  auto result = run_seeds(chosen.first, enough);
  print(result);
  if (!result.failed)
    return 0;
  explain(*result.failed, chosen);
  return failed;
}

int run_defects() {
  if (known_defects().empty()) {
    std::fputs("simulation: this build has no defects (it has sanitizers)\n", stderr);
    return usage;
  }
  std::printf("%-28s %6s  %s\n", "defect", "seeds", "found by");
  auto missed = false;
  for (const auto& defect : known_defects()) {
    auto found = hunt(defect.which, 1, hunt_at_most);
    missed |= !found.failed;
    std::printf("%-28s %6" PRIu64 "  %s\n", std::string{defect.name}.c_str(), found.seeds,
                found.failed ? found.broken->invariant.c_str() : "NOT FOUND");
    std::fflush(stdout);
  }
  return missed ? failed : 0;
}

int list_defects() {
  for (const auto& defect : known_defects())
    std::printf("%-28s %s\n", std::string{defect.name}.c_str(), std::string{defect.effect}.c_str());
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs sluice on a simulated machine, with faults"};
  options chosen;
  std::string range;
  auto defects = false;
  auto lists = false;
  app.add_option("--seed", chosen.seed, "runs this one");
  app.add_option("--seeds", range, "runs these, as in 1..1000, until one fails");
  app.add_option("--seconds", chosen.seconds, "runs for so long, from --seeds' first on or 1");
  app.add_option("--defect", chosen.defect, "gives the broker this deliberate defect");
  app.add_flag("--defects", defects, "how many seeds it takes to find each defect");
  app.add_flag("--list-defects", lists, "what the defects are");
  app.add_flag("--trace", chosen.trace, "prints what happens, a line per event, also when all is well");
  app.add_flag("!--whole", chosen.shrinks, "prints a seed that fails as it is, without shrinking it");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : usage;
  }
  if (lists)
    return list_defects();
  if (defects)
    return run_defects();
  std::unique_ptr<with_defect> active;
  if (!chosen.defect.empty()) {
    auto known = find_defect(chosen.defect);
    if (!known) {
      std::fprintf(stderr, "simulation: there is no defect '%s'; see --list-defects\n", chosen.defect.c_str());
      return usage;
    }
    active = std::make_unique<with_defect>(known->which);
  }
  if (chosen.seed)
    return run_one(chosen);
  if (!range.empty() && !read_range(range, chosen)) {
    std::fputs("simulation: --seeds wants a range, as in 1..1000\n", stderr);
    return usage;
  }
  if (range.empty() && !chosen.seconds) {
    std::fputs("simulation: say --seed, --seeds or --seconds; see --help\n", stderr);
    return usage;
  }
  return run_many(chosen);
}
