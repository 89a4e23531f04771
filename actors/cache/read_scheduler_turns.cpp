#include "actors/cache/read_scheduler.hpp"

#include <algorithm>

// Decides which read comes next, and ends those that take too long.
namespace sluice {

namespace {

using std::chrono::milliseconds;

// A query that exceeds its time-out reports that itself; after this grace period the scheduler answers instead.
constexpr milliseconds grace{100};
// Expirations that lie close together are handled in one call.
constexpr milliseconds least_pause{20};

} // namespace

query_length read_scheduler::length_of(const flight& flight) const {
  return flight.is_lengthy ? query_length::lengthy : statements_.length(*flight.context, flight.request().query.sql);
}

void read_scheduler::enqueue(uint64_t id, flight& flight) {
  auto& queue = queue_of(*flight.context);
  queue.context = flight.context;
  flight.is_lengthy = length_of(flight) == query_length::lengthy;
  flight.is_queued = true;
  ++queue.queued;
  ++queue.queued_of_process[flight.from.process];
  wait_in_turn(queue, id, flight, flight.from);
  auto last = flight.from.process;
  for (const auto& w : flight.waiters)
    if (auto process = process_of(w.request.peer); process != last) {
      wait_in_turn(queue, id, flight, requester_of(w.request.peer, w.request.agent));
      last = process;
    }
}

void read_scheduler::wait_in_turn(database_queue& queue, uint64_t id, const flight& flight, const requester& from) {
  auto& lane = flight.is_lengthy ? queue.lengthy : queue.others;
  lane.push(from, id);
}

void read_scheduler::unqueue(database_queue& queue, flight& flight) {
  if (!std::exchange(flight.is_queued, false))
    return;
  --queue.queued;
  if (auto of_process = queue.queued_of_process.find(flight.from.process); --of_process->second == 0)
    queue.queued_of_process.erase(of_process);
}

// A read that finds no other waiting needs no turn, unless its deadline passed before it arrived.
bool read_scheduler::start_at_once(database_queue& queue, uint64_t id, const flight& flight, effects& out) {
  if (queue.queued > 0 || queue.quiesced || flight.request().cancel.cancelled()
      || time_.now() >= end_of(flight.request()))
    return false;
  auto length = length_of(flight);
  if (length == query_length::lengthy)
    return false;
  auto place = queue.readers.choose(length, flight.from);
  if (!place.where)
    return false;
  start(queue, id, place, length, out);
  return true;
}

void read_scheduler::start_queued(database_context& context, effects& out) {
  auto& queue = queue_of(context);
  if (queue.quiesced)
    return answer_if_quiet(queue, out);
  for (;;) {
    auto lengthy_first = std::exchange(queue.lengthy_is_next, !queue.lengthy_is_next);
    auto started = lengthy_first ? start_lengthy(queue, out) || start_next(queue, out)
                                 : start_next(queue, out) || start_lengthy(queue, out);
    if (!started)
      break;
  }
  if (queue.others.empty())
    queue.others.forget();
  if (queue.lengthy.empty())
    queue.lengthy.forget();
  if (queue.queued > 0 && queue.readers.lacks_readers())
    out.wants_readers.push_back(context.name());
  if (long_reads_.take_freed())
    start_elsewhere(out);
}

// A thread is free that long queries of other databases may have waited for.
void read_scheduler::start_elsewhere(effects& out) {
  for (auto& [context, queue] : queues_)
    if (!queue.lengthy.empty())
      start_queued(*queue.context, out);
}

// False when no query can be started now that is not known to be long.
bool read_scheduler::start_next(database_queue& queue, effects& out) {
  while (auto* next = queue.others.peek()) {
    auto id = *next;
    if (drop_if_late(id, out)) {
      queue.others.pop();
      continue;
    }
    auto& flight = flights_.at(id);
    auto length = length_of(flight);
    if (length == query_length::lengthy) {
      // The statement has been found to be long since it was queued.
      queue.others.pop();
      unqueue(queue, flight);
      enqueue(id, flight);
      continue;
    }
    auto place = queue.readers.choose(length, flight.from);
    if (!place.where)
      return false;
    queue.others.pop();
    start(queue, id, place, length, out);
    return true;
  }
  return false;
}

bool read_scheduler::start_lengthy(database_queue& queue, effects& out) {
  if (!queue.readers.has_idle())
    return false;
  auto process_may = [&](uint64_t process) { return queue.readers.may_run_unlimited(process); };
  auto agent_may = [&](uint64_t process, const std::string& agent) {
    return queue.readers.may_run_unlimited(process, agent);
  };
  while (auto id = queue.lengthy.pop_if(process_may, agent_may)) {
    if (drop_if_late(*id, out))
      continue;
    start(queue, *id, queue.readers.choose(query_length::lengthy, flights_.at(*id).from), query_length::lengthy, out);
    return true;
  }
  return false;
}

// True when no caller waits for it any more.
bool read_scheduler::drop_if_late(uint64_t id, effects& out) {
  auto found = flights_.find(id);
  if (found == flights_.end() || !found->second.is_queued)
    return true;
  auto& flight = found->second;
  auto now = time_.now();
  std::erase_if(flight.waiters, [&](waiter& w) { return expired(w.request, now, out, w); });
  if (!flight.waiters.empty())
    return false;
  take(id);
  return true;
}

void read_scheduler::start(database_queue& queue, uint64_t id, const reader_pool::grant& place, query_length length,
                           effects& out) {
  auto& flight = flights_.at(id);
  unqueue(queue, flight);
  flight.reader = place.where;
  queue.readers.started(place, id, length, flight.from);
  if (place.where->running.size() > 1)
    watch(queue, out);
  const auto& versions = flight.context->versions();
  flight.started = true;
  flight.started_at = time_.now();
  flight.in_doubt = versions.committing();
  flight.version = versions.now();
  flight.as_of_seq = versions.last_commit();
  auto request = flight.request();
  // The query may use the rest of its caller's time.
  auto waited = std::chrono::duration_cast<milliseconds>(flight.started_at - request.received);
  auto left = request.limits.timeout - std::min(waited, request.limits.timeout - milliseconds{1});
  flight.is_limited = place.is_limited && brief_time < left;
  request.limits.timeout = flight.is_limited ? brief_time : left;
  flight.interrupt = request.cancel = request.cancel.derive();
  out.dispatches.push_back({flight.reader->handle, id, std::move(request), length == query_length::tiny});
}

// A query that had a short limit, because it was expected to be brief, runs again as a long one.
bool read_scheduler::took_too_long(uint64_t id, flight& flight, const caf::error& error, std::chrono::microseconds busy,
                                   effects& out) {
  if (!flight.is_limited || code_of(error) != errc::deadline_exceeded || flight.waiters.empty())
    return false;
  auto& queue = queue_of(*flight.context);
  queue.readers.finished(*flight.reader, id);
  queue.others.charge(flight.from, busy);
  flight.reader = nullptr;
  flight.started = flight.is_limited = flight.first_left = false;
  flight.is_lengthy = true;
  flight.interrupt = {};
  enqueue(id, flight);
  start_queued(*flight.context, out);
  return true;
}

bool read_scheduler::expired(const read_request& request, clock::steady now, effects& out, waiter& waiter) {
  if (request.cancel.cancelled()) {
    give_up(waiter, make_failure(errc::cancelled, "the read was cancelled while it waited for a reader"), now, out);
    return true;
  }
  if (now < end_of(request))
    return false;
  give_up(waiter, late(request, "the time-out passed while the read waited for a reader"), now, out);
  return true;
}

// Of a read that has been given up.
failure read_scheduler::late(const read_request& request, const char* message) const {
  return drained_at_ < request.received + request.limits.timeout
           ? make_failure(errc::unavailable, "the broker is shutting down")
           : make_failure(errc::deadline_exceeded, message);
}

void read_scheduler::drain(milliseconds time, effects& out) {
  drained_at_ = std::min(drained_at_, time_.now() + time);
  expire_at(drained_at_, out);
}

void read_scheduler::expire_at(clock::steady at, effects& out) {
  if (at >= next_expiry_)
    return;
  next_expiry_ = at;
  call_expire(at, out);
}

// The later one of two times is scheduled by the call at the earlier one.
void read_scheduler::call_expire(clock::steady at, effects& out) {
  auto in = std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(at - time_.now()));
  owes_call_ = owes_call_ || out.expire_in;
  out.expire_in = out.expire_in ? std::min(in, *out.expire_in) : in;
}

