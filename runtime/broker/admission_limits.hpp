#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"
#include "runtime/policy/access_gate.hpp"
#include "runtime/store/config.hpp"

#include <optional>

namespace sluice {

/// Reduces time and returned rows of the request to what its agent may have, and marks its key as the agent's own if a
/// rule names the agent.
void apply(const admission& admitted, const database_config& defaults, write_request& request);

/// Reduces time and rows of the request to what its agent may have.
void apply(const admission& admitted, const database_config& defaults, read_request& request);

/// Why the agent may not open a cursor, which gives any number of rows; nothing if it may.
std::optional<failure> why_no_cursor(const admission& admitted);

} // namespace sluice
