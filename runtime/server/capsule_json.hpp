#pragma once

#include "runtime/capsule/capsule.hpp"
#include "runtime/capsule/promotion.hpp"

#include <nlohmann/json_fwd.hpp>

/// Answers about capsules and proofs as JSON. Pure functions.
namespace sluice {

/// {"id", "holder", "tier", "scopes", "issued_us", "expires_us", "policy", "store"} and, of a derived one, "ancestors".
nlohmann::json as_json(const capsule& grant);

/// {"id", "ts", "ts_us", "agent", "db", "first", "last", "head", "proof", "policy"}
nlohmann::json as_json(const promotion& accepted);

} // namespace sluice
