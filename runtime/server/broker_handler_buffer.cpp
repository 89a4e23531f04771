#include "runtime/server/broker_handler_call.hpp"
#include "runtime/server/rpc/codec.hpp"

namespace sluice {

using nlohmann::json;

void broker_handler::put(const json& params, const call_ptr& call) {
  auto operation = rpc::buffer_put_from_json(params);
  if (!operation)
    return call->fail(operation.error());
  if (!call->sign(*operation))
    return;
  call->recorded = true;
  if (auto handler = call->handler.lock(); handler && operation->wait.count() > 0) {
    operation->cancel = handler->left_;
    handler->waits_for_room_ = true;
  }
  auto& owner = call->owner;
  owner.leader_.buffer()
    .put(&owner.actor_, std::move(*operation))
    .then([call](const buffer_receipt& receipt) { call->succeed(as_json(receipt)); },
          [call](const caf::error& error) { call->fail(error); });
}

void broker_handler::get(const json& params, const call_ptr& call) {
  auto request = rpc::buffer_get_from_json(params);
  if (!request)
    return call->fail(request.error());
  if (!call->sign(*request))
    return;
  call->recorded = true;
  auto& owner = call->owner;
  owner.leader_.buffer()
    .get(&owner.actor_, std::move(*request))
    .then([call](const buffered_row& row) { call->succeed(as_json(row, call->integers)); },
          [call](const caf::error& error) { call->fail(error); });
}

void broker_handler::flush(const json& params, const call_ptr& call) {
  auto request = rpc::flush_from_json(params);
  if (!request)
    return call->fail(request.error());
  if (!call->sign(*request))
    return;
  call->recorded = true;
  auto& owner = call->owner;
  owner.leader_.buffer()
    .flush(&owner.actor_, std::move(*request))
    .then([call](const flush_report& report) { call->succeed(as_json(report)); },
          [call](const caf::error& error) { call->fail(error); });
}

void broker_handler::list_rejected(const json& params, const call_ptr& call) {
  auto query = rpc::rejected_query_from_json(params);
  if (!query)
    return call->fail(query.error());
  call->integers = query->integers;
  pending::ask_in_turn<rejected_page>(
    call, [](const auto& x) { return x.buffer(); }, *query);
}

void broker_handler::requeue(const json& params, const call_ptr& call) {
  decide_on_rejected(params, call, false, "requeued");
}

void broker_handler::discard(const json& params, const call_ptr& call) {
  decide_on_rejected(params, call, true, "discarded");
}

void broker_handler::decide_on_rejected(const json& params, const call_ptr& call, bool discard, const char* done) {
  auto ids = rpc::rejected_ids_from_json(params);
  if (!ids)
    return call->fail(ids.error());
  unrecorded_request names;
  rpc::read_names(params, names);
  rejected_decision decision{std::move(*ids), discard, std::move(names.agent)};
  if (!call->sign(decision))
    return;
  call->recorded = true;
  auto& owner = call->owner;
  owner.leader_.buffer()
    .decide(&owner.actor_, std::move(decision))
    .then(
      [call, done](uint64_t count) {
        call->succeed({{done, count}});
      },
      [call](const caf::error& error) { call->fail(error); });
}

} // namespace sluice
