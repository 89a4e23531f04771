#include "runtime/server/broker_handler.hpp"

#include "runtime/json/json.hpp"
#include "runtime/server/broker_handler_call.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/typed_request.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <numeric>

namespace sluice {

namespace {

using nlohmann::json;

} // namespace

constexpr broker_handler::handler broker_handler::handlers[] = {
  {"write", &broker_handler::write},
  {"read", &broker_handler::read},
  {"call", &broker_handler::call_operation},
  {"migrate", &broker_handler::migrate},
  {"operations", &broker_handler::list_operations},
  {"capsule.issue", &broker_handler::issue_capsule},
  {"capsule.verify", &broker_handler::verify_capsule},
  {"capsule.revoke", &broker_handler::revoke_capsule},
  {"proof", &broker_handler::prove},
  {"promote", &broker_handler::promote},
  {"promotions", &broker_handler::list_promotions},
  {"schema", &broker_handler::describe_schema},
  {"cursor.open", &broker_handler::open_cursor},
  {"cursor.next", &broker_handler::next_page},
  {"cursor.close", &broker_handler::close_cursor},
  {"hello", &broker_handler::hello},
  {"ping", &broker_handler::ping},
  {"cancel", &broker_handler::cancel},
  {"status", &broker_handler::status},
  {"audit.list", &broker_handler::list_audit},
  {"audit.verify", &broker_handler::verify_audit},
  {"audit.prune", &broker_handler::prune_audit},
  {"audit.refused", &broker_handler::note_refused},
  {"subscribe", &broker_handler::subscribe},
  {"unsubscribe", &broker_handler::unsubscribe},
  {"shutdown", &broker_handler::shutdown},
  {"log", &broker_handler::log},
  {"logs.recent", &broker_handler::recent_logs},
  {"retry.reset", &broker_handler::reset_retries},
  {"buffer.put", &broker_handler::put},
  {"buffer.get", &broker_handler::get},
  {"flush", &broker_handler::flush},
  {"buffer.rejected", &broker_handler::list_rejected},
  {"buffer.requeue", &broker_handler::requeue},
  {"buffer.discard", &broker_handler::discard},
};

// Handlers and methods have the same order, so one index serves both.
constexpr bool broker_handler::every_method_has_its_handler() {
  return std::equal(std::begin(handlers), std::end(handlers), rpc::all_methods.begin(), rpc::all_methods.end(),
                    [](const handler& x, const rpc::method& y) { return x.method == y.name; });
}

const broker_handler::handler& broker_handler::handler_of(const rpc::method& method) {
  static_assert(every_method_has_its_handler());
  return handlers[static_cast<size_t>(&method - rpc::all_methods.data())];
}

broker_handler::broker_handler(service& owner, client_link link)
  : service_(owner), link_(std::make_shared<const client_link>(std::move(link))), time_out_(owner.loop_) {}

broker_handler::~broker_handler() {
  // Continuations find no handler from now on.
  here_.reset();
  leave();
  forget_cursors(false);
  for (const auto& [id, names] : subscribed_)
    service_.subscriptions_.remove(id);
}

void broker_handler::call(const std::string& name, json params, rpc::answer_to done) {
  const auto* found = rpc::find_method(name);
  if (!found) {
    auto reason = rpc::unknown_method(name);
    note_refusal(name, params, reason);
    return done({nullptr, std::move(reason), {}});
  }
  auto call = std::make_shared<pending>(pending{service_, here_, link_, *found, std::move(done)});
  call->params = &params;
  call->is_notification = is_notification_;
  call->quotes_text = quotes_texts_;
  if (refused_) {
    return call->fail(
      make_failure(*refused_, *refused_ == errc::wrong_store
                                ? "this connection was refused: its hello named another store"
                                : "this connection was refused: its hello named another protocol version"));
  }
  if (found->audited == rpc::method_audit::all)
    rpc::read_names(params, call->names);
  if (!call->pass(params))
    return;
  handler_of(*found).run(params, call);
  // The answer may come after this function has returned.
  call->params = nullptr;
}

rpc::typed_reader* broker_handler::reader() { return &service_.reader_; }

// Requests that may be refused at once are refused as documents, because the audit takes names from documents.
bool broker_handler::takes(const rpc::typed_request& request) const {
  if (service_.is_read_only && std::holds_alternative<write_request>(request.content))
    return false;
  auto is_named_well = [](const auto& content) { return content.agent.empty() || !agent_name_error(content.agent); };
  return !refused_ && std::visit(is_named_well, request.content);
}

void broker_handler::call_typed(rpc::typed_request&& request, rpc::answer_to done) {
  static const auto& write = *rpc::find_method("write");
  static const auto& read = *rpc::find_method("read");
  const auto& method = std::holds_alternative<write_request>(request.content) ? write : read;
  auto call = std::make_shared<pending>(pending{service_, here_, link_, method, std::move(done)});
  call->quotes_text = quotes_texts_;
  auto run = [&](auto& content) {
    if (call->admit(content.agent, {method.access, method.name}))
      return start(std::move(content), call);
    call->names.reason = call->admitted.refused->message;
    call->refuse(content, make_error(*call->admitted.refused));
  };
  std::visit(run, request.content);
}

void broker_handler::note_refusal(std::string_view name, const json& params, const rpc::error& reason) {
  unrecorded_request request;
  if (const auto* found = rpc::find_method(name))
    request.type = found->type;
  request.link_agent = link_->agent;
  request.peer = link_->peer;
  rpc::read_names(params, request);
  service_.leader_.record(request, code_name_of({nullptr, reason, {}}));
}

void broker_handler::hello(const json& params, const call_ptr& call) {
  auto hello = rpc::hello_from_json(params);
  if (!hello)
    return call->fail(hello.error());
  auto& owner = call->owner;
  // After a move of the folder the client may have used its new path, and the broker knows only the old one.
  if (!owner.leader_.still_leads()) {
    owner.stop("its folder was moved or deleted");
    return call->fail(make_error(errc::unavailable, "this broker does not lead the store any more"));
  }
  if (hello->root && *hello->root != owner.leader_.root().identity()) {
    // Later requests on this connection were meant for another store, too.
    if (auto handler = call->handler.lock())
      handler->refused_ = errc::wrong_store;
    return call->fail(make_error(errc::wrong_store, "this broker leads another folder than the requested one"));
  }
  if (hello->protocol == protocol_version)
    return call->succeed(as_json(owner.self_));
  // Later requests on this connection were meant for another protocol, too.
  if (auto handler = call->handler.lock())
    handler->refused_ = errc::protocol_mismatch;
  auto error = rpc::error_of(
    make_failure(errc::protocol_mismatch, fmt::format("this broker (sluice {}) speaks protocol {}, not {}",
                                                      owner.self_.version, protocol_version, hello->protocol)));
  auto hands_over = owner.self_.transient && hello->protocol > protocol_version;
  error.data["protocol"] = protocol_version;
  error.data["hands_over"] = hands_over;
  call->answer({nullptr, std::move(error), {}});
  if (hands_over)
    owner.stop("a client of a newer version came");
}

void broker_handler::ping(const json&, const call_ptr& call) {
  call->succeed({{"pong", true}, {"pid", call->owner.self_.pid}, {"protocol", protocol_version}});
}

void broker_handler::write(const json& params, const call_ptr& call) {
  auto request = rpc::write_from_json(params);
  if (!request)
    return call->fail(request.error());
  if (request->grant && !use_capsule(*request, call))
    return;
  start(std::move(*request), call);
}

void broker_handler::start(write_request request, const call_ptr& call) {
  if (!call->sign(request))
    return;
  pending::put_under_way(call, request);
  if (pending::refuse_cancelled(call, request))
    return;
  auto& owner = call->owner;
  if (const auto* known = owner.databases_.find(request.db))
    return run_write(*known, std::move(request), call);
  auto name = request.db;
  using use = service::file_use;
  owner.with_database(name, use::may_make,
                      [call, write = std::move(request)](const caf::expected<database>& db) mutable {
                        if (!db)
                          return call->refuse(write, db.error());
                        write.db = db->name();
                        if (!pending::refuse_cancelled(call, write))
                          run_write(*db, std::move(write), call);
                      });
}

void broker_handler::run_write(const database& db, write_request request, const call_ptr& call) {
  apply(call->admitted, call->owner.leader_.config().of(db.name()), request);
  if (!request.grant)
    request.grant = policy_grant(call);
  call->recorded = true;
  db.write(&call->owner.actor_, std::move(request))
    .then([call](const write_result& result) { pending::succeed(call, result); },
          [call](const caf::error& reason) { call->fail(reason); });
}

void broker_handler::read(const json& params, const call_ptr& call) {
  auto request = rpc::read_from_json(params);
  if (!request)
    return call->fail(request.error());
  call->has_list = params.contains("statements");
  if (call->has_list)
    request->freshness = freshness::fresh;
  start(std::move(*request), call);
}

void broker_handler::start(read_request request, const call_ptr& call) {
  if (!call->sign(request))
    return;
  auto& owner = call->owner;
  if (const auto* known = owner.databases_.find(request.db))
    return run_read(*known, std::move(request), call);
  pending::put_under_way(call, request);
  if (pending::refuse_cancelled(call, request))
    return;
  auto name = request.db;
  using use = service::file_use;
  owner.with_database(name, use::must_exist,
                      [call, read = std::move(request)](const caf::expected<database>& db) mutable {
                        if (!db)
                          return call->refuse(read, db.error());
                        read.db = db->name();
                        run_read(*db, std::move(read), call);
                      });
}

void broker_handler::cancel(const json& params, const call_ptr& call) {
  auto request = rpc::cancel_from_json(params);
  if (!request)
    return call->fail(request.error());
  if (!call->sign(call->names.agent))
    return;
  if (request->as_operator
      && !call->admit(call->agent, {method_access::administration, "cancel as operator", {}, tier::untrusted, false}))
    return call->deny();
  auto& owner = call->owner;
  auto found =
    owner.under_way_.cancel(request->request_id, {call->agent, call->link->peer, call->handler}, request->as_operator);
  for (const auto& from : found.connections)
    if (auto handler = from.lock()) {
      handler->drop_cancelled();
      handler->end_cancelled_cursors();
    }
  auto may_cancel = [&](const ticket& ticket) {
    const auto& peer = call->link->peer;
    auto is_own_process = peer.pid != 0 && ticket.info().peer.pid == peer.pid && ticket.info().peer.uid == peer.uid;
    return request->as_operator || is_own_process || ticket.info().agent == call->agent;
  };
  auto writes = owner.leader_.cancel_write(request->request_id, may_cancel);
  auto answer = [call](bool cancelled) { call->succeed({{"cancelled", cancelled}}); };
  auto any = writes || !found.connections.empty();
  // Actors find reads by their ids alone. Other reads with the same id end, too, when their readers check next.
  if (found.others_left || (!any && !request->as_operator))
    return answer(any);
  owner.cancel_read(request->request_id, [answer, any](bool cancelled) { answer(any || cancelled); });
}

void broker_handler::status(const json&, const call_ptr& call) {
  call->owner.describe([call](const json& content) {
    // If the client has gone, no copy is made.
    call->succeed(call->handler.expired() ? json{} : content);
  });
}

void broker_handler::list_audit(const json& params, const call_ptr& call) {
  auto query = rpc::audit_query_from_json(params);
  if (!query)
    return call->fail(query.error());
  pending::ask_in_turn<audit_page>(
    call, [](const auto& x) { return x.audit(); }, *query);
}

void broker_handler::verify_audit(const json&, const call_ptr& call) {
  pending::ask_in_turn<audit_verdict>(
    call, [](const auto& x) { return x.audit(); }, verify_atom{});
}

void broker_handler::prune_audit(const json& params, const call_ptr& call) {
  auto request = rpc::audit_prune_from_json(params);
  if (!request)
    return call->fail(request.error());
  if (!call->sign(call->names.agent))
    return;
  pending::ask_in_turn<audit_pruned>(
    call, [](const auto& x) { return x.audit(); }, *request);
}

void broker_handler::subscribe(const json& params, const call_ptr& call) {
  auto wish = rpc::subscribe_from_json(params);
  if (!wish)
    return call->fail(wish.error());
  if (!call->sign(wish->agent))
    return;
  if (!call->link->push)
    return call->fail(make_error(errc::invalid_request, "subscribe needs a connection that stays: use the socket"));
  auto name = wish->db;
  call->names.db = name;
  using use = service::file_use;
  call->owner.with_database(name, use::must_exist, [call, subscription = std::move(*wish)](caf::expected<database> db) {
    if (!db)
      return call->fail(db.error());
    auto handler = call->handler.lock();
    if (!handler)
      return;
    auto& owner = call->owner;
    auto newest = owner.listen(*db);
    auto after = subscription.from_seq.value_or(newest);
    if (after > newest)
      return call->fail(
        make_error(errc::invalid_request, fmt::format("from_seq is {}, but the newest commit is {}", after, newest)));
    auto names =
      std::accumulate(subscription.tables.begin(), subscription.tables.end(), size_t{0},
                      [](size_t sum, const std::string& table) { return sum + sizeof table + table.size(); });
    if (auto reason = handler->check_subscriptions(names))
      return call->fail(reason);
    auto id = owner.subscriptions_.add({db->name(), subscription.tables, after, call->link->push}, newest);
    handler->subscribed_.emplace(id, names);
    call->succeed({{"subscription", id}, {"db", db->name()}, {"as_of_seq", newest}});
  });
}

// Whether one more subscription with this many bytes of table names is allowed.
caf::error broker_handler::check_subscriptions(size_t names) {
  const auto& all = service_.subscriptions_;
  std::erase_if(subscribed_, [&](const auto& x) { return !all.has(x.first); });
  auto refusal = [](std::string_view bound) {
    return make_error(
      errc::overloaded,
      fmt::format("{}; end some with unsubscribe, or subscribe once for several tables or for all of them", bound));
  };
  if (subscribed_.size() >= subscriptions::max_per_connection)
    return refusal(fmt::format("this connection has {} subscriptions, the most it may have", subscribed_.size()));
  for (const auto& [id, bytes] : subscribed_)
    names += bytes;
  if (names > subscriptions::max_names_per_connection)
    return refusal(fmt::format("the tables' names in the subscriptions of this connection would take {} bytes; at "
                               "most {} are allowed",
                               names, subscriptions::max_names_per_connection));
  if (all.size() >= subscriptions::max_in_all)
    return refusal(fmt::format("this broker has {} subscriptions, the most it may have", all.size()));
  return {};
}

void broker_handler::unsubscribe(const json& params, const call_ptr& call) {
  auto id = params.is_object() ? params.find("subscription") : params.end();
  if (!params.is_object() || id == params.end() || !id->is_number_unsigned())
    return call->fail(make_error(errc::invalid_request, "subscription must be the number that subscribe answered"));
  auto handler = call->handler.lock();
  auto was = handler && handler->subscribed_.erase(id->get<uint64_t>()) > 0;
  if (was)
    call->owner.subscriptions_.remove(id->get<uint64_t>());
  call->succeed({{"unsubscribed", was}});
}

void broker_handler::shutdown(const json&, const call_ptr& call) {
  if (!call->sign(call->names.agent))
    return;
  call->succeed({{"stopping", true}});
  call->owner.stop("a client requested it");
}

} // namespace sluice
