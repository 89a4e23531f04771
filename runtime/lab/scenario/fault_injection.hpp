#pragma once

#include "actors/shared/actor_registry.hpp"
#include "runtime/sqlite/faults/fault_vfs.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <functional>

/// The steps `kill` and `disk.*` of scenarios, done to a broker in this process. Their fields are as the parser of
/// scenarios has let them through, with `do` for the kind of the disk's.
namespace sluice::scenario {

/// Kills an actor. Answers with what tells whether its place has been taken, or given up: the supervisor sees to that;
/// `unavailable` when there is none, `invalid_request` when it is not said of which database. `actors` outlives both.
caf::expected<std::function<bool()>> kill_actor(actor_registry& actors, const nlohmann::json& fields);

/// Has the disk fail, fill up or recover.
caf::expected<nlohmann::json> break_disk(sqlite::fault_vfs& disk, const nlohmann::json& command);

} // namespace sluice::scenario
