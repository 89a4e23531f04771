#include "runtime/catalogue/operation_request.hpp"
#include "runtime/catalogue/operation_schema.hpp"
#include "runtime/catalogue/schema_check.hpp"
#include "runtime/migrations/migration_file.hpp"
#include "runtime/server/broker_handler_call.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/store_schema.hpp"

#include <fmt/format.h>

#include <variant>

namespace sluice {

using nlohmann::json;

namespace {

// A mistake in a file may be the reason why the operation is not there.
failure unknown_operation(const std::string& name, const live_catalogue& known) {
  auto message = fmt::format("there is no operation '{}'", name);
  if (known.mistake())
    message += "; the files of operations have changed and are not in force: " + known.mistake()->message;
  return make_failure(errc::unknown_operation, std::move(message));
}

json described(const operation& of, const schema_verdict& verdict) {
  auto result = listing_of(of);
  result["schema"] = to_string(verdict.state);
  if (!verdict.reason.empty())
    result["schema_reason"] = verdict.reason;
  return result;
}

} // namespace

void broker_handler::call_operation(const json& params, const call_ptr& call) {
  auto decoded = rpc::operation_call_from_json(params);
  if (!decoded)
    return call->fail(decoded.error());
  call->names.agent = decoded->agent;
  call->names.request_id = decoded->request_id;
  call->names.correlation_id = decoded->correlation_id;
  const auto& known = call->owner.operations();
  if (auto reason = agent_name_error(decoded->agent))
    return call->fail(make_error(errc::invalid_request, "agent " + *reason));
  const auto* found = known.operations()->find(decoded->operation);
  if (!found) {
    // Agents must not find out which operations there are beside their own.
    if (is_operation_name(decoded->operation)
        && !call->admit(decoded->agent, {method_access::operation, decoded->operation, {}, tier::untrusted, false}))
      return call->deny();
    return call->fail(unknown_operation(decoded->operation, known));
  }
  call->names.db = found->database;
  if (!call->may_call(*found, decoded->agent))
    return;
  if (decoded->read_only && found->writes())
    return call->fail(read_only_failure(found->name));
  if (decoded->grant && !use_capsule(*found, *decoded, call))
    return;
  auto request = request_of(*found, std::move(*decoded));
  if (!request)
    return call->fail(request.error());
  call->operations = known.operations();
  call->operation = found;
  std::visit([&](auto& content) { start(std::move(content), call); }, *request);
}

void broker_handler::migrate(const json& params, const call_ptr& call) {
  auto decoded = rpc::migrate_params_from_json(params);
  if (!decoded)
    return call->fail(decoded.error());
  if (auto error = prepare_migration(decoded->name, decoded->sql, decoded->request))
    return call->fail(error);
  start(std::move(decoded->request), call);
}

// Only what the sender may use: of the operations, and of the tools that call other methods. In another thread, because
// the check against the schema reads the databases.
void broker_handler::list_operations(const json& params, const call_ptr& call) {
  rpc::read_names(params, call->names);
  if (!call->sign(call->names.agent))
    return;
  auto& owner = call->owner;
  const auto& known = owner.operations();
  auto policy = owner.leader_.policy().current();
  auto sender = principal_of(*call->link, call->agent);
  auto may = [&](const access_demand& what) { return policy->decide(sender, what).is_allowed(); };
  std::vector<bool> listed;
  for (const auto& each : known.operations()->operations())
    listed.push_back((!owner.is_read_only || !each.writes())
                     && may({method_access::operation, each.name, each.database, each.tier}));
  auto tools = json::array();
  for (const auto& each : rpc::all_methods)
    if (!each.mcp_tool.empty() && (!owner.is_read_only || each.data == rpc::method_data::keeps)
        && may({each.access, each.name}))
      tools.push_back(each.mcp_tool);
  json result{{"tools", std::move(tools)}};
  if (known.mistake())
    result["mistake"] = known.mistake()->message;
  owner.in_background(
    owner.files_,
    [operations = known.operations(), listed = std::move(listed), result = std::move(result),
     &root = owner.leader_.root()]() mutable {
      auto verdicts = check_against_schema(*operations, root);
      auto list = json::array();
      for (size_t i = 0; i < verdicts.size(); ++i)
        if (listed[i])
          list.push_back(described(operations->operations()[i], verdicts[i]));
      result["operations"] = std::move(list);
      return std::move(result);
    },
    [call](json answer) { call->succeed(std::move(answer)); });
}

void broker_handler::describe_schema(const json& params, const call_ptr& call) {
  auto request = rpc::schema_request_from_json(params);
  if (!request)
    return call->fail(request.error());
  rpc::read_names(params, call->names);
  if (!call->sign(request->agent))
    return;
  auto& owner = call->owner;
  const auto& mistake = owner.operations().mistake();
  owner.in_background(
    owner.files_, [db = request->db, &root = owner.leader_.root()] { return describe_store(root, db); },
    [call, mistake](caf::expected<json> result) {
      if (!result)
        return call->fail(result.error());
      if (mistake)
        (*result)["operations_mistake"] = mistake->message;
      call->succeed(std::move(*result));
    });
}

} // namespace sluice
