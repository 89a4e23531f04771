#include "runtime/broker/write_buffer.hpp"

#include "actors/shared/unrecorded_requests.hpp"
#include "runtime/broker/broker_core.hpp"
#include "runtime/broker/request_check.hpp"

namespace sluice {

namespace {

// Gives the database its canonical name.
std::optional<failure> resolve_name(broker_core& core, std::string& db) {
  auto canonical = core.resolve(db);
  if (!canonical)
    return describe(canonical.error());
  db = std::move(*canonical);
  return std::nullopt;
}

} // namespace

caf::expected<buffer_actor> write_buffer::route() const {
  if (core_->is_closed() || core_->in_child())
    return make_error(core_->closed_error());
  if (auto buffer = core_->actors->buffer())
    return buffer;
  return make_error(errc::unavailable, "the write-behind buffer is not running");
}

const refusal_actor& write_buffer::refusals() const { return core_->refusals; }

template <class Request>
caf::error write_buffer::refuse(request_type type, const std::string& db, const Request& request, failure error) const {
  core_->record(unrecorded(type, db, request), to_string(error.code));
  return make_error(std::move(error));
}

caf::expected<buffer_actor> write_buffer::admit(buffer_put& operation) const {
  auto error = check(operation);
  if (!error)
    error = resolve_name(*core_, operation.row.db);
  return error ? caf::expected<buffer_actor>{refuse(request_type::buffer_put, operation.row.db, operation,
                                                    std::move(*error))}
               : route();
}

caf::expected<buffer_actor> write_buffer::admit(buffer_get& request) const {
  auto error = check(request);
  if (!error)
    error = resolve_name(*core_, request.row.db);
  return error
           ? caf::expected<buffer_actor>{refuse(request_type::buffer_get, request.row.db, request, std::move(*error))}
           : route();
}

caf::expected<buffer_actor> write_buffer::admit(flush_request& request) const {
  auto error = check(request);
  if (!error && !request.db.empty())
    error = resolve_name(*core_, request.db);
  return error ? caf::expected<buffer_actor>{refuse(request_type::flush, request.db, request, std::move(*error))}
               : route();
}

caf::expected<buffer_actor> write_buffer::admit(rejected_decision& decision) const {
  auto type = decision.discard ? request_type::buffer_discard : request_type::buffer_requeue;
  auto error = check(decision);
  return error ? caf::expected<buffer_actor>{refuse(type, {}, decision, std::move(*error))} : route();
}

template <class Result, class Request> caf::expected<Result> write_buffer::ask(Request request) const {
  auto to = admit(request);
  if (!to)
    return std::move(to.error());
  return core_->ask<Result>(*to, std::move(request));
}

caf::expected<buffer_receipt> write_buffer::put(buffer_put operation) const {
  return ask<buffer_receipt>(std::move(operation));
}

std::future<caf::expected<buffer_receipt>> write_buffer::put_async(buffer_put operation) const {
  std::promise<caf::expected<buffer_receipt>> promise;
  auto future = promise.get_future();
  system_access::use in{*core_->access};
  auto to = in ? admit(operation) : caf::expected<buffer_actor>{make_error(core_->closed_error())};
  if (to)
    ask_for(make_receiver<promised_answer<buffer_receipt>>(*core_->system, std::move(promise)), *to, 1,
            std::move(operation));
  else
    promise.set_value(std::move(to.error()));
  return future;
}

caf::expected<buffered_row> write_buffer::get(buffer_get request) const {
  return ask<buffered_row>(std::move(request));
}

caf::expected<flush_report> write_buffer::flush(flush_request request) const {
  return ask<flush_report>(std::move(request));
}

caf::expected<rejected_page> write_buffer::rejected(const rejected_query& query) const {
  return core_->ask<rejected_page>(core_->actors->buffer(), query);
}

caf::expected<uint64_t> write_buffer::requeue(std::vector<uint64_t> ids, std::string agent) const {
  return ask<uint64_t>(rejected_decision{std::move(ids), false, std::move(agent)});
}

caf::expected<uint64_t> write_buffer::discard(std::vector<uint64_t> ids, std::string agent) const {
  return ask<uint64_t>(rejected_decision{std::move(ids), true, std::move(agent)});
}

} // namespace sluice
