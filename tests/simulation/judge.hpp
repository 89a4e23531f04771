#pragma once

#include "tests/simulation/history.hpp"
#include "tests/simulation/world.hpp"

#include <optional>

namespace sluice::simulation {

/// Checks every file of a store whose broker has closed, and the answers of clients. Nothing if all invariants hold.
std::optional<violation> judge(const settings& set, const history& seen, const world& where);

} // namespace sluice::simulation
