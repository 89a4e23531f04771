#include "runtime/server/broker_handler_call.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace sluice {

using nlohmann::json;

principal principal_of(const client_link& link, std::string_view agent) {
  principal result{agent};
  // The process of a peer without an id is this one, or in another namespace; the socket is for this user alone.
  if (!link.is_remote)
    result.uid = link.peer.pid == 0 ? geteuid() : link.peer.uid;
  result.token = link.token;
  result.is_owner = link.token.empty() && (agent == link.agent || agent == link.own_name);
  return result;
}

bool broker_handler::pending::admit(std::string_view name, const access_demand& demand) {
  admitted =
    owner.leader_.policy().admit(principal_of(*link, name.empty() ? std::string_view{link->agent} : name), demand);
  return !admitted.refused;
}

void broker_handler::pending::deny(const failure& reason) {
  if (reason.code == errc::not_authorized)
    names.reason = reason.message;
  fail(reason);
}

bool broker_handler::pending::pass(const json& given) {
  // Of an operation, `may_call` decides.
  auto access = method.access == method_access::operation ? method_access::anyone : method.access;
  if (owner.is_read_only && method.data == rpc::method_data::changes && access == method.access) {
    fail(read_only_failure(method.name));
    return false;
  }
  std::string_view sender;
  auto parameter = rpc::sender_parameter(method);
  if (auto at = given.is_object() && !parameter.empty() ? given.find(parameter) : given.end(); at != given.end())
    if (const auto* text = at->get_ptr<const std::string*>())
      sender = *text;
  // Nothing is asked of such a method, and no name is used.
  if (method.access == method_access::anyone && parameter.empty())
    return true;
  // The method refuses it, if it uses it; it must not become somebody else.
  if (auto reason = agent_name_error(sender); reason && owner.leader_.policy().current()->exists()) {
    fail(make_error(errc::invalid_request, "agent " + *reason));
    return false;
  }
  if (admit(sender, {access, method.name, {}, tier::untrusted, rpc::counts_for_rate(method)}))
    return true;
  deny();
  return false;
}

bool broker_handler::pending::may_call(const sluice::operation& wanted, std::string_view sender) {
  // `pass` has counted the call.
  if (!admit(sender, {method_access::operation, wanted.name, wanted.database, wanted.tier, false})) {
    deny();
    return false;
  }
  if (!owner.is_read_only || !wanted.writes())
    return true;
  fail(read_only_failure(wanted.name));
  return false;
}

void broker_handler::note_refused(const json& params, const call_ptr& call) {
  auto refused = rpc::refused_from_json(params);
  if (!refused)
    return call->fail(refused.error());
  auto& [request, status] = *refused;
  // Bridges are started by the owner, and report in the names of their own clients.
  if (!call->link->token.empty())
    return call->deny(
      make_failure(errc::not_authorized,
                   fmt::format("audit.refused is for bridges, and not for the token '{}'", call->link->token)));
  if (agent_name_error(request.agent))
    request.agent.clear();
  if (!call->admit(request.agent, {method_access::anyone, call->method.name, {}, tier::untrusted, false}))
    return call->deny();
  request.link_agent = call->link->agent;
  request.peer = call->link->peer;
  call->owner.leader_.record(request, status);
  call->succeed({{"recorded", true}});
}

failure broker_handler::read_only_failure(std::string_view what) {
  return make_failure(errc::read_only, std::string{what} + " changes something, and this broker serves reads only");
}

} // namespace sluice
