#include "runtime/server/rpc/codec.hpp"

#include "runtime/json/json.hpp"
#include "runtime/server/rpc/json_fields.hpp"

namespace sluice::rpc {

namespace {

using nlohmann::json;

// The name of the object with a request's fields, in errors.
constexpr std::string_view request_fields = "params";

} // namespace

caf::expected<subscribe_request> subscribe_from_json(const json& params) {
  subscribe_request result;
  auto error = read_object(params, request_fields, {"db"}, [&](const std::string& name, const json& content) {
    if (name == "db")
      return rpc::take(content, name, result.db);
    if (name == "tables")
      return rpc::take(content, name, result.tables);
    if (name == "from_seq")
      return rpc::take(content, name, result.from_seq.emplace());
    if (name == "agent")
      return rpc::take(content, name, result.agent);
    return unknown_member(name);
  });
  return result_or(std::move(error), result);
}

caf::expected<hello_request> hello_from_json(const json& params) {
  hello_request result;
  auto error = read_object(params, request_fields, {"protocol"}, [&](const std::string& name, const json& content) {
    if (name == "protocol")
      return rpc::take(content, name, result.protocol, 1);
    if (name == "client")
      return rpc::take(content, name, result.client);
    if (name == "root") {
      auto root = file_identity_from_json(content);
      if (!root)
        return make_error(errc::invalid_request, "root: " + describe(root.error()).message);
      result.root = *root;
      return caf::error{};
    }
    // A later version may send more members before it knows the broker's version.
    return caf::error{};
  });
  return result_or(std::move(error), result);
}

} // namespace sluice::rpc
