#include "runtime/server/broker_handler_call.hpp"

#include <algorithm>

namespace sluice {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void broker_handler::run_read(const database& db, read_request request, const call_ptr& call) {
  apply(call->admitted, call->owner.leader_.config().of(db.name()), request);
  // A cache hit is answered at once and cannot be cancelled, so it is not registered.
  if (auto hit = db.cached(request))
    return pending::succeed(call, *hit);
  pending::put_under_way(call, request);
  if (pending::refuse_cancelled(call, request))
    return;
  call->recorded = true;
  if (auto handler = call->handler.lock())
    handler->ask_or_wait(db, std::move(request), call);
}

void broker_handler::ask_or_wait(const database& db, read_request request, const call_ptr& call) {
  if (reading_ < max_reading && !is_held_)
    return ask(db, std::move(request), call);
  if (request.limits.timeout == milliseconds{0})
    request.limits.timeout = service_.leader_.config().of(db.name()).read_timeout;
  auto end = steady_clock::now() + request.limits.timeout;
  waiting_.push_back({db, std::move(request), call, end});
  await_time_out();
}

void broker_handler::ask(const database& db, read_request request, const call_ptr& call) {
  ++reading_;
  auto forget = [handler = std::weak_ptr{here_}] {
    if (auto self = handler.lock()) {
      --self->reading_;
      self->run_waiting();
    }
  };
  db.read(&service_.actor_, std::move(request))
    .then(
      [call, forget](const read_result& result) {
        pending::succeed(call, result);
        forget();
      },
      [call, forget](const caf::error& error) {
        call->fail(error);
        forget();
      });
}

void broker_handler::run_waiting() {
  while (reading_ < max_reading && !is_held_ && !waiting_.empty()) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    auto left = std::chrono::ceil<milliseconds>(next.end - steady_clock::now());
    next.request.limits.timeout = std::max(left, milliseconds{1});
    if (auto hit = next.db.cached(next.request))
      pending::succeed(next.call, *hit);
    else
      ask(next.db, std::move(next.request), next.call);
  }
}

void broker_handler::refuse_waiting(const std::function<bool(const waiting_read&)>& is_meant, errc code,
                                    const char* error) {
  std::list<waiting_read> meant;
  for (auto waiting = waiting_.begin(); waiting != waiting_.end();)
    if (auto at = waiting++; is_meant(*at))
      meant.splice(meant.end(), waiting_, at);
  for (auto& waiting : meant) {
    // No actor has received it.
    waiting.call->recorded = false;
    waiting.call->refuse(waiting.request, make_error(code, error));
  }
}

void broker_handler::drop_cancelled() {
  refuse_waiting([](const waiting_read& x) { return x.request.cancel.cancelled(); }, errc::cancelled,
                 "the read was cancelled while it waited behind others of its connection");
}

void broker_handler::await_time_out() {
  if (waiting_.empty())
    return;
  auto first = std::min_element(waiting_.begin(), waiting_.end(), [](auto& a, auto& b) { return a.end < b.end; });
  time_out_.expires_at(first->end);
  time_out_.async_wait([handler = std::weak_ptr{here_}](const boost::system::error_code& stopped) {
    auto self = handler.lock();
    if (stopped || !self)
      return;
    self->refuse_waiting([now = steady_clock::now()](const waiting_read& x) { return x.end <= now; },
                         errc::deadline_exceeded,
                         "the time-out passed while the read waited behind others of its connection");
    self->await_time_out();
  });
}

void broker_handler::hold(bool is_behind) {
  is_held_ = is_behind;
  run_waiting();
  run_held_pages();
}

void broker_handler::leave() {
  left_.cancel();
  drop_cancelled();
  end_cancelled_cursors();
  // The buffer checks the tokens of puts that wait for room when it gets this message.
  if (auto to = service_.leader_.actors().buffer(); to && waits_for_room_)
    caf::anon_send(to, caf::tick_atom_v);
}

} // namespace sluice
