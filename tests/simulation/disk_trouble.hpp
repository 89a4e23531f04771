#pragma once

#include "runtime/sqlite/faults/fault_rules.hpp"
#include "tests/simulation/plan.hpp"

namespace sluice::simulation {

/// The disk fault of an incident.
sqlite::disk_fault fault_of(const incident& event, sqlite::disk_effect effect, dice& luck);

} // namespace sluice::simulation
