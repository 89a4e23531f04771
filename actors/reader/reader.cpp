#include "actors/reader/reader.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace sluice {

struct reader_state {
  reader_state(reader_actor::pointer me, reader_dependencies dependencies) : self(me), parts(std::move(dependencies)) {}

  read_done run(const run_read& message);
  void note_slow(const run_read& message, const read_done& done);
  void close_idle_later();
  void arm_timer(std::chrono::milliseconds delay);
  void close_idle();

  reader_actor::pointer self;
  reader_dependencies parts;
  // The start of the last query.
  clock::steady began{};
  clock::steady ended{};
  // When the timer that closes an idle connection expires, if it is set.
  std::optional<clock::steady> close_idle_at;
  static inline const char* name = "reader";
};

namespace {

// The maximum difference between this actor's clock and that of CAF's timers.
constexpr std::chrono::milliseconds clock_tolerance{100};

} // namespace

reader_actor::behavior_type reader(reader_actor::stateful_pointer<hidden_state<reader_state>> self,
                                   std::shared_ptr<reader_dependencies> parts) {
  self->state.create(self, std::move(*parts));
  return {
    [self](const run_read& message) -> caf::result<read_done> {
      auto& state = *self->state;
      auto promise = self->make_response_promise<read_done>();
      auto done = state.run(message);
      state.close_idle_later();
      if (!state.parts.stats->slow.notable(state.ended - std::min(message.request.received, state.began))) {
        promise.deliver(std::move(done));
        return promise;
      }
      // Delivered now: no caller waits for the plan.
      promise.deliver(done);
      state.note_slow(message, done);
      return promise;
    },
    [self](close_idle_atom) { self->state->close_idle(); },
  };
}

read_done reader_state::run(const run_read& message) {
  read_done result;
  result.flight = message.flight;
  began = parts.time->now();
  auto answer = parts.store->run(message.request, message.request.limits);
  ended = parts.time->now();
  if (answer) {
    result.answer = std::move(*answer);
  } else {
    result.error = std::move(answer.error());
    auto busy = std::chrono::duration_cast<std::chrono::microseconds>(ended - began).count();
    result.answer.busy_us = static_cast<uint32_t>(std::clamp<int64_t>(busy, 0, std::numeric_limits<uint32_t>::max()));
  }
  return result;
}

void reader_state::close_idle_later() {
  if (parts.close_idle_after.count() > 0 && !close_idle_at)
    arm_timer(parts.close_idle_after);
}

void reader_state::arm_timer(std::chrono::milliseconds delay) {
  close_idle_at = parts.time->now() + delay;
  self->delayed_send(self, delay, close_idle_atom{});
}

void reader_state::close_idle() {
  auto now = parts.time->now();
  // One timer serves any number of queries: when it expires, the handler checks whether there was one meanwhile.
  auto is_timer = close_idle_at && now + clock_tolerance >= *close_idle_at;
  if (is_timer)
    close_idle_at.reset();
  auto idle = std::chrono::duration_cast<std::chrono::milliseconds>(now - ended);
  auto is_early = parts.is_to_be_closed && parts.is_to_be_closed();
  if (is_early || (is_timer && idle >= parts.close_idle_after)) {
    parts.store->close_idle();
    if (parts.on_idle_closed)
      parts.on_idle_closed();
  } else if (is_timer) {
    arm_timer(parts.close_idle_after - idle);
  }
}

void reader_state::note_slow(const run_read& message, const read_done& done) {
  auto us = [](clock::steady from, clock::steady to) {
    return static_cast<uint64_t>(
      std::max<int64_t>(std::chrono::duration_cast<std::chrono::microseconds>(to - from).count(), 0));
  };
  slow_request r;
  r.ts_us = wall_us(*parts.time);
  r.request_id = message.request.request_id;
  r.agent = message.request.agent;
  r.db = message.request.db;
  r.operation = "read";
  std::vector<statement> statements{message.request.query};
  statements.insert(statements.end(), message.request.more.begin(), message.request.more.end());
  r.sql = abbreviated_sql(statements);
  r.status = done.error ? to_string(code_of(done.error)) : "ok";
  r.queue_us = us(message.request.received, began);
  r.execute_us = us(began, ended);
  r.total_us = r.queue_us + r.execute_us;
  auto& slow = parts.stats->slow;
  if (slow.would_keep(r.total_us))
    // An invalid statement has no plan.
    if (auto plan = parts.store->explain(message.request.query))
      r.plan = std::move(*plan);
  slow.add(std::move(r));
}

} // namespace sluice
