#pragma once

#include "runtime/lab/scenario/backend.hpp"

#include <cstdint>
#include <memory>

namespace sluice::simulation {

/// A stage on a simulated machine: the real broker behind the methods of its front door, one message at a time in an
/// order that `seed` decides, on a clock and a disk of its own. Agents are as with the client library: what they sent
/// with a key, and what changes nothing, is sent again when the broker has died; the fate of the rest is unknown.
///
/// Takes SQLite's disk from the whole process, so there is one at a time.
std::unique_ptr<scenario::backend> make_simulated_stage(uint64_t seed);

} // namespace sluice::simulation
