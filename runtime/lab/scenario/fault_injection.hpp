#pragma once

#include "actors/shared/actor_registry.hpp"
#include "runtime/sqlite/faults/fault_vfs.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <functional>

/// Executes the steps `kill` and `disk.*` of scenarios on a broker in this process. Their fields are as the parser of
/// scenarios has checked them, with `do` for the kind of disk step.
namespace sluice::scenario {

/// Kills an actor. Returns a function that is true when the supervisor has restarted it, or has given it up;
/// `unavailable` when there is no such actor, `invalid_request` when the database is missing. `actors` outlives both.
caf::expected<std::function<bool()>> kill_actor(actor_registry& actors, const nlohmann::json& fields);

/// Makes the disk fail, fill up or recover.
caf::expected<nlohmann::json> break_disk(sqlite::fault_vfs& disk, const nlohmann::json& command);

} // namespace sluice::scenario
