#include "actors/cache/cache.hpp"

namespace sluice {

namespace {

// Often enough that stale entries do not linger, seldom enough to cost nothing; nothing is scheduled while idle.
constexpr std::chrono::milliseconds tick_interval{100};
constexpr std::chrono::milliseconds sweep_interval{1'000};
constexpr size_t records_per_batch = 256;

} // namespace

cache_actor::behavior_type cache(cache_actor::stateful_pointer<cache_state> self, cache_parts parts) {
  self->state.start(std::move(parts));
  self->set_down_handler([self](caf::down_msg& x) {
    read_scheduler::outcome out;
    self->state.scheduler->reader_lost(x.source, out);
    self->state.follow(std::move(out));
  });
  return {
    [self](read_request& request) -> caf::result<read_result> {
      auto promise = self->make_response_promise<read_result>();
      self->state.read(request, reply<read_result>{promise});
      return promise;
    },
    [self](cancel_atom, const std::string& request_id) {
      read_scheduler::outcome out;
      auto found = self->state.scheduler->cancel(request_id, out);
      self->state.follow(std::move(out));
      return found;
    },
    [self](running_atom) { return self->state.scheduler->running(); },
    [self](drain_atom, uint64_t milliseconds) {
      read_scheduler::outcome out;
      self->state.scheduler->drain(std::chrono::milliseconds{milliseconds}, out);
      self->state.follow(std::move(out));
    },
    [self](caf::timeout_atom) {
      read_scheduler::outcome out;
      self->state.scheduler->expire(out);
      self->state.follow(std::move(out));
    },
    [self](read_done& x) {
      read_scheduler::outcome out;
      std::chrono::microseconds busy{x.answer.busy_us};
      auto answer = x.error ? caf::expected<executed_read>{std::move(x.error)} : std::move(x.answer);
      self->state.scheduler->finished(x.flight, std::move(answer), busy, out);
      self->state.follow(std::move(out));
    },
    [self](retry_atom) {
      read_scheduler::outcome out;
      self->state.scheduler->retry_locked(out);
      self->state.follow(std::move(out));
    },
    [self](quiesce_atom, const std::string& db, uint64_t milliseconds) -> caf::result<bool> {
      auto promise = self->make_response_promise<bool>();
      read_scheduler::outcome out;
      auto& state = self->state;
      state.scheduler->quiesce(state.parts.actors->slot(db), std::chrono::milliseconds{milliseconds},
                               reply<bool>{promise}, out);
      state.follow(std::move(out));
      return promise;
    },
    [self](resume_atom, const std::string& db) {
      read_scheduler::outcome out;
      self->state.scheduler->resume(self->state.parts.actors->slot(db), out);
      self->state.follow(std::move(out));
    },
    [self](const invalidation& x) { self->state.invalidate(x); },
    [self](caf::join_atom, const std::string& db, const reader_actor& reader) { self->state.add_reader(db, reader); },
    [self](caf::tick_atom) { self->state.tick(); },
    [self](caf::close_atom) {
      self->state.close();
      return caf::ok_atom_v;
    },
  };
}

void cache_state::start(cache_parts x) {
  parts = std::move(x);
  scheduler = std::make_unique<read_scheduler>(*parts.hits, *parts.time, parts.bounds, parts.seed, parts.retry,
                                               parts.max_long_reads);
  // A predecessor that failed may have left something half done.
  parts.hits->clear();
  schedule_tick();
}

void cache_state::read(read_request& request, reply<read_result> to) {
  auto& slot = parts.actors->slot(request.db);
  read_scheduler::outcome out;
  scheduler->submit(slot, std::move(request), std::move(to), out);
  follow(std::move(out));
}

void cache_state::invalidate(const invalidation& x) {
  if (x.everything) {
    scheduler->forget_statements();
    read_scheduler::outcome out;
    scheduler->refuse_if_closed(parts.actors->slot(x.db), out);
    follow(std::move(out));
  }
  if (!tick_scheduled)
    sweep();
  else
    sweep_due = true;
}

void cache_state::sweep() {
  sweep_due = false;
  swept_at = parts.time->now();
  parts.hits->sweep(swept_at);
  auto hits = parts.hits->harvest(wall_us(*parts.time));
  std::move(hits.begin(), hits.end(), std::back_inserter(records.records));
  // As long as there are entries they age, and may be hit.
  if (!parts.hits->empty() || !records.records.empty())
    schedule_tick();
}

void cache_state::add_reader(const std::string& db, reader_actor reader) {
  self->monitor(reader);
  read_scheduler::outcome out;
  scheduler->reader_joined(parts.actors->slot(db), std::move(reader), out);
  follow(std::move(out));
}

void cache_state::follow(read_scheduler::outcome out) {
  for (auto& x : out.dispatches)
    self->send(x.reader, run_read{x.flight, std::move(x.request)});
  for (const auto& db : out.wants_readers)
    self->send(parts.actors->supervisor(), caf::spawn_atom_v, db);
  for (const auto& db : out.suspects)
    if (auto route = parts.actors->slot(db).route())
      self->send(route->writer, verify_atom{});
  if (out.retry_in)
    self->delayed_send(self, *out.retry_in, retry_atom{});
  if (out.expire_in)
    self->delayed_send(self, *out.expire_in, caf::timeout_atom_v);
  std::move(out.records.begin(), out.records.end(), std::back_inserter(records.records));
  if (records.records.size() >= records_per_batch)
    report();
  else if (!records.records.empty())
    schedule_tick();
  parts.misses->store(scheduler->misses(), std::memory_order_relaxed);
  parts.joined->store(scheduler->joined(), std::memory_order_relaxed);
  for (auto& x : out.deliveries)
    x.to.deliver(std::move(x.result));
  for (auto& x : out.quiesced)
    x.to.deliver(x.is_quiet);
  for (auto& x : out.slow)
    parts.shown->slow.add(std::move(x));
}

void cache_state::tick() {
  tick_scheduled = false;
  if (sweep_due || parts.time->now() - swept_at >= sweep_interval)
    sweep();
  else if (!parts.hits->empty())
    schedule_tick();
  report();
}

void cache_state::schedule_tick() {
  if (!std::exchange(tick_scheduled, true))
    self->delayed_send(self, tick_interval, caf::tick_atom_v);
}

void cache_state::report() {
  if (!records.records.empty())
    self->send(parts.actors->audit(), std::exchange(records, {}));
}

void cache_state::close() {
  read_scheduler::outcome out;
  scheduler->abandon(out);
  follow(std::move(out));
  sweep();
  report();
  self->quit();
}

} // namespace sluice
