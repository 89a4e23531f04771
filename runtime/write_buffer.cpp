#include "runtime/write_buffer.hpp"

#include "runtime/broker_core.hpp"
#include "runtime/request_check.hpp"

namespace sluice {

namespace {

using receipt_promise = std::promise<caf::expected<buffer_receipt>>;

// Lives for one operation, so that a plain thread need not wait. It sends while it is constructed, which is in the
// caller's thread: a function would be run by the scheduler, and operations on one row overtake each other.
class one_put final : public caf::event_based_actor {
public:
  one_put(caf::actor_config& cfg, const buffer_actor& to, buffer_put x, receipt_promise promise)
    : event_based_actor(cfg), promise_(std::move(promise)) {
    request(to, caf::infinite, std::move(x))
      .then([this](const buffer_receipt& receipt) { promise_.set_value(receipt); },
            [this](caf::error& why) { promise_.set_value(std::move(why)); });
  }

private:
  receipt_promise promise_;
};

// Gives the database its one name.
std::optional<failure> settle_name(broker_core& core, std::string& db) {
  auto canonical = core.resolve(db);
  if (!canonical)
    return describe(canonical.error());
  db = std::move(*canonical);
  return std::nullopt;
}

} // namespace

caf::expected<buffer_actor> write_buffer::route() const {
  if (auto buffer = core_->actors->buffer())
    return buffer;
  return make_error(errc::unavailable, "the write-behind buffer is not running");
}

const refusal_actor& write_buffer::refusals() const { return core_->refusals; }

caf::error write_buffer::refuse(const buffer_put& x, failure why) const {
  audit_record record;
  record.ts_us = wall_us(core_->time);
  record.type = request_type::buffered;
  record.status = to_string(why.code);
  // Names that are no names are left out.
  if (why.code != errc::invalid_request) {
    record.agent = x.agent;
    record.db = x.row.db;
  }
  record.peer = x.peer;
  if (auto audit = core_->actors->audit())
    caf::anon_send(audit, audit_batch{{std::move(record)}});
  return make_error(std::move(why));
}

caf::expected<buffer_actor> write_buffer::admit(buffer_put& x) const {
  auto why = check(x);
  if (!why)
    why = settle_name(*core_, x.row.db);
  if (why)
    return refuse(x, std::move(*why));
  return route();
}

caf::expected<buffer_actor> write_buffer::admit(buffer_get& x) const {
  auto why = check(x);
  if (!why)
    why = settle_name(*core_, x.row.db);
  if (why)
    return make_error(std::move(*why));
  return route();
}

caf::expected<buffer_actor> write_buffer::admit(flush_request& x) const {
  auto why = check(x);
  if (!why && !x.db.empty())
    why = settle_name(*core_, x.db);
  if (why)
    return make_error(std::move(*why));
  return route();
}

template <class Result, class Request> caf::expected<Result> write_buffer::ask(Request x) const {
  auto to = admit(x);
  if (!to)
    return std::move(to.error());
  return core_->ask<Result>(*to, std::move(x));
}

caf::expected<buffer_receipt> write_buffer::put(buffer_put x) const { return ask<buffer_receipt>(std::move(x)); }

std::future<caf::expected<buffer_receipt>> write_buffer::put_async(buffer_put x) const {
  receipt_promise promise;
  auto future = promise.get_future();
  if (auto to = admit(x))
    core_->system->spawn<one_put, caf::hidden>(*to, std::move(x), std::move(promise));
  else
    promise.set_value(std::move(to.error()));
  return future;
}

caf::expected<buffered_row> write_buffer::get(buffer_get x) const { return ask<buffered_row>(std::move(x)); }

caf::expected<flush_report> write_buffer::flush(flush_request x) const { return ask<flush_report>(std::move(x)); }

caf::expected<rejected_page> write_buffer::rejected(const rejected_query& query) const {
  return core_->ask<rejected_page>(core_->actors->buffer(), query);
}

caf::expected<uint64_t> write_buffer::requeue(std::vector<uint64_t> ids) const {
  return core_->ask<uint64_t>(core_->actors->buffer(), rejected_decision{std::move(ids), false});
}

caf::expected<uint64_t> write_buffer::discard(std::vector<uint64_t> ids) const {
  return core_->ask<uint64_t>(core_->actors->buffer(), rejected_decision{std::move(ids), true});
}

} // namespace sluice
