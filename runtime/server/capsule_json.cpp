#include "runtime/server/capsule_json.hpp"

#include "runtime/json/hex.hpp"
#include "runtime/json/json.hpp"

#include <nlohmann/json.hpp>

namespace sluice {

using nlohmann::json;

json as_json(const capsule& grant) {
  json result{{"id", to_hex(grant.id)},         {"holder", grant.agent},
              {"tier", to_string(grant.tier)},  {"scopes", grant.scopes},
              {"issued_us", grant.issued_us},   {"issued", iso_time(grant.issued_us)},
              {"expires_us", grant.expires_us}, {"expires", iso_time(grant.expires_us)},
              {"policy", to_hex(grant.policy)}, {"store", to_hex(grant.store)}};
  if (grant.ancestors.empty())
    return result;
  auto& ancestors = result["ancestors"] = json::array();
  for (const auto& each : grant.ancestors)
    ancestors.push_back(to_hex(each));
  return result;
}

json as_json(const promotion& accepted) {
  return {{"id", accepted.id},
          {"ts_us", accepted.ts_us},
          {"ts", iso_time(accepted.ts_us)},
          {"agent", accepted.agent},
          {"db", accepted.db},
          {"first", accepted.first_seq},
          {"last", accepted.last_seq},
          {"head", to_hex(accepted.head)},
          {"proof", to_hex(accepted.proof)},
          {"policy", to_hex(accepted.policy)}};
}

} // namespace sluice
