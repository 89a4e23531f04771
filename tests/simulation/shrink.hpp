#pragma once

#include "tests/simulation/runner.hpp"

#include <functional>

namespace sluice::simulation {

/// A plan that no longer breaks the same invariant if anything more is left out.
struct shrunk_plan {
  plan smallest;
  verdict result;
  uint64_t runs = 0;
};

/// Leaves out clients, incidents and operations of a plan that breaks an invariant, as long as it breaks the same one.
/// At most `most` runs. @pre `run(x)` breaks one
shrunk_plan shrink(const plan& plan, uint64_t most = 2'000);

} // namespace sluice::simulation
