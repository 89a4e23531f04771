#pragma once

#include "messages/request_grant.hpp"
#include "runtime/capsule/capsule_authority.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

/// Reads the `params` of the methods about capsules and proofs. Pure functions; errors as those of `codec.hpp`.
namespace sluice::rpc {

/// The member `capsule` of a request.
caf::error take_capsule(const nlohmann::json& content, std::string_view field,
                        std::shared_ptr<const request_grant>& to);

/// `params` of `capsule.issue`: {"holder", "tier", "scopes":["DB:OPERATION", ...], "expires_ms"}, and optional "parent"
/// (a capsule) and "agent".
caf::expected<capsule_wish> capsule_wish_from_json(const nlohmann::json& params);

/// `params` of `capsule.verify` and `capsule.revoke`: {"capsule"}, and optional "agent"; returns the capsule.
caf::expected<std::string> capsule_from_json(const nlohmann::json& params);

/// `params` of `proof`: {"db", "first"}, and optional "last" (else `first`) and "agent".
struct proof_request {
  std::string db;
  uint64_t first = 0;
  uint64_t last = 0;
};
caf::expected<proof_request> proof_request_from_json(const nlohmann::json& params);

/// `params` of `promote`: {"proof" (its text)}, and optional "agent"; returns the text.
caf::expected<std::string> proof_from_json(const nlohmann::json& params);

/// `params` of `promotions`: optional "limit" (1 to 10,000) and "agent"; returns the limit.
caf::expected<uint64_t> promotion_limit_from_json(const nlohmann::json& params);

} // namespace sluice::rpc
