#pragma once

#include "actors/supervisor.hpp"
#include "runtime/broker_core.hpp"

namespace sluice {

/// Factories that spawn the actors on the files of `core`'s store. The core outlives what they spawn.
child_factories real_children(broker_core& core);

} // namespace sluice
