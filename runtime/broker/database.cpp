#include "runtime/broker/broker.hpp"

#include "actors/shared/deadline_watch.hpp"
#include "actors/shared/unrecorded_requests.hpp"
#include "messages/agent_key.hpp"
#include "runtime/broker/admission_limits.hpp"
#include "runtime/broker/broker_core.hpp"
#include "runtime/broker/request_check.hpp"

#include <unistd.h>

namespace sluice {

namespace {

// Every request is answered by its deadline; the grace period is for a stalled machine.
constexpr std::chrono::milliseconds grace{1'000};

read_limits effective(read_limits limits, const database_config& cfg) {
  if (limits.max_rows == 0)
    limits.max_rows = cfg.read_max_rows;
  if (limits.max_bytes == 0)
    limits.max_bytes = cfg.read_max_bytes;
  if (limits.timeout.count() == 0)
    limits.timeout = cfg.read_timeout;
  return limits;
}

template <class Result> std::future<caf::expected<Result>> ready(caf::expected<Result> result) {
  std::promise<caf::expected<Result>> promise;
  promise.set_value(std::move(result));
  return promise.get_future();
}

template <class Result>
caf::strong_actor_ptr receiver_for(broker_core& core, std::future<caf::expected<Result>>& future) {
  std::promise<caf::expected<Result>> promise;
  future = promise.get_future();
  return make_receiver<promised_answer<Result>>(*core.system, std::move(promise));
}

} // namespace

const std::string& database::name() const noexcept { return context_->name(); }

bool database::is_open() const noexcept { return context_->serving(); }

std::optional<failure> database::resolve_name(std::string& db) const {
  if (db == context_->name())
    return std::nullopt;
  // A link or another spelling may name this database, too.
  if (!db.empty()) {
    auto canonical = core_->root.resolve(db);
    if (!canonical)
      return describe(canonical.error());
    if (*canonical != context_->name())
      return make_failure(errc::invalid_request,
                          "db '" + db + "' is another database than '" + context_->name()
                            + "', the database of this handle; leave db empty, or use the handle of that database");
  }
  db = context_->name();
  return std::nullopt;
}

caf::expected<writer_actor> database::admit(write_request& request) const {
  system_access::use in{*core_->access};
  request.received = core_->time.now();
  if (auto error = restrict(request, request_type::write))
    return refuse(request, request_type::write, std::move(*error));
  if (auto error = resolve_name(request.db))
    return refuse(request, request_type::write, std::move(*error));
  if (auto error = check(request))
    return refuse(request, request_type::write, std::move(*error));
  if (request.key_is_own)
    request.idempotency_key = own_key(request.agent, request.idempotency_key);
  if (!in || core_->in_child())
    return refuse(request, request_type::write, core_->closed_error());
  auto route = context_->route();
  if (!route)
    return refuse(request, request_type::write, describe(route.error()));
  request.is_short = lent_thread::serves() && context_->short_writes().contains(request);
  auto timeout = request.deadline.count() > 0 ? request.deadline : core_->config.of(context_->name()).write_deadline;
  auto admitted = route->queue->admit(request, request.received + timeout);
  if (admitted.refused)
    return refuse(request, request_type::write, std::move(*admitted.refused));
  if (admitted.expire_at)
    watch_deadline(*core_->actors, core_->time, context_->name(), *admitted.expire_at);
  return std::move(route->writer);
}

caf::expected<cache_actor> database::admit(read_request& request) const {
  request.received = core_->time.now();
  if (auto error = restrict(request, request_type::read))
    return refuse(request, request_type::read, std::move(*error));
  if (auto error = resolve_name(request.db))
    return refuse(request, request_type::read, std::move(*error));
  request.limits = effective(request.limits, core_->config.of(context_->name()));
  if (auto error = check(request))
    return refuse(request, request_type::read, std::move(*error));
  if (core_->in_child())
    return refuse(request, request_type::read, core_->closed_error());
  if (auto error = context_->closed())
    return refuse(request, request_type::read, std::move(*error));
  if (auto cache = core_->actors->cache())
    return cache;
  return refuse(request, request_type::read, core_->closed_error());
}

template <class Request> caf::error database::refuse(const Request& request, request_type type, failure error) const {
  // Records requests that are refused before they reach an actor. If the name is the error, the record has the name as
  // in the request.
  const auto& db = request.db.empty() ? context_->name() : request.db;
  auto refused = unrecorded(type, db, request);
  if (agent_ && error.code == errc::not_authorized)
    refused.reason = error.message;
  core_->record(refused, to_string(error.code));
  error.request_id = request.request_id;
  return make_error(std::move(error));
}

const refusal_actor& database::refusals() const { return core_->refusals; }

database database::for_agent(std::string agent) const {
  auto result = *this;
  result.agent_ = std::make_shared<const std::string>(std::move(agent));
  return result;
}

template <class Request> std::optional<failure> database::restrict(Request& request, request_type type) const {
  if (!agent_)
    return std::nullopt;
  if (request.agent.empty())
    request.agent = *agent_;
  if (request.agent != *agent_)
    return make_failure(errc::not_authorized,
                        "this handle is for the agent '" + *agent_ + "' alone; leave agent empty");
  auto admitted = core_->policy.admit({*agent_, geteuid()}, {method_access::raw_sql, to_string(type)});
  if (!admitted.refused && type == request_type::cursor_open)
    admitted.refused = why_no_cursor(admitted);
  if (!admitted.refused)
    apply(admitted, core_->config.of(context_->name()), request);
  return admitted.refused;
}

template std::optional<failure> database::restrict(read_request& request, request_type type) const;

std::optional<read_result> database::cached(read_request& request) const {
  // The rights of an agent are decided once, in `admit`.
  if (agent_)
    return std::nullopt;
  if (request.freshness != freshness::cached || !request.more.empty() || !context_->serving() || core_->in_child())
    return std::nullopt;
  // `admit` resolves other names, and refuses those of other databases.
  if (!request.db.empty() && request.db != context_->name())
    return std::nullopt;
  request.limits = effective(request.limits, core_->config.of(context_->name()));
  // A cache hit is refused for the same reasons as a query; `admit` returns the error.
  if (check(request))
    return std::nullopt;
  if (request.min_seq > context_->versions().last_commit())
    return std::nullopt;
  return core_->hits->find(*context_, request, request.limits, core_->time.now());
}

caf::expected<write_result> database::write(write_request request) const {
  auto timeout =
    (request.deadline.count() > 0 ? request.deadline : core_->config.of(context_->name()).write_deadline) + grace;
  broker_core::waiter waiter{*core_};
  // Checked before the request takes a place in the queue. `admit` finds the waiter's other reasons, too.
  if (core_->is_own_thread())
    return refuse(request, request_type::write, *waiter.refused());
  auto route = admit(request);
  if (!route)
    return route.error();
  auto ticket = request.ticket;
  auto id = waiter.ask(*route, std::move(request));
  ticket->answer_to(waiter.self(), id);
  return waiter.wait<write_result>(timeout);
}

caf::expected<write_result> database::write(std::string agent, sql_text sql, parameters params) const {
  write_request request;
  request.agent = std::move(agent);
  request.statements.push_back({std::move(sql), std::move(params)});
  return write(std::move(request));
}

std::future<caf::expected<write_result>> database::write_async(write_request request) const {
  system_access::use in{*core_->access};
  auto route = admit(request);
  if (!route)
    return ready<write_result>(std::move(route.error()));
  std::future<caf::expected<write_result>> future;
  auto to = receiver_for(*core_, future);
  auto ticket = request.ticket;
  auto id = ask_for(to, *route, 1, std::move(request));
  ticket->answer_to(std::move(to), id);
  return future;
}

caf::expected<read_result> database::read(read_request request) const {
  if (auto hit = cached(request))
    return std::move(*hit);
  broker_core::waiter waiter{*core_};
  auto route = admit(request);
  if (!route)
    return route.error();
  if (waiter.refused())
    return make_error(*waiter.refused());
  auto timeout = request.limits.timeout + grace;
  waiter.ask(*route, std::move(request));
  return waiter.wait<read_result>(timeout);
}

caf::expected<read_result> database::read(std::string agent, sql_text sql, parameters params) const {
  read_request request;
  request.agent = std::move(agent);
  request.query = {std::move(sql), std::move(params)};
  return read(std::move(request));
}

std::future<caf::expected<read_result>> database::read_async(read_request request) const {
  if (auto hit = cached(request))
    return ready<read_result>(std::move(*hit));
  system_access::use in{*core_->access};
  auto route = admit(request);
  if (!route)
    return ready<read_result>(std::move(route.error()));
  std::future<caf::expected<read_result>> future;
  ask_for(receiver_for(*core_, future), *route, 1, std::move(request));
  return future;
}

void database::listen(const invalidation_listener& listener) const { context_->listen(listener); }

void database::unlisten(const invalidation_listener& listener) const { context_->unlisten(listener); }

database_status database::status() const { return context_->status(core_->time); }

} // namespace sluice
