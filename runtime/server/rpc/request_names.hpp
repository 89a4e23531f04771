#pragma once

#include "messages/audit.hpp"

#include <nlohmann/json_fwd.hpp>

namespace sluice::rpc {

/// Takes over what `params` says of who asks and what about, in the members that requests have in common (`agent`,
/// `db`, `request_id`, `correlation_id`), whatever else is wrong with it. What is no text, or far too long, is left
/// alone.
void read_names(const nlohmann::json& params, unrecorded_request& to);

} // namespace sluice::rpc
