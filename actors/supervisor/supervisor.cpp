#include "actors/supervisor/supervisor_state.hpp"

#include "actors/shared/deadline_watch.hpp"

#include <algorithm>

namespace sluice {

namespace {

constexpr std::chrono::seconds restart_pause{1};

// An exception that leaves a handler would end the supervisor, and with it every database.
template <class F> caf::error attempt(const char* action, F f) {
  try {
    f();
    return {};
  } catch (const std::exception& error) {
    return make_error(errc::unavailable, std::string{action} + ": " + error.what() + "; try again",
                      {.retry_after_ms = static_cast<uint32_t>(std::chrono::milliseconds{restart_pause}.count())});
  }
}

} // namespace

supervisor_actor::behavior_type supervisor(supervisor_actor::stateful_pointer<hidden_state<supervisor_state>> self,
                                           supervisor_dependencies parts) {
  self->state.create(self, std::move(parts)).start();
  self->set_down_handler([self](caf::down_msg& message) { self->state->child_down(message); });
  return {
    [self](caf::open_atom, const std::string& db) -> caf::result<caf::ok_atom> {
      auto promise = self->make_response_promise<caf::ok_atom>();
      self->state->open(db, false, promise);
      return promise;
    },
    [self](find_atom, const std::string& db) -> caf::result<caf::ok_atom> {
      auto promise = self->make_response_promise<caf::ok_atom>();
      self->state->open(db, true, promise);
      return promise;
    },
    [self](attach_atom, const std::string& db) {
      // The audit tries all the same, and reports ledgers that it cannot read.
      static_cast<void>(attempt("a database cannot be looked at", [&] { self->state->prepare(db); }));
      caf::anon_send(self->state->parts.actors->audit(), attach_atom{}, db);
    },
    [](caf::ping_atom) { return caf::pong_atom_v; },
    [self](caf::tick_atom) {
      if (!self->state->closing)
        self->state->restart_shared();
    },
    [self](caf::spawn_atom, const std::string& db) { self->state->replenish(db); },
    [self](caf::close_atom, const std::string& db) -> caf::result<caf::ok_atom> {
      auto promise = self->make_response_promise<caf::ok_atom>();
      self->state->close_database(db, promise);
      return promise;
    },
    [self](caf::close_atom) -> caf::result<caf::ok_atom> {
      auto promise = self->make_response_promise<caf::ok_atom>();
      self->state->close(promise);
      return promise;
    },
  };
}

void supervisor_state::start() {
  start_deadlines();
  start_log();
  start_audit();
  start_cache();
  start_buffer();
}

void supervisor_state::prepare(const std::string& db) {
  if (parts.spawn.prepare)
    parts.spawn.prepare(db);
}

void supervisor_state::open(const std::string& db, bool must_exist, ok_promise done) {
  if (auto pending = being_closed.find(db); pending != being_closed.end() && !closing) {
    pending->second.push_back([this, db, must_exist, done]() mutable { open(db, must_exist, std::move(done)); });
    return;
  }
  if (families.count(db) > 0 && !closing) {
    done.deliver(caf::ok_atom_v);
    return;
  }
  if (auto error = admit(db, must_exist)) {
    done.deliver(std::move(error));
    return;
  }
  // The audit reads the ledger before anything new is written to it. If it cannot, the database is served all the same:
  // the ledger has the commits that the audit lacks.
  auto ready = [this, db, done]() mutable {
    if (auto error = start_family(db))
      done.deliver(std::move(error));
    else
      done.deliver(caf::ok_atom_v);
  };
  self->request(parts.actors->audit(), caf::infinite, attach_atom{}, db)
    .then(
      [this, db, ready](attach_report& found) mutable {
        parts.actors->context(db).know_ledger(std::move(found.ledger));
        ready();
      },
      [ready](const caf::error&) mutable { ready(); });
}

// A refused name leaves no state.
caf::error supervisor_state::admit(const std::string& db, bool must_exist) {
  if (closing)
    return make_error(errc::unavailable, "the broker is shutting down");
  caf::error refusal;
  auto failed = attempt("the database cannot be opened", [&] {
    if (parts.find)
      refusal = parts.find(db, must_exist);
    if (!refusal && parts.may_open)
      refusal = parts.may_open(db);
    if (!refusal)
      prepare(db);
  });
  return failed ? failed : refusal;
}

caf::error supervisor_state::start_family(const std::string& db) {
  if (closing)
    return make_error(errc::unavailable, "the broker is shutting down");
  auto [i, added] = families.try_emplace(db, children{{}, restart_window{parts.restart_limit, parts.restart_window}});
  if (!added)
    return {};
  auto error = attempt("the database cannot be opened", [&, family = i] { start_writer(db, family->second); });
  if (error)
    families.erase(i);
  else
    add_reader(db);
  return error;
}

void supervisor_state::start_writer(const std::string& db, children& family) {
  auto& context = parts.actors->context(db);
  auto queue = std::make_shared<write_quota>(parts.bounds(db).queue);
  family.writer = parts.spawn.writer(context, queue);
  self->monitor(family.writer);
  // Checks for changes to the file while no writer ran.
  self->send(family.writer, verify_atom{});
  context.open({family.writer, std::move(queue)});
}

// An actor that cannot be started because memory is lacking is started later.
bool supervisor_state::restart_writer(const std::string& db, children& family) {
  if (!attempt("the writer cannot be started", [&] { start_writer(db, family); }))
    return true;
  self->delayed_send(self, restart_pause, caf::spawn_atom_v, db);
  return false;
}

void supervisor_state::replenish(const std::string& db) {
  auto family = families.find(db);
  // A database in quarantine gets no writer.
  if (closing || family == families.end() || parts.actors->context(db).closed())
    return;
  if (family->second.writer || restart_writer(db, family->second))
    add_reader(db);
}

void supervisor_state::add_reader(const std::string& db) {
  auto& context = parts.actors->context(db);
  if (closing || context.closed() || context.readers().size() >= parts.bounds(db).max_readers())
    return;
  reader_actor reader;
  if (attempt("the reader cannot be started", [&] { reader = parts.spawn.reader(context); }))
    return self->delayed_send(self, restart_pause, caf::spawn_atom_v, db);
  self->monitor(reader);
  living_readers.insert(reader.address());
  context.add_reader(reader);
  self->send(parts.actors->cache(), caf::join_atom_v, db, std::move(reader));
}

void supervisor_state::child_down(const caf::down_msg& message) {
  auto was_reader = living_readers.erase(message.source) > 0;
  if (closing) {
    if (was_reader && readers_asked_to_end && living_readers.empty())
      close_writers();
    return;
  }
  if (dismissed.erase(message.source) > 0)
    return;
  if (message.source == parts.actors->cache().address())
    cache_down = true;
  else if (message.source == parts.actors->audit().address())
    audit_down = true;
  else if (auto buffer = parts.actors->buffer(); buffer && message.source == buffer.address())
    buffer_down = true;
  else if (auto log = parts.actors->log(); log && message.source == log.address())
    log_down = true;
  else if (auto watch = parts.actors->deadlines(); watch && message.source == watch.address())
    deadlines_down = true;
  else
    for (auto& [db, family] : families)
      restart_in_family(db, family, message.source);
  if (cache_down || audit_down || buffer_down || log_down || deadlines_down) {
    // Every database needs these actors, so they are never given up; but they must not fail in a loop either.
    if (!shared_restarts.allow(parts.time->now()))
      return self->delayed_send(self, restart_pause, caf::tick_atom_v);
    restart_shared();
  }
  // Counted when the successor is running.
  parts.actors->restarts.fetch_add(1, std::memory_order_relaxed);
}

void supervisor_state::restart_shared() {
  start_again(deadlines_down, &supervisor_state::start_deadlines);
  start_again(log_down, &supervisor_state::start_log);
  start_again(audit_down, &supervisor_state::start_audit);
  start_again(cache_down, &supervisor_state::start_cache);
  start_again(buffer_down, &supervisor_state::start_buffer);
}

void supervisor_state::start_again(bool& is_down, void (supervisor_state::*begin)()) {
  if (!is_down)
    return;
  is_down = static_cast<bool>(attempt("an actor cannot be started", [&] { (this->*begin)(); }));
  if (is_down)
    self->delayed_send(self, restart_pause, caf::tick_atom_v);
}

void supervisor_state::restart_in_family(const std::string& db, children& family, const caf::actor_addr& lost) {
  auto& context = parts.actors->context(db);
  auto writer_lost = family.writer && family.writer.address() == lost;
  if (!writer_lost && !context.remove_reader(lost))
    return;
  // Only its connection may have detected commits of other programs.
  context.versions().raise_everything();
  context.counters().restarts.fetch_add(1, std::memory_order_relaxed);
  if (!family.restarts.allow(parts.time->now()))
    return quarantine(db, family);
  if (!writer_lost)
    return add_reader(db);
  // It may have committed without a notification.
  context.notify(invalidation{db, 0, {}, true});
  family.writer = nullptr;
  restart_writer(db, family);
}

void supervisor_state::quarantine(const std::string& db, children& family) {
  auto& context = parts.actors->context(db);
  context.close(make_failure(errc::unavailable, "this database is in quarantine: its actors failed "
                                                  + std::to_string(parts.restart_limit + 1) + " times within "
                                                  + std::to_string(parts.restart_window.count())
                                                  + " ms; look for the cause, then restart the broker"),
                true);
  if (family.writer)
    self->send_exit(family.writer, caf::exit_reason::kill);
  family.writer = nullptr;
  for (auto& reader : context.take_readers())
    self->send_exit(reader, caf::exit_reason::kill);
  invalidation anything{db, 0, {}, true};
  context.notify(anything);
  // Reads that wait for a reader would otherwise wait for ever.
  self->send(parts.actors->cache(), std::move(anything));
}

void supervisor_state::start_cache() {
  auto cache = parts.spawn.cache();
  self->monitor(cache);
  parts.actors->set(cache);
  for (auto& [db, family] : families)
    for (auto& reader : parts.actors->context(db).readers())
      self->send(cache, caf::join_atom_v, db, reader);
}

void supervisor_state::start_audit() {
  auto audit = parts.spawn.audit();
  self->monitor(audit);
  parts.actors->set(audit);
  // The ledgers have the records that the predecessor had taken.
  for (auto& [db, family] : families)
    // With CAF 0.17.6 the member function `send` would set this actor as the sender: the answer would come back as a
    // message that this actor does not handle, and the resulting error would end the audit actor.
    caf::anon_send(audit, attach_atom{}, db);
}

void supervisor_state::start_buffer() {
  if (!parts.spawn.buffer)
    return;
  auto buffer = parts.spawn.buffer();
  self->monitor(buffer);
  parts.actors->set(buffer);
}

void supervisor_state::start_deadlines() {
  if (!parts.spawn.deadlines)
    return;
  auto watch = parts.spawn.deadlines();
  self->monitor(watch);
  parts.actors->set(watch);
  // The files that the predecessor had to check.
  for (const auto& [db, family] : families)
    if (auto route = parts.actors->context(db).last_route())
      if (auto next = route->queue->next_expiry())
        watch_deadline(*parts.actors, *parts.time, db, *next);
}

void supervisor_state::start_log() {
  if (!parts.spawn.log)
    return;
  auto log = parts.spawn.log();
  self->monitor(log);
  parts.actors->set(log);
  // Entries that were logged meanwhile have woken the predecessor.
  caf::anon_send(log, caf::flush_atom_v);
}

} // namespace sluice
