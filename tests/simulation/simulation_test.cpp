#include "tests/simulation/campaign.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace sluice::test::simulation_test {

namespace {

using namespace sluice::simulation;

// The number of seeds; a build with sanitizers is ten times slower.
uint64_t seeds_of_a_test() {
  if (const auto* wanted = std::getenv("SLUICE_SEEDS"))
    return std::strtoull(wanted, nullptr, 10);
  return known_defects().empty() ? 60 : 1'300;
}

std::string text_of(const tally& tally) {
  return tally.failed ? "simulation --seed " + std::to_string(*tally.failed) + ": " + tally.broken->invariant + ": "
                          + tally.broken->details
                      : "";
}

// Reports the seed and the violation, so that a failure can be read.
void holds(uint64_t first, uint64_t count) {
  auto result = run_seeds(first, [count](const tally& so_far) { return so_far.seeds >= count; });
  CHECK(text_of(result) == "");
}

// Finds a seed that shows the defect.
verdict found_with(defect defect, uint64_t& seed) {
  auto found = hunt(defect, 1, 200);
  REQUIRE(found.failed);
  seed = *found.failed;
  with_defect active{defect};
  return run(make_plan(seed));
}

} // namespace

TEST_CASE("every invariant holds for the first seeds") { holds(1, seeds_of_a_test()); }

TEST_CASE("every invariant holds for new seeds") { holds(1'000'000, seeds_of_a_test() / 2); }

TEST_CASE("every invariant holds for the seeds that once found a mistake") {
  std::ifstream file{SLUICE_SOURCE_DIR "/tests/simulation/seeds.txt"};
  REQUIRE(file);
  uint64_t count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#')
      continue;
    std::istringstream words{line};
    uint64_t seed = 0;
    REQUIRE((words >> seed));
    ++count;
    auto result = run(make_plan(seed));
    INFO(line);
    CHECK((result.broken ? result.broken->invariant + ": " + result.broken->details : "") == "");
  }
  CHECK(count > 0);
}

TEST_CASE("the same seed gives the same trace and the same bytes on the disk twice") {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    auto once = run(make_plan(seed));
    // Another run in between changes the heap.
    auto other = run(make_plan(seed + 1'000));
    auto twice = run(make_plan(seed), true);
    INFO("seed " << seed);
    CHECK(once.trace_hash == twice.trace_hash);
    CHECK(once.digest == twice.digest);
    CHECK(once.digest != 0);
    CHECK(once.steps == twice.steps);
    CHECK(once.trace_hash != other.trace_hash);
  }
}

TEST_CASE("every deliberate defect is found") {
  for (const auto& defect : known_defects()) {
    INFO(defect.name);
    auto found = hunt(defect.which, defect.search_from, 3'000);
    CHECK(found.failed);
  }
}

TEST_CASE("a seed that fails is shrunk to a few operations that still break the same invariant") {
  if (known_defects().empty())
    return;
  uint64_t seed = 0;
  auto result = found_with(defect::reverse_ledger, seed);
  REQUIRE(result.broken);
  with_defect active{defect::reverse_ledger};
  auto whole = make_plan(seed);
  auto small = shrink(whole, 600);
  REQUIRE(small.result.broken);
  CHECK(small.result.broken->invariant == result.broken->invariant);
  CHECK(small.smallest.operations() < whole.operations());
  CHECK(small.smallest.operations() <= 20);
  auto again = run(small.smallest);
  REQUIRE(again.broken);
  CHECK(again.broken->details == small.result.broken->details);
}

TEST_CASE("the trace of a seed that fails ends with the broken invariant") {
  if (known_defects().empty())
    return;
  uint64_t seed = 0;
  found_with(defect::skip_commit_number, seed);
  with_defect active{defect::skip_commit_number};
  auto result = run(make_plan(seed), true);
  REQUIRE(result.broken);
  REQUIRE(!result.lines.empty());
  CHECK(result.lines.back().find(result.broken->details) != std::string::npos);
}

} // namespace sluice::test::simulation_test
