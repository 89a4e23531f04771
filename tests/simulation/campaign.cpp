#include "tests/simulation/campaign.hpp"

namespace sluice::simulation {

tally run_seeds(uint64_t first, const std::function<bool(const tally&)>& enough) {
  tally result;
  auto begin = std::chrono::steady_clock::now();
  while (!result.failed && !enough(result)) {
    auto seed = first + result.seeds;
    auto x = run(make_plan(seed));
    ++result.seeds;
    result.operations += x.operations;
    result.steps += x.steps;
    result.crashes += x.crashes;
    if (x.broken) {
      result.failed = seed;
      result.broken = std::move(x.broken);
    }
    result.took = std::chrono::steady_clock::now() - begin;
  }
  return result;
}

tally hunt(defect x, uint64_t first, uint64_t most) {
  with_defect active{x};
  return run_seeds(first, [most](const tally& so_far) { return so_far.seeds >= most; });
}

} // namespace sluice::simulation
