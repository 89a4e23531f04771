#include "actors/cache/read_scheduler.hpp"

#include <algorithm>

namespace sluice {

namespace {

using std::chrono::milliseconds;

milliseconds milliseconds_until(clock::steady at, clock::steady now) {
  return std::max(milliseconds{0}, std::chrono::duration_cast<milliseconds>(at - now));
}

} // namespace

void read_scheduler::lock_refused(uint64_t id, flight& flight, failure error, effects& out) {
  auto& context = *flight.context;
  auto now = time_.now();
  queue_of(context).readers.finished(*flight.reader, id);
  flight.reader = nullptr;
  flight.started = false;
  flight.first_left = false;
  if (++flight.refusals == 1)
    flight.locked_since = now;
  // As in a group commit: an error with `retry_after_ms` is not a lock error.
  auto is_lock = error.retry_after_ms == 0;
  flight.refusal = std::move(error);
  context.retries().attempt(time_, is_lock);
  pause(id, flight, now, out);
  start_queued(context, out);
}

void read_scheduler::pause(uint64_t id, flight& flight, clock::steady now, effects& out) {
  fail_late(flight, now, out);
  if (flight.waiters.empty()) {
    take(id);
    return;
  }
  auto earliest = clock::steady::max();
  for (const auto& w : flight.waiters)
    earliest = std::min(earliest, end_of(w.request));
  auto length = backoff_.pause(std::min(flight.refusals, retry_.attempts));
  // One millisecond is added so that the time is over when the call comes.
  length = std::min(length, milliseconds_until(earliest, now) + milliseconds{1});
  flight.retry_at = now + length;
  flight.is_paused = true;
  paused_.push_back(id);
  out.retry_in = out.retry_in ? std::min(*out.retry_in, length) : length;
}

void read_scheduler::fail_late(flight& flight, clock::steady now, effects& out) {
  std::erase_if(flight.waiters, [&](waiter& w) {
    if (retry_.attempts > 0 && now < end_of(w.request))
      return false;
    auto error = flight.refusal;
    auto waited = std::max(milliseconds{0}, std::chrono::duration_cast<milliseconds>(now - w.request.received));
    error.attempts = static_cast<uint32_t>(flight.refusals);
    error.waited_ms = static_cast<uint32_t>(waited.count());
    error.message += "; " + std::to_string(flight.refusals) + " attempts in " + std::to_string(waited.count()) + " ms";
    flight.context->retries().gave_up(waited);
    give_up(w, error, now, out);
    return true;
  });
}

void read_scheduler::retry_locked(effects& out) {
  auto now = time_.now();
  std::vector<database_context*> contexts;
  for (auto id : std::exchange(paused_, {})) {
    auto found = flights_.find(id);
    if (found == flights_.end() || !std::exchange(found->second.is_paused, false))
      continue;
    auto& flight = found->second;
    fail_late(flight, now, out);
    if (auto closed = flight.context->closed())
      for (auto& w : std::exchange(flight.waiters, {}))
        fail(w, *closed, out);
    if (flight.waiters.empty()) {
      take(id);
    } else if (now < flight.retry_at) {
      flight.is_paused = true;
      paused_.push_back(id);
      auto left = milliseconds_until(flight.retry_at, now) + milliseconds{1};
      out.retry_in = out.retry_in ? std::min(*out.retry_in, left) : left;
    } else {
      flight.context->retries().retry();
      enqueue(id, flight);
      contexts.push_back(flight.context);
    }
  }
  for (auto* context : contexts)
    start_queued(*context, out);
}

// The caller's own time-out may pass before the query runs again.
void read_scheduler::retry_before(const waiter& waiter, const flight& other, effects& out) const {
  if (!other.is_paused)
    return;
  auto left = milliseconds_until(end_of(waiter.request), time_.now()) + milliseconds{1};
  out.retry_in = out.retry_in ? std::min(*out.retry_in, left) : left;
}

} // namespace sluice
