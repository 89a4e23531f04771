#pragma once

#include "runtime/scenario/play.hpp"
#include "runtime/scenario/step.hpp"

#include <vector>

/// The kinds of steps, by what they are about. Each function makes a part of the table.
namespace sluice::scenario {

/// Requests of agents: the methods of the protocol.
std::vector<step_kind> request_kinds();

/// What goes wrong: in the broker's process, on its disk, and by others who open the files.
std::vector<step_kind> fault_kinds();

/// Waiting, repeating, doing several things at once; what is known of several answers together.
std::vector<step_kind> control_kinds();

} // namespace sluice::scenario
