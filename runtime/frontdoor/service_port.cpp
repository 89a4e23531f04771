#include "runtime/frontdoor/service_port.hpp"

#include "runtime/frontdoor/rpc/codec.hpp"
#include "runtime/frontdoor/service_port_call.hpp"
#include "runtime/json.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace sluice {

namespace {

using nlohmann::json;
using steady = std::chrono::steady_clock;

int64_t now_us() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

} // namespace

const service_port::method service_port::methods[] = {
  {"write", &service_port::write},
  {"read", &service_port::read},
  {"hello", &service_port::hello},
  {"ping", &service_port::ping},
  {"cancel", &service_port::cancel},
  {"status", &service_port::status},
  {"audit.list", &service_port::list_audit},
  {"audit.verify", &service_port::verify_audit},
  {"subscribe", &service_port::subscribe},
  {"unsubscribe", &service_port::unsubscribe},
  {"shutdown", &service_port::shutdown},
  {"log", &service_port::log},
  {"logs.recent", &service_port::recent_logs},
  {"retry.reset", &service_port::reset_retries},
  {"buffer.put", &service_port::put},
  {"buffer.get", &service_port::get},
  {"flush", &service_port::flush},
  {"buffer.rejected", &service_port::list_rejected},
  {"buffer.requeue", &service_port::requeue},
  {"buffer.discard", &service_port::discard},
};

service_port::service_port(service& owner, client_link link) : service_(owner), link_(std::move(link)) {}

service_port::~service_port() {
  alive_.reset();
  for (const auto& id : to_cancel_)
    service_.cancel_read(id, [](bool) {});
  for (auto x : subscribed_)
    service_.subscriptions_.remove(x);
}

const service_port::method* service_port::find(std::string_view name) {
  auto found = std::find_if(std::begin(methods), std::end(methods), [&](const method& x) { return x.name == name; });
  return found == std::end(methods) ? nullptr : found;
}

bool service_port::knows(std::string_view name) { return find(name) != nullptr; }

void service_port::call(const std::string& name, json params, rpc::answer_to done) {
  auto* found = find(name);
  if (!found)
    return done({nullptr, rpc::unknown_method(name), {}});
  auto call = std::make_shared<pending>(pending{service_, alive_, found->name, {}, steady::now(), std::move(done)});
  if (refused_) {
    failure why;
    why.code = *refused_;
    why.message = why.code == errc::wrong_store
                    ? "this connection was refused: its hello named another store"
                    : "this connection was refused: its hello named another protocol version";
    return call->fail(why);
  }
  (this->*found->run)(params, call);
}

void service_port::hello(const json& params, const call_ptr& call) {
  auto x = rpc::hello_from_json(params);
  if (!x)
    return call->fail(x.error());
  // After a move of the folder the client may have come by its new path, and the broker has only the old one.
  if (!service_.leader_.still_leads()) {
    service_.stop("its folder was moved or deleted");
    return call->fail(make_error(errc::unavailable, "this broker does not lead the store any more"));
  }
  if (x->root && *x->root != service_.leader_.root().identity()) {
    // What was sent behind this hello was meant for another store.
    refused_ = errc::wrong_store;
    return call->fail(make_error(errc::wrong_store, "this broker leads another folder than the one asked for"));
  }
  if (x->protocol == protocol_version)
    return call->succeed(as_json(service_.self_));
  // What was sent behind this hello was meant for another protocol.
  refused_ = errc::protocol_mismatch;
  failure why;
  why.code = errc::protocol_mismatch;
  why.message = fmt::format("this broker (sluice {}) speaks protocol {}, not {}", service_.self_.version,
                            protocol_version, x->protocol);
  auto error = rpc::error_of(why);
  auto hands_over = service_.self_.transient && x->protocol > protocol_version;
  error.data["protocol"] = protocol_version;
  error.data["hands_over"] = hands_over;
  call->answer({nullptr, std::move(error), {}});
  if (hands_over)
    service_.stop("a client of a newer version came");
}

void service_port::ping(const json&, const call_ptr& call) {
  call->succeed({{"pong", true}, {"pid", service_.self_.pid}, {"protocol", protocol_version}});
}

// Whoever reaches for what is no database of the store is on record, too.
template <class Request>
void service_port::refuse(const call_ptr& call, const Request& x, request_type type, const caf::error& why) const {
  audit_record record;
  record.ts_us = now_us();
  record.request_id = x.request_id;
  record.agent = x.agent;
  // A name that leads out of the store is none of its databases, for those who look them up in the audit.
  if (code_of(why) != errc::invalid_request)
    record.db = x.db;
  record.type = type;
  record.status = to_string(code_of(why));
  record.correlation_id = x.correlation_id;
  record.peer = x.peer;
  service_.actor_.send(service_.leader_.actors().audit(), audit_batch{{std::move(record)}});
  call->fail(why);
}

