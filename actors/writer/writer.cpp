#include "actors/writer/writer_state.hpp"

#include <algorithm>
#include <cassert>

namespace sluice {

writer_actor::behavior_type writer(writer_actor::stateful_pointer<hidden_state<writer_state>> self,
                                   std::shared_ptr<writer_dependencies> parts) {
  self->state.create(self, std::move(*parts));
  return {
    [self](write_request& request) -> caf::result<write_result> {
      auto promise = self->make_response_promise<write_result>();
      auto ticket = request.ticket;
      self->state->take(std::move(request), reply<write_result>{promise, std::move(ticket)});
      return promise;
    },
    [self](caf::flush_atom, uint64_t group_number) {
      if (group_number == self->state->group.number())
        self->state->finish_group();
    },
    [self](retry_atom) {
      self->state->retry_armed = false;
      self->state->apply(self->state->group.retry());
    },
    [self](caf::timeout_atom) {
      self->state->expire_held();
      self->state->apply(self->state->group.expire());
    },
    [self](caf::tick_atom) { self->state->serve_turns(); },
    [self](caf::idle_atom, uint64_t group_number) { self->state->tidy(group_number); },
    [self](close_idle_atom, uint64_t group_number) { self->state->close_idle(group_number); },
    [self](checkpoint_atom) { self->state->checkpoint_late(); },
    [self](prune_atom) { self->state->prune(); },
    [self](verify_atom) {
      self->state->group.look_for_external_commit();
      self->state->finish_group();
    },
    [self](caf::close_atom) {
      self->state->close();
      return caf::ok_atom_v;
    },
  };
}

writer_state::writer_state(writer_actor::pointer me, writer_dependencies dependencies)
  : self(me), parts(std::move(dependencies)),
    group(*parts.store, *parts.context, *parts.time, parts.settings.group, parts.seed, parts.stats->slow) {}

// Takes requests in the order of the mailbox, as long as the waiting ones fit one group.
void writer_state::take(write_request request, reply<write_result> to) {
  if (!by_turns)
    return add(std::move(request), std::move(to));
  wait_for_turn({std::move(request), std::move(to)});
}

void writer_state::wait_for_turn(waiting next) {
  auto agent = next.request.agent;
  turns.push({0, std::move(agent)}, std::move(next));
}

void writer_state::apply(group_commit::step step) {
  using action = group_commit::step::action;
  switch (step.next) {
  case action::wait: return;
  case action::mark:
    // Requests in the mailbox join the group. If the group already has all admitted requests, there are none.
    if (parts.queue->queued().requests == group.size())
      return finish_group();
    return self->send(self, caf::flush_atom_v, group.number());
  case action::finish_group: return finish_group();
  case action::finish_full_group: take_turns(); return finish_group();
  case action::expire: return self->delayed_send(self, step.delay, caf::timeout_atom_v);
  case action::retry:
    // Finishing a group during the pause must not schedule a second retry.
    if (!std::exchange(retry_armed, true))
      self->delayed_send(self, step.delay, retry_atom{});
    return;
  }
}

void writer_state::finish_group() {
  auto done = group.finish_group();
  parts.queue->served(done.writes.size(), done.busy);
  for (auto& change : done.changes) {
    parts.context->notify(change.message);
    if (change.concerns_cache)
      self->send(parts.actors->cache(), std::move(change.message));
  }
  parts.actors->audit_records().push(std::move(done.records));
  for (const auto& warning : done.warnings)
    if (parts.warn)
      parts.warn(warning);
  for (auto& write : done.writes) {
    if (write.ticket)
      parts.queue->release(*write.ticket);
    if (by_turns || !turns.empty())
      turns.charge({0, write.agent}, write.executed);
    write.to.deliver(std::move(write.result));
  }
  if (!done.slow.empty())
    note_slow(done);
  auto is_late = std::exchange(checkpoint_is_late, false);
  checkpoint_if_grown(is_late || done.writes.empty() || !done.is_short);
  prune_if_due();
  resume_buffer();
  apply(group.after_group());
}

// Sent after the messages that are in the mailbox now, whose requests wait for their turn.
void writer_state::take_turns() {
  by_turns = true;
  self->send(self, caf::tick_atom_v);
}

void writer_state::serve_turns() {
  by_turns = false;
  while (auto next = turns.pop()) {
    add(std::move(next->request), std::move(next->to));
    // The group is full again.
    if (by_turns)
      return;
  }
  turns.forget();
}

void writer_state::note_slow(group_commit::finished_group& done) {
  assert(!parts.store->in_transaction());
  auto& slow = parts.stats->slow;
  for (auto& [request, statements] : done.slow) {
    if (slow.would_keep(request.total_us) && parts.store->is_open())
      // A statement that no longer exists, or never was valid, has no plan.
      if (auto plan = parts.store->explain(statements))
        request.plan = std::move(*plan);
    slow.add(std::move(request));
  }
}

// A thread that runs only short requests has no time for a checkpoint; another thread handles a separate message for
// it.
void writer_state::checkpoint_if_grown(bool may_take_time) {
  assert(!parts.store->in_transaction());
  auto wal = parts.store->wal_bytes();
  parts.context->counters().wal_bytes.store(wal, std::memory_order_relaxed);
  auto is_large = parts.store->log_bytes() >= parts.settings.max_log_bytes / 2;
  auto is_overgrown = parts.store->take_overgrown_log(parts.settings.max_log_bytes / 2);
  has_large_log = has_large_log || is_overgrown;
  // A checkpoint takes time in proportion to the log, so frames that another program pins are not tried again after
  // each commit.
  pinned_wal_bytes = std::min(pinned_wal_bytes, wal);
  checkpoint_is_due =
    checkpoint_is_due || is_overgrown || wal - pinned_wal_bytes >= parts.settings.checkpoint_wal_bytes;
  if (checkpoint_is_due && may_take_time)
    checkpoint();
  else if (checkpoint_is_due && !std::exchange(checkpoint_is_sent, true))
    self->send(self, checkpoint_atom{});
  has_large_log = has_large_log || is_large;
  if (is_large)
    bound_log();
  if (!std::exchange(idle_armed, true))
    self->delayed_send(self, parts.settings.idle_after, caf::idle_atom_v, group.number());
}

void writer_state::checkpoint() {
  checkpoint_is_due = false;
  // Frames that a reader pins stay in the WAL until the next time; the status shows their size.
  if (has_large_log && parts.store->log_bytes() < parts.settings.max_log_bytes / 2)
    truncate_wal();
  else
    // After an error the next commit tries again.
    pinned_wal_bytes = checkpoint_counted(checkpoint_mode::passive) ? parts.store->wal_bytes() : 0;
}

void writer_state::checkpoint_late() {
  checkpoint_is_sent = false;
  if (!group.empty())
    checkpoint_is_late = true;
  else if (checkpoint_is_due)
    checkpoint();
}

// After an error the log stays unchanged until the next time. If the file is closed, there is nothing to move.
bool writer_state::checkpoint_counted(checkpoint_mode mode) {
  auto is_done = parts.store->checkpoint(mode) && parts.store->is_open();
  if (is_done)
    parts.context->counters().checkpoints.fetch_add(1, std::memory_order_relaxed);
  return is_done;
}

// Acts at half of the bound, because the log grows while the running reads end. Beyond the bound itself, it does not
// wait.
void writer_state::bound_log() {
  if (quiesces_reads)
    return;
  auto is_full = parts.store->log_bytes() >= parts.settings.max_log_bytes;
  auto has_passed_bound = is_full && !log_is_full;
  log_is_full = is_full;
  if (parts.time->now() < next_quiescence && !has_passed_bound)
    return;
  retries_soon = has_passed_bound;
  if (is_full)
    end_cursors();
  quiesces_reads = true;
  self
    ->request(parts.actors->cache(), caf::infinite, quiesce_atom{}, parts.context->name(),
              static_cast<uint64_t>(parts.settings.quiesce_time.count()))
    .then([this](bool is_quiet) { restart_log(is_quiet); }, [this](const caf::error&) { restart_log(false); });
}

void writer_state::end_cursors() {
  const auto& db = parts.context->name();
  parts.actors->end_cursors_of(
    db, make_failure(errc::unavailable,
                     "the cursor was ended, because the write-ahead log of " + db
                       + " cannot begin anew while it is open and has passed its bound; read faster, or in parts"));
}

void writer_state::restart_log(bool is_quiet) {
  if (is_quiet) {
    finish_group();
    truncate_wal();
  }
  quiesces_reads = false;
  self->send(parts.actors->cache(), resume_atom{}, parts.context->name());
  auto bytes = parts.store->log_bytes();
  if (bytes < parts.settings.max_log_bytes / 2) {
    log_is_full = false;
    return;
  }
  // Cursors that were ended now are gone soon; other obstacles stay longer.
  next_quiescence = parts.time->now() + (retries_soon ? 1 : 10) * parts.settings.quiesce_time;
  if (bytes >= parts.settings.max_log_bytes && parts.warn)
    parts.warn("the write-ahead log of " + parts.context->name() + " has grown to " + std::to_string(bytes)
               + " bytes: a read that takes long, or another program that reads, keeps it from beginning anew");
}

void writer_state::tidy(uint64_t group_number) {
  idle_armed = false;
  if (group_number != group.number() || !group.empty()) {
    idle_armed = true;
    return self->delayed_send(self, parts.settings.idle_after, caf::idle_atom_v, group.number());
  }
  assert(!parts.store->in_transaction());
  // Removes a bounded number at a time, so that a write that arrives meanwhile does not wait for all. An error is
  // ignored until the next time.
  if (auto forgotten = parts.store->prune_keys(); forgotten && *forgotten > 0) {
    idle_armed = true;
    return self->send(self, caf::idle_atom_v, group_number);
  }
  truncate_wal();
  parts.context->counters().wal_bytes.store(parts.store->wal_bytes(), std::memory_order_relaxed);
  close_idle_later();
}

// A record is removed only when the audit has its content.
void writer_state::prune_if_due() {
  if (std::exchange(pruning_is_late, false))
    self->send(self, prune_atom{});
  if (parts.settings.prune_every.count() == 0 || prunes || parts.time->now() < next_pruning)
    return;
  prunes = true;
  self
    ->request(parts.actors->audit(), caf::infinite, agree_atom{}, parts.context->name(),
              parts.context->versions().last_commit())
    .then(
      [this](uint64_t audited) {
        first_kept = audited;
        prune();
      },
      [this](const caf::error&) { end_pruning(); });
}

// Removes a bounded number at a time, so that a write that arrives meanwhile does not wait for all.
void writer_state::prune() {
  if (!group.empty()) {
    pruning_is_late = true;
    return;
  }
  assert(!parts.store->in_transaction());
  auto removed = parts.store->prune_commits(first_kept);
  if (!removed && parts.warn)
    parts.warn("old commit records of " + parts.context->name()
               + " cannot be removed: " + describe(removed.error()).message);
  if (removed && removed->has_more)
    return self->send(self, prune_atom{});
  end_pruning();
}

void writer_state::end_pruning() {
  prunes = false;
  next_pruning = parts.time->now() + parts.settings.prune_every;
  if (!std::exchange(idle_armed, true))
    self->delayed_send(self, parts.settings.idle_after, caf::idle_atom_v, group.number());
}

void writer_state::close_idle_later() {
  if (parts.settings.close_idle_after.count() > 0 && parts.store->is_open())
    self->delayed_send(self, parts.settings.close_idle_after, close_idle_atom{}, group.number());
}

// The writer stays: senders need not know whether its file is open.
void writer_state::close_idle(uint64_t group_number) {
  auto is_early = group_number == any_group;
  auto is_due = is_early ? parts.is_to_be_closed && parts.is_to_be_closed()
                         : !parts.store->is_open() || group_number == group.number();
  if (!group.empty() || !is_due)
    return;
  assert(!parts.store->in_transaction());
  // Closing truncates the WAL, too.
  commit_window window{parts.context->versions(), {}, false};
  if (parts.store->close_idle()) {
    // From now on the broker does not detect commits of other programs.
    parts.context->versions().raise_everything();
    parts.context->short_writes().clear();
  } else if (!is_early)
    close_idle_later();
}

void writer_state::truncate_wal() {
  assert(!parts.store->in_transaction());
  // Readers see a truncated WAL as a change; the window shows them that it is one of ours.
  commit_window window{parts.context->versions(), {}, false};
  checkpoint_counted(checkpoint_mode::truncate);
  if (parts.store->log_bytes() == 0)
    has_large_log = false;
}

void writer_state::close() {
  while (!turns.empty())
    serve_turns();
  finish_group();
  auto why = make_failure(errc::unavailable, "the broker is shutting down");
  group.refuse_waiting(why);
  refuse_held(why);
  finish_group();
  // The last check: the next broker takes the file as it finds it.
  group.look_for_external_commit();
  finish_group();
  truncate_wal();
  parts.store.reset();
  self->quit();
}

} // namespace sluice
