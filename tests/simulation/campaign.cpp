#include "tests/simulation/campaign.hpp"

namespace sluice::simulation {

tally run_seeds(uint64_t first, const std::function<bool(const tally&)>& enough) {
  tally result;
  auto begin = std::chrono::steady_clock::now();
  while (!result.failed && !enough(result)) {
    auto seed = first + result.seeds;
    auto plan = run(make_plan(seed));
    ++result.seeds;
    result.operations += plan.operations;
    result.steps += plan.steps;
    result.crashes += plan.crashes;
    if (plan.broken) {
      result.failed = seed;
      result.broken = std::move(plan.broken);
    }
    result.took = std::chrono::steady_clock::now() - begin;
  }
  return result;
}

tally hunt(defect defect, uint64_t first, uint64_t most) {
  with_defect active{defect};
  return run_seeds(first, [most](const tally& so_far) { return so_far.seeds >= most; });
}

} // namespace sluice::simulation