void read_scheduler::expire(effects& out) {
  auto now = time_.now();
  auto owes_call = std::exchange(owes_call_, false);
  if (now >= next_overrun_check_)
    take_back(now, out);
  else if (owes_call && next_overrun_check_ != clock::steady::max())
    call_expire(next_overrun_check_, out);
  if (now < next_expiry_) {
    if (owes_call && next_expiry_ != clock::steady::max())
      call_expire(next_expiry_, out);
    return;
  }
  next_expiry_ = clock::steady::max();
  auto earliest = end_quiescence(now, out);
  std::vector<uint64_t> ids;
  for (const auto& [id, flight] : flights_)
    if (!flight.is_paused && !flight.waiters.empty())
      ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (auto id : ids)
    earliest = std::min(earliest, expire(id, flights_.at(id), now, out));
  if (earliest != clock::steady::max())
    expire_at(std::max(earliest, now + least_pause), out);
}

// Answers the callers of a flight whose time-out has passed; returns the time of the next check.
clock::steady read_scheduler::expire(uint64_t id, flight& flight, clock::steady now, effects& out) {
  auto earliest = clock::steady::max();
  auto first_was_late = false;
  for (size_t i = 0; i < flight.waiters.size(); ++i) {
    const auto& request = flight.waiters[i].request;
    auto end = flight.started ? end_of(request) + grace : end_of(request);
    if (now < end)
      earliest = std::min(earliest, end);
    else if (i == 0)
      first_was_late = true;
  }
  std::erase_if(flight.waiters, [&](waiter& w) {
    if (now < end_of(w.request) + (flight.started ? grace : milliseconds{0}))
      return false;
    give_up(w,
            late(w.request, flight.started ? "the time-out passed while the query ran"
                                           : "the time-out passed while the read waited for a reader"),
            now, out);
    return true;
  });
  flight.first_left = flight.first_left || (first_was_late && flight.started);
  if (flight.waiters.empty())
    leave(id, flight);
  return earliest;
}

std::vector<running_request> read_scheduler::running() const {
  std::vector<running_request> result;
  for (const auto& [id, flight] : flights_)
    for (const auto& w : flight.waiters) {
      auto& running = result.emplace_back();
      running.db = flight.context->name();
      running.operation = "read";
      running.request_id = w.request.request_id;
      running.agent = w.request.agent;
      running.peer = w.request.peer;
      running.sql = abbreviated_sql({&w.request.query, 1});
      running.is_running = flight.started;
      running.since_ms = static_cast<uint64_t>(
        std::max<int64_t>(0, std::chrono::duration_cast<milliseconds>(time_.now() - w.request.received).count()));
    }
  return result;
}

} // namespace sluice
