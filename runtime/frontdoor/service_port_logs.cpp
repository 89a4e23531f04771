#include "runtime/frontdoor/rpc/codec.hpp"
#include "runtime/frontdoor/service_port_call.hpp"

namespace sluice {

using nlohmann::json;

void service_port::log(const json& params, const call_ptr& call) {
  auto entry = rpc::log_entry_from_json(params);
  if (!entry)
    return call->fail(entry.error());
  if (entry->agent.empty())
    entry->agent = link_.agent;
  call->agent = entry->agent;
  service_.leader_.log(entry->level, entry->source, entry->message, entry->agent);
  call->succeed({{"logged", true}});
}

void service_port::recent_logs(const json& params, const call_ptr& call) {
  auto query = rpc::log_query_from_json(params);
  if (!query)
    return call->fail(query.error());
  service_.actor_.request(service_.leader_.actors().log(), caf::infinite, *query)
    .then([call](const log_page& page) { pending::succeed(call, page); },
          [call](const caf::error& why) { call->fail(why); });
}

void service_port::reset_retries(const json&, const call_ptr& call) {
  service_.leader_.reset_retries();
  call->succeed({{"reset", true}});
}

} // namespace sluice
