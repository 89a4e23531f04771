#pragma once

#include "messages/audit.hpp"

#include <nlohmann/json_fwd.hpp>

namespace sluice::rpc {

/// Copies the members that requests have in common (`agent` or `caller`, `db`, `request_id`, `correlation_id`) from
/// `params`, even if others are invalid. Skips members that are not text, or far too long.
void read_names(const nlohmann::json& params, unrecorded_request& to);

} // namespace sluice::rpc
