#include "runtime/server/rpc/capsule_params.hpp"
#include "runtime/server/rpc/json_fields.hpp"

namespace sluice::rpc {

namespace {

using nlohmann::json;

caf::error take_tier(const json& content, std::string_view field, tier& to) {
  auto found = content.is_string() ? tier_of(content.get_ref<const std::string&>()) : std::nullopt;
  if (!found)
    return invalid(field, R"(must be "untrusted", "basic", "verified" or "core")");
  to = *found;
  return caf::none;
}

caf::error take_name(const json& content, std::string_view field) {
  std::string ignored;
  return take(content, field, ignored);
}

// A request that has one text besides its agent.
caf::expected<std::string> only_text(const json& params, std::string_view field) {
  std::string result;
  auto error = read_object(params, "params", {field}, [&](const std::string& name, const json& content) {
    if (name == "agent")
      return take_name(content, name);
    return name == field ? take(content, name, result) : unknown_member(name);
  });
  return result_or(std::move(error), result);
}

} // namespace

caf::error take_capsule(const json& content, std::string_view field, std::shared_ptr<const request_grant>& to) {
  request_grant grant;
  if (auto error = take(content, field, grant.capsule))
    return error;
  if (grant.capsule.empty())
    return invalid(field, "is empty; leave it out");
  to = std::make_shared<const request_grant>(std::move(grant));
  return caf::none;
}

caf::expected<capsule_wish> capsule_wish_from_json(const json& params) {
  capsule_wish result;
  int64_t expires_ms = 0;
  auto error = read_object(params, "params", {"holder", "tier", "scopes", "expires_ms"},
                           [&](const std::string& name, const json& content) {
                             if (name == "holder")
                               return take(content, name, result.agent);
                             if (name == "tier")
                               return take_tier(content, name, result.tier);
                             if (name == "scopes")
                               return take(content, name, result.scopes);
                             if (name == "expires_ms")
                               return take(content, name, expires_ms, int64_t{1}, max_capsule_lifetime_us / 1'000);
                             if (name == "parent")
                               return take(content, name, result.parent);
                             return name == "agent" ? take_name(content, name) : unknown_member(name);
                           });
  result.lifetime = std::chrono::milliseconds{expires_ms};
  if (!error)
    error = capsule_authority::check(result);
  return result_or(std::move(error), result);
}

caf::expected<std::string> capsule_from_json(const json& params) { return only_text(params, "capsule"); }

caf::expected<std::string> proof_from_json(const json& params) { return only_text(params, "proof"); }

caf::expected<proof_request> proof_request_from_json(const json& params) {
  proof_request result;
  auto error = read_object(params, "params", {"db", "first"}, [&](const std::string& name, const json& content) {
    if (name == "db")
      return take(content, name, result.db);
    if (name == "first")
      return take(content, name, result.first, uint64_t{1}, uint64_t{1} << 62);
    if (name == "last")
      return take(content, name, result.last, uint64_t{1}, uint64_t{1} << 62);
    return name == "agent" ? take_name(content, name) : unknown_member(name);
  });
  if (result.last == 0)
    result.last = result.first;
  return result_or(std::move(error), result);
}

caf::expected<uint64_t> promotion_limit_from_json(const json& params) {
  uint64_t result = 1'000;
  auto error = read_object(params, "params", {}, [&](const std::string& name, const json& content) {
    if (name == "limit")
      return take(content, name, result, uint64_t{1}, uint64_t{10'000});
    return name == "agent" ? take_name(content, name) : unknown_member(name);
  });
  return result_or(std::move(error), result);
}

} // namespace sluice::rpc
