#include "actors/cache/read_scheduler.hpp"

#include <algorithm>

namespace sluice {

namespace {

bool same_query(const read_request& a, const read_request& b) {
  return a.query.sql == b.query.sql && a.query.params == b.query.params && a.limits.max_rows == b.limits.max_rows
         && a.limits.max_bytes == b.limits.max_bytes;
}

} // namespace

read_scheduler::~read_scheduler() { interrupt_all(); }

read_scheduler::database_queue& read_scheduler::queue_of(const database_context& context) {
  auto found = queues_.find(&context);
  return found == queues_.end() ? queues_.try_emplace(&context, bounds_(context.name()), long_reads_).first->second
                                : found->second;
}

void read_scheduler::interrupt_all() noexcept {
  for (auto& [id, flight] : flights_)
    flight.interrupt.cancel();
}

void read_scheduler::submit(database_context& context, read_request request, reply<read_result> to, effects& out) {
  if (request.received == clock::steady{})
    request.received = time_.now();
  if (request.request_id.empty())
    request.request_id = ids_.next();
  waiter waiter{std::move(to), std::move(request), 0};
  if (auto error = context.closed())
    return fail(waiter, *error, out);
  waiter.newest_seq = context.versions().last_commit();
  if (waiter.request.min_seq > waiter.newest_seq)
    return fail(waiter,
                make_failure(errc::invalid_request, "there is no commit " + std::to_string(waiter.request.min_seq)
                                                      + " yet; the newest is " + std::to_string(waiter.newest_seq)),
                out);
  auto& queue = queue_of(context);
  auto joinable = waiter.request.freshness == freshness::cached && waiter.request.more.empty();
  expire_at(end_of(waiter.request), out);
  auto hash = statement_hash(context, waiter.request.query.sql);
  if (joinable)
    for (auto [i, end] = joinable_.equal_range(hash); i != end; ++i)
      if (auto& other = flights_.at(i->second);
          other.context == &context && other.waiters.size() <= queue.max_queued && may_join(other, waiter.request)) {
        ++joined_;
        retry_before(waiter, other, out);
        // The process of this caller may be served before that of the first caller.
        if (other.is_queued && process_of(waiter.request.peer) != process_of(other.waiters.back().request.peer))
          wait_in_turn(queue, i->second, other, requester_of(waiter.request.peer, waiter.request.agent));
        other.waiters.push_back(std::move(waiter));
        return;
      }
  if (auto error = refuse(queue, waiter.request))
    return fail(waiter, *error, out);
  ++misses_;
  auto id = next_flight_++;
  auto& added = flights_[id];
  added.context = &context;
  added.hash = hash;
  added.joinable = joinable;
  added.from.process = process_of(waiter.request.peer);
  added.from.agent = waiter.request.agent;
  added.waiters.push_back(std::move(waiter));
  if (joinable)
    joinable_.emplace(hash, id);
  if (start_at_once(queue, id, added, out))
    return;
  enqueue(id, added);
  start_queued(context, out);
}

std::optional<failure> read_scheduler::refuse(const database_queue& queue, const read_request& request) const {
  auto share = std::max<uint64_t>(1, queue.max_queued / 2);
  if (queue.queued < share)
    return std::nullopt;
  auto of_process = queue.queued_of_process.find(process_of(request.peer));
  auto has_its_share =
    request.peer.pid != 0 && of_process != queue.queued_of_process.end() && of_process->second >= share;
  if (queue.queued < queue.max_queued && !has_its_share)
    return std::nullopt;
  return make_failure(errc::overloaded,
                      has_its_share ? "this process's share of the reads that may wait for this database is used up; "
                                      "wait for answers before asking for more"
                                    : "too many reads wait for this database",
                      {.retry_after_ms = 100});
}

bool read_scheduler::may_join(const flight& flight, const read_request& request) const {
  if (!same_query(flight.request(), request))
    return false;
  if (!flight.started)
    return true;
  const auto& versions = flight.context->versions();
  if (flight.in_doubt || versions.committing())
    return false;
  if (auto* info = statements_.find(*flight.context, request.query.sql))
    return info->reads->deterministic && still_valid(info->tables, versions, flight.version);
  return versions.now() == flight.version;
}

bool read_scheduler::cancel(const std::string& request_id, effects& out) {
  auto error = make_failure(errc::cancelled, "the read was cancelled");
  auto found = false;
  std::vector<uint64_t> left;
  for (auto& [id, flight] : flights_) {
    auto is_meant = [&](const waiter& w) { return w.request.request_id == request_id; };
    if (flight.waiters.empty())
      continue;
    auto first = is_meant(flight.waiters.front());
    auto cancelled = std::erase_if(flight.waiters, [&](waiter& w) {
      auto meant = is_meant(w);
      if (meant)
        fail(w, error, out);
      return meant;
    });
    found = found || cancelled > 0;
    flight.first_left = flight.first_left || (first && flight.started);
    if (flight.waiters.empty())
      left.push_back(id);
  }
  for (auto id : left)
    leave(id, flights_.at(id));
  return found;
}

void read_scheduler::leave(uint64_t id, flight& flight) {
  if (!flight.started) {
    take(id);
    return;
  }
  // The query occupies its reader until the reader has noticed.
  flight.interrupt.cancel();
  unlist(id, flight);
}

void read_scheduler::give_up(waiter& waiter, const failure& error, clock::steady now, effects& out) {
  auto waited = std::chrono::duration_cast<std::chrono::microseconds>(now - waiter.request.received);
  slow_request r;
  r.ts_us = wall_us(time_);
  r.request_id = waiter.request.request_id;
  r.agent = waiter.request.agent;
  r.db = waiter.request.db;
  r.operation = "read";
  r.sql = abbreviated_sql({&waiter.request.query, 1});
  r.status = to_string(error.code);
  r.total_us = r.queue_us = static_cast<uint64_t>(std::max<int64_t>(waited.count(), 0));
  out.slow.push_back(std::move(r));
  fail(waiter, error, out);
}

void read_scheduler::finished(uint64_t id, caf::expected<executed_read> result, std::chrono::microseconds busy,
                              effects& out) {
  auto found = flights_.find(id);
  if (found == flights_.end() && was_taken_back(id, out))
    return;
  if (found != flights_.end() && !result && code_of(result.error()) == errc::busy)
    return lock_refused(id, found->second, describe(result.error()), out);
  if (found != flights_.end() && !result && took_too_long(id, found->second, result.error(), busy, out))
    return;
  auto flight = take(id);
  if (!flight)
    return;
  auto& queue = queue_of(*flight->context);
  queue.readers.finished(*flight->reader, id);
  // Excludes the wait for the reader, behind tiny queries or for a thread, which its agent has not caused.
  if (queue.queued > 0)
    (flight->is_lengthy ? queue.lengthy : queue.others).charge(flight->from, busy);
  if (flight->refusals > 0) {
    auto& counters = flight->context->retries();
    counters.attempt(time_, false);
    counters.succeeded(flight->waiters.size(),
                       std::chrono::duration_cast<std::chrono::milliseconds>(time_.now() - flight->locked_since));
  }
  if (result) {
    if (result->external_commit)
      notice_external_commit(*flight, result->files_replaced, out);
    if (!flight->waiters.empty())
      answer(*flight, *result, out);
  } else {
    answer(*flight, describe(result.error()), out);
  }
  start_queued(*flight->context, out);
}

void read_scheduler::answer(flight& flight, const failure& error, effects& out) {
  auto now = time_.now();
  auto was_of_first = error.code == errc::deadline_exceeded || error.code == errc::cancelled;
  auto may_go_on = [&](const waiter& w) { return now < end_of(w.request) && !w.request.cancel.cancelled(); };
  for (size_t i = 0; i < flight.waiters.size(); ++i)
    if (auto& w = flight.waiters[i]; flight.has_joined(i) && was_of_first && may_go_on(w))
      // The time-out of the caller that ran the query has passed, or that caller has left.
      submit(*flight.context, std::move(w.request), std::move(w.to), out);
    else
      fail(w, error, out);
}

void read_scheduler::answer(flight& flight, executed_read& result, effects& out) {
  auto& rows = result.result;
  rows.as_of_seq = flight.as_of_seq;
  rows.source = read_source::database;
  // What is known of a statement says nothing of several.
  if (!flight.request().more.empty()) {
    for (auto& w : flight.waiters)
      deliver(w, rows, out);
    return;
  }
  const auto& info = statements_.learn(*flight.context, flight.request().query.sql, result);
  auto deterministic = info.reads->deterministic;
  if (deterministic && flight.joinable && !flight.in_doubt)
    hits_.insert(*flight.context, flight.request(), flight.request().limits, rows, info.tables, flight.version,
                 time_.now());
  for (size_t i = 0; i < flight.waiters.size(); ++i) {
    auto& w = flight.waiters[i];
    if (!flight.has_joined(i)) {
      deliver(w, rows, out);
      continue;
    }
    if (!deterministic) {
      // Only this answer has shown that the statement answers each caller differently.
      submit(*flight.context, std::move(w.request), std::move(w.to), out);
      continue;
    }
    auto shared = rows;
    shared.source = read_source::joined;
    shared.as_of_seq = std::max(flight.as_of_seq, w.newest_seq);
    deliver(w, std::move(shared), out);
  }
}

// Invalidates cached answers before any client sees the other program's commit, so that no older cached answer follows.
void read_scheduler::notice_external_commit(flight& flight, bool files_replaced, effects& out) const {
  flight.context->versions().raise_everything();
  out.suspects.push_back(flight.context->name());
  if (!files_replaced)
    return;
  // The writer finds out with which commit the new files end.
  flight.context->versions().start_at(flight.as_of_seq = 0);
  for (auto& w : flight.waiters)
    w.newest_seq = 0;
}

void read_scheduler::reader_joined(database_context& context, reader_actor reader, effects& out) {
  queue_of(context).readers.add(std::move(reader));
  start_queued(context, out);
}

void read_scheduler::reader_lost(const caf::actor_addr& reader, effects& out) {
  auto error = make_failure(errc::unavailable, "the reader that ran this query failed; it is being restarted",
                            {.retry_after_ms = 100});
  for (auto& [context, queue] : queues_)
    for (auto id : queue.readers.remove(reader)) {
      taken_back_.erase(id);
      if (auto flight = take(id))
        for (auto& w : flight->waiters)
          fail(w, error, out);
    }
  for (auto& [context, queue] : queues_)
    if (queue.quiesced)
      answer_if_quiet(queue, out);
}

void read_scheduler::refuse_if_closed(database_context& context, effects& out) {
  auto error = context.closed();
  if (!error)
    return;
  std::vector<uint64_t> waiting;
  for (const auto& [id, flight] : flights_)
    if (flight.context == &context && flight.is_queued)
      waiting.push_back(id);
  for (auto id : waiting)
    if (auto flight = take(id))
      for (auto& w : flight->waiters)
        fail(w, *error, out);
}

void read_scheduler::abandon(effects& out) {
  auto error = make_failure(errc::unavailable, "the broker is shutting down");
  interrupt_all();
  for (auto& [id, flight] : flights_)
    for (auto& w : flight.waiters)
      fail(w, error, out);
  flights_.clear();
  joinable_.clear();
  paused_.clear();
  taken_back_.clear();
  for (auto& [context, queue] : queues_) {
    queue.others = {};
    queue.lengthy = {};
    queue.queued = 0;
    queue.queued_of_process.clear();
    queue.quiesced.reset();
  }
}

void read_scheduler::fail(waiter& waiter, const failure& error, effects& out) {
  auto details = error;
  details.request_id = waiter.request.request_id;
  deliver(waiter, make_error(std::move(details)), out);
}

void read_scheduler::deliver(waiter& waiter, caf::expected<read_result> result, effects& out) {
  audit_record r;
  r.ts_us = wall_us(time_);
  r.request_id = std::move(waiter.request.request_id);
  r.agent = std::move(waiter.request.agent);
  r.db = std::move(waiter.request.db);
  r.type = request_type::read;
  r.key = read_fingerprint(waiter.request.query, waiter.request.more);
  r.status = result ? "ok" : to_string(code_of(result.error()));
  r.commit_seq = result ? result->as_of_seq : 0;
  auto latency = std::chrono::duration_cast<std::chrono::microseconds>(time_.now() - waiter.request.received);
  r.latency_us = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 0));
  r.correlation_id = std::move(waiter.request.correlation_id);
  r.peer = waiter.request.peer;
  out.records.push_back(std::move(r));
  out.deliveries.push_back({std::move(waiter.to), std::move(result)});
}

std::optional<read_scheduler::flight> read_scheduler::take(uint64_t id) {
  auto found = flights_.find(id);
  if (found == flights_.end())
    return std::nullopt;
  unlist(id, found->second);
  if (found->second.is_queued)
    unqueue(queue_of(*found->second.context), found->second);
  std::optional<flight> flight{std::move(found->second)};
  flights_.erase(found);
  return flight;
}

void read_scheduler::unlist(uint64_t id, const flight& flight) {
  for (auto [i, end] = joinable_.equal_range(flight.hash); i != end; ++i)
    if (i->second == id) {
      joinable_.erase(i);
      return;
    }
}

} // namespace sluice
