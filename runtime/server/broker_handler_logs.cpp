#include "runtime/server/broker_handler_call.hpp"
#include "runtime/server/rpc/codec.hpp"

namespace sluice {

using nlohmann::json;

void broker_handler::log(const json& params, const call_ptr& call) {
  auto entry = rpc::log_entry_from_json(params);
  if (!entry)
    return call->fail(entry.error());
  if (is_name_of_broker(entry->source))
    return call->fail(make_error(errc::invalid_request,
                                 "source is \"sluice\", or begins with \"sluice:\", as only the broker's own "
                                 "entries do; take another name"));
  if (!call->sign(entry->agent))
    return;
  call->owner.leader_.log(entry->level, entry->source, entry->message, entry->agent);
  call->succeed({{"logged", true}});
}

void broker_handler::recent_logs(const json& params, const call_ptr& call) {
  auto query = rpc::log_query_from_json(params);
  if (!query)
    return call->fail(query.error());
  pending::ask_in_turn<log_page>(
    call, [](const auto& x) { return x.log(); }, *query);
}

void broker_handler::reset_retries(const json&, const call_ptr& call) {
  if (!call->sign(call->names.agent))
    return;
  call->owner.leader_.reset_retries();
  call->succeed({{"reset", true}});
}

} // namespace sluice
