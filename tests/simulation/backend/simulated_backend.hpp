#pragma once

#include "runtime/lab/scenario/backend.hpp"

#include <cstdint>
#include <memory>

namespace sluice::simulation {

/// A backend on a simulated machine: the real broker behind the methods of its front door, one message at a time in an
/// order that `seed` decides, on a clock and a disk of its own. Agents behave like the client library: requests with a
/// key, and those that change nothing, are sent again when the broker has died; the outcome of others is unknown.
///
/// Replaces SQLite's disk in the whole process, so only one can exist at a time.
std::unique_ptr<scenario::backend> make_simulated_backend(uint64_t seed);

} // namespace sluice::simulation