void service_port::write(const json& params, const call_ptr& call) {
  auto request = rpc::write_from_json(params);
  if (!request)
    return call->fail(request.error());
  sign(*request, *call);
  auto name = request->db;
  service_.with_database(name, [this, call, x = std::move(*request)](caf::expected<database> db) mutable {
    if (!db)
      return refuse(call, x, request_type::write, db.error());
    db->write(&service_.actor_, std::move(x))
      .then([call](const write_result& result) { pending::succeed(call, result); },
            [call](const caf::error& why) { call->fail(why); });
  });
}

void service_port::read(const json& params, const call_ptr& call) {
  auto request = rpc::read_from_json(params);
  if (!request)
    return call->fail(request.error());
  sign(*request, *call);
  auto name = request->db;
  auto here = std::weak_ptr{alive_};
  service_.with_database(name, [this, here, call, x = std::move(*request)](caf::expected<database> db) mutable {
    if (!db)
      return refuse(call, x, request_type::read, db.error());
    if (!here.expired())
      run_read(*db, std::move(x), call);
  });
}

void service_port::run_read(const database& db, read_request request, const call_ptr& call) {
  if (auto hit = db.cached(request))
    return pending::succeed(call, *hit);
  // Ids that clients make up may be those of other clients, whose reads are not to end with this connection.
  std::string id;
  if (request.request_id.empty()) {
    id = request.request_id = service_.ids_.next();
    to_cancel_.insert(id);
  }
  ++reading_;
  auto forget = [this, here = std::weak_ptr{alive_}, id] {
    if (here.expired())
      return;
    --reading_;
    to_cancel_.erase(id);
  };
  db.read(&service_.actor_, std::move(request))
    .then(
      [call, forget](const read_result& result) {
        forget();
        pending::succeed(call, result);
      },
      [call, forget](const caf::error& why) {
        forget();
        call->fail(why);
      });
}

void service_port::cancel(const json& params, const call_ptr& call) {
  auto id = rpc::cancel_from_json(params);
  if (!id)
    return call->fail(id.error());
  service_.cancel_read(*id, [call](bool cancelled) { call->succeed({{"cancelled", cancelled}}); });
}

void service_port::status(const json&, const call_ptr& call) {
  service_.describe([call](json x) { call->succeed(std::move(x)); });
}

void service_port::list_audit(const json& params, const call_ptr& call) {
  auto query = rpc::audit_query_from_json(params);
  if (!query)
    return call->fail(query.error());
  service_.actor_.request(service_.leader_.actors().audit(), caf::infinite, *query)
    .then([call](const audit_page& page) { pending::succeed(call, page); },
          [call](const caf::error& why) { call->fail(why); });
}

void service_port::verify_audit(const json&, const call_ptr& call) {
  service_.actor_.request(service_.leader_.actors().audit(), caf::infinite, verify_atom{})
    .then([call](const audit_verdict& verdict) { call->succeed(as_json(verdict)); },
          [call](const caf::error& why) { call->fail(why); });
}

void service_port::subscribe(const json& params, const call_ptr& call) {
  auto wish = rpc::subscribe_from_json(params);
  if (!wish)
    return call->fail(wish.error());
  if (!link_.push)
    return call->fail(make_error(errc::invalid_request, "subscribe needs a connection that stays: use the socket"));
  auto here = std::weak_ptr{alive_};
  auto name = wish->db;
  service_.with_database(name, [this, here, call, x = std::move(*wish)](caf::expected<database> db) {
    if (!db)
      return call->fail(db.error());
    if (here.expired())
      return;
    auto newest = service_.listen(*db);
    auto after = x.from_seq.value_or(newest);
    if (after > newest)
      return call->fail(
        make_error(errc::invalid_request, fmt::format("from_seq is {}, but the newest commit is {}", after, newest)));
    auto id = service_.subscriptions_.add({db->name(), x.tables, after, link_.push}, newest);
    subscribed_.insert(id);
    call->succeed({{"subscription", id}, {"db", db->name()}, {"as_of_seq", newest}});
  });
}

void service_port::unsubscribe(const json& params, const call_ptr& call) {
  auto id = params.is_object() ? params.find("subscription") : params.end();
  if (!params.is_object() || id == params.end() || !id->is_number_unsigned())
    return call->fail(make_error(errc::invalid_request, "subscription must be the number that subscribe answered"));
  auto was = subscribed_.erase(id->get<uint64_t>()) > 0;
  if (was)
    service_.subscriptions_.remove(id->get<uint64_t>());
  call->succeed({{"unsubscribed", was}});
}

void service_port::shutdown(const json&, const call_ptr& call) {
  call->succeed({{"stopping", true}});
  service_.stop("a client asked for it");
}

} // namespace sluice
