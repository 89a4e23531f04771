#include "runtime/broker/cursor.hpp"

#include "runtime/broker/broker.hpp"
#include "runtime/broker/broker_core.hpp"
#include "runtime/broker/request_check.hpp"

#include <algorithm>
#include <optional>
#include <utility>

// Cursors of a broker in this process.
namespace sluice {

namespace {

// As for reads: pages arrive by their deadline; the grace period is for a stalled machine.
constexpr std::chrono::milliseconds page_grace{1'000};

uint64_t bounded(uint64_t wanted, uint64_t most) { return wanted == 0 ? most : std::min(wanted, most); }

class local_cursor final : public cursor {
public:
  local_cursor(std::shared_ptr<broker_core> core, database of, std::chrono::milliseconds timeout, cursor_page first)
    : core_(std::move(core)), of_(std::move(of)), timeout_(timeout), last_(first), first_(std::move(first)) {
    last_.rows.reset();
  }

  ~local_cursor() override {
    if (!last_.is_last)
      of_.close_cursor(last_.cursor);
  }

  caf::expected<cursor_page> next() override {
    if (first_)
      return *std::exchange(first_, std::nullopt);
    if (last_.is_last) {
      auto none = last_;
      none.rows = std::make_shared<const rowset>();
      return none;
    }
    broker_core::waiter waiter{*core_};
    auto to = core_->actors->cursors();
    if (!to || waiter.refused())
      return make_error(core_->closed_error());
    waiter.ask(to, next_page{last_.cursor});
    auto result = waiter.wait<cursor_page>(timeout_ + page_grace);
    if (result)
      last_.is_last = result->is_last;
    return result;
  }

private:
  std::shared_ptr<broker_core> core_;
  database of_;
  std::chrono::milliseconds timeout_;
  // The state of the cursor, without rows.
  cursor_page last_;
  std::optional<cursor_page> first_;
};

} // namespace

caf::expected<cursors_actor> database::cursors() const {
  auto result = core_->actors->cursors();
  if (!result || core_->in_child())
    return make_error(core_->closed_error());
  return result;
}

caf::expected<cursors_actor> database::admit(sluice::open_cursor& message) const {
  auto& request = message.request;
  request.received = core_->time.now();
  if (auto error = restrict(request, request_type::cursor_open))
    return refuse(request, request_type::cursor_open, std::move(*error));
  if (auto error = resolve_name(request.db))
    return refuse(request, request_type::cursor_open, std::move(*error));
  auto& limits = request.limits;
  limits.max_rows = bounded(limits.max_rows, max_cursor_page_rows);
  limits.max_bytes = bounded(limits.max_bytes, max_cursor_page_bytes);
  if (limits.timeout.count() == 0)
    limits.timeout = core_->config.of(context_->name()).read_timeout;
  message.as_of_seq = context_->versions().last_commit();
  if (auto error = check(request))
    return refuse(request, request_type::cursor_open, std::move(*error));
  if (!request.more.empty())
    return refuse(
      request, request_type::cursor_open,
      describe(make_error(errc::invalid_request, "a cursor has one statement; several on one snapshot are a read")));
  if (request.query.sql.str().size() > max_cursor_sql_bytes)
    return refuse(request, request_type::cursor_open,
                  describe(make_error(errc::too_large, "the statement of a cursor may have at most "
                                                         + std::to_string(max_cursor_sql_bytes)
                                                         + " bytes: give values as parameters")));
  if (request.min_seq > message.as_of_seq)
    return refuse(
      request, request_type::cursor_open,
      describe(make_error(errc::invalid_request, "there is no commit " + std::to_string(request.min_seq)
                                                   + " yet; the newest is " + std::to_string(message.as_of_seq))));
  if (auto error = context_->closed())
    return refuse(request, request_type::cursor_open, std::move(*error));
  auto to = cursors();
  return to ? std::move(to) : refuse(request, request_type::cursor_open, describe(to.error()));
}

caf::expected<std::unique_ptr<cursor>> database::open_cursor(read_request request) const {
  sluice::open_cursor message{std::move(request), 0, {}};
  auto route = admit(message);
  if (!route)
    return std::move(route.error());
  auto timeout = message.request.limits.timeout;
  broker_core::waiter waiter{*core_};
  if (waiter.refused())
    return make_error(*waiter.refused());
  waiter.ask(*route, std::move(message));
  auto first = waiter.wait<cursor_page>(timeout + page_grace);
  if (!first)
    return std::move(first.error());
  return std::unique_ptr<cursor>{std::make_unique<local_cursor>(core_, *this, timeout, std::move(*first))};
}

void database::close_cursor(uint64_t cursor) const {
  if (auto to = core_->actors->cursors())
    caf::anon_send(to, sluice::close_cursor{cursor});
}

caf::expected<std::vector<running_request>> broker::open_cursors() const {
  return core_->ask<std::vector<running_request>>(core_->actors->cursors(), running_atom{});
}

} // namespace sluice
