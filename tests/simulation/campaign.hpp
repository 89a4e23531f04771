#pragma once

#include "tests/simulation/defects.hpp"
#include "tests/simulation/shrink.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

namespace sluice::simulation {

/// The totals of many runs.
struct tally {
  uint64_t seeds = 0;
  uint64_t operations = 0;
  uint64_t steps = 0;
  uint64_t crashes = 0;
  /// The first seed that broke an invariant.
  std::optional<uint64_t> failed;
  std::optional<violation> broken;
  std::chrono::duration<double> took{0};
};

/// Runs one seed after the other until one fails or `enough`, called before each with the totals so far, returns true.
tally run_seeds(uint64_t first, const std::function<bool(const tally&)>& enough);

/// Runs seeds from `first` on, at most `most`, until the defect is found.
tally hunt(defect defect, uint64_t first, uint64_t most);

} // namespace sluice::simulation
