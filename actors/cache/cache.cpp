#include "actors/cache/cache.hpp"

#include "actors/cache/read_scheduler.hpp"

#include <iterator>
#include <utility>

namespace sluice {

struct cache_state {
  cache_state(cache_actor::pointer me, cache_dependencies dependencies);

  void read(read_request& request, reply<read_result> to);
  void invalidate(const invalidation& change);
  void add_reader(const std::string& db, reader_actor reader);
  void apply(read_scheduler::effects out);
  void tick();
  void sweep();
  void take_hits(size_t most);
  void schedule_tick();
  void report();
  void close();

  cache_actor::pointer self;
  cache_dependencies parts;
  read_scheduler scheduler;
  audit_batch records;
  bool tick_scheduled = false;
  // Since the last sweep.
  bool was_invalidated = false;
  clock::steady hits_reported_at{};
  bool has_more_hits = false;
  static inline const char* name = "cache";
};

namespace {

// Short enough that stale entries do not stay long, long enough to cost nothing; nothing is scheduled while idle.
constexpr std::chrono::milliseconds tick_interval{100};
constexpr std::chrono::milliseconds hits_interval{1'000};
// Less than a millisecond for one turn, and the 80,000 answers that may fill the cache are looked at within 2 s.
constexpr size_t entries_per_sweep = 4'096;
constexpr size_t records_per_batch = 256;

} // namespace

cache_actor::behavior_type cache(cache_actor::stateful_pointer<hidden_state<cache_state>> self,
                                 cache_dependencies parts) {
  self->state.create(self, std::move(parts));
  self->set_down_handler([self](caf::down_msg& down) {
    read_scheduler::effects out;
    self->state->scheduler.reader_lost(down.source, out);
    self->state->apply(std::move(out));
  });
  return {
    [self](read_request& request) -> caf::result<read_result> {
      auto promise = self->make_response_promise<read_result>();
      self->state->read(request, reply<read_result>{promise});
      return promise;
    },
    [self](cancel_atom, const std::string& request_id) {
      read_scheduler::effects out;
      auto found = self->state->scheduler.cancel(request_id, out);
      self->state->apply(std::move(out));
      return found;
    },
    [self](running_atom) { return self->state->scheduler.running(); },
    [self](drain_atom, uint64_t milliseconds) {
      read_scheduler::effects out;
      self->state->scheduler.drain(std::chrono::milliseconds{milliseconds}, out);
      self->state->apply(std::move(out));
    },
    [self](caf::timeout_atom) {
      read_scheduler::effects out;
      self->state->scheduler.expire(out);
      self->state->apply(std::move(out));
    },
    [self](read_done& done) {
      read_scheduler::effects out;
      std::chrono::microseconds busy{done.answer.busy_us};
      auto answer = done.error ? caf::expected<executed_read>{std::move(done.error)} : std::move(done.answer);
      self->state->scheduler.finished(done.flight, std::move(answer), busy, out);
      self->state->apply(std::move(out));
    },
    [self](retry_atom) {
      read_scheduler::effects out;
      self->state->scheduler.retry_locked(out);
      self->state->apply(std::move(out));
    },
    [self](quiesce_atom, const std::string& db, uint64_t milliseconds) -> caf::result<bool> {
      auto promise = self->make_response_promise<bool>();
      read_scheduler::effects out;
      auto& state = *self->state;
      state.scheduler.quiesce(state.parts.actors->context(db), std::chrono::milliseconds{milliseconds},
                              reply<bool>{promise}, out);
      state.apply(std::move(out));
      return promise;
    },
    [self](resume_atom, const std::string& db) {
      read_scheduler::effects out;
      self->state->scheduler.resume(self->state->parts.actors->context(db), out);
      self->state->apply(std::move(out));
    },
    [self](const invalidation& x) { self->state->invalidate(x); },
    [self](caf::join_atom, const std::string& db, const reader_actor& reader) { self->state->add_reader(db, reader); },
    [self](caf::tick_atom) { self->state->tick(); },
    [self](caf::close_atom) {
      self->state->close();
      return caf::ok_atom_v;
    },
  };
}

cache_state::cache_state(cache_actor::pointer me, cache_dependencies dependencies)
  : self(me), parts(std::move(dependencies)),
    scheduler(*parts.hits, *parts.time, parts.bounds, parts.seed, parts.retry, parts.max_long_reads) {
  // A failed predecessor may have left an inconsistent state.
  parts.hits->clear();
  schedule_tick();
}

void cache_state::read(read_request& request, reply<read_result> to) {
  auto& context = parts.actors->context(request.db);
  read_scheduler::effects out;
  scheduler.submit(context, std::move(request), std::move(to), out);
  apply(std::move(out));
}

void cache_state::invalidate(const invalidation& change) {
  if (change.everything) {
    scheduler.forget_statements();
    read_scheduler::effects out;
    scheduler.refuse_if_closed(parts.actors->context(change.db), out);
    apply(std::move(out));
  }
  was_invalidated = true;
  if (!tick_scheduled)
    sweep();
}

void cache_state::sweep() {
  auto now = parts.time->now();
  auto reports_hits = was_invalidated || has_more_hits || now - hits_reported_at >= hits_interval;
  if (std::exchange(was_invalidated, false))
    parts.hits->suspect_all();
  parts.hits->sweep(now, entries_per_sweep);
  if (reports_hits) {
    hits_reported_at = now;
    take_hits(entries_per_sweep);
  }
  // Existing entries expire, and may be hit.
  if (!parts.hits->empty() || !records.records.empty() || has_more_hits)
    schedule_tick();
}

void cache_state::take_hits(size_t most) {
  auto hits = parts.hits->take_hit_records(wall_us(*parts.time), most);
  has_more_hits = hits.size() >= most;
  std::move(hits.begin(), hits.end(), std::back_inserter(records.records));
}

void cache_state::add_reader(const std::string& db, reader_actor reader) {
  self->monitor(reader);
  read_scheduler::effects out;
  scheduler.reader_joined(parts.actors->context(db), std::move(reader), out);
  apply(std::move(out));
}

void cache_state::apply(read_scheduler::effects out) {
  for (auto& dispatch : out.dispatches)
    self->send(dispatch.reader, run_read{dispatch.flight, std::move(dispatch.request), dispatch.is_tiny});
  for (const auto& db : out.wants_readers)
    self->send(parts.actors->supervisor(), caf::spawn_atom_v, db);
  for (const auto& db : out.suspects)
    if (auto route = parts.actors->context(db).route())
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
  parts.misses->store(scheduler.misses(), std::memory_order_relaxed);
  parts.joined->store(scheduler.joined(), std::memory_order_relaxed);
  for (auto& delivery : out.deliveries)
    delivery.to.deliver(std::move(delivery.result));
  for (auto& database : out.quiesced)
    database.to.deliver(database.is_quiet);
  for (auto& slow : out.slow)
    parts.stats->slow.add(std::move(slow));
}

void cache_state::tick() {
  tick_scheduled = false;
  sweep();
  report();
}

void cache_state::schedule_tick() {
  if (!std::exchange(tick_scheduled, true))
    self->delayed_send(self, tick_interval, caf::tick_atom_v);
}

void cache_state::report() { parts.actors->audit_records().push(std::exchange(records, {})); }

void cache_state::close() {
  read_scheduler::effects out;
  scheduler.abandon(out);
  apply(std::move(out));
  take_hits(SIZE_MAX);
  report();
  self->quit();
}

} // namespace sluice
