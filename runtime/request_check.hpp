#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"

#include <optional>

namespace sluice {

/// Checks what can be told from a request alone, and fills in what may be left out (the agent's name). Nothing when it
/// is well formed, else `invalid_request` naming the field. Values and SQL are looked at when they are bound.
std::optional<failure> check(write_request& request);
std::optional<failure> check(read_request& request);

} // namespace sluice
