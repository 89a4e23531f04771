#include "actors/shared/deadline_watch.hpp"
#include "actors/supervisor/supervisor_state.hpp"

#include <utility>

// Ends one database while the others are served, and all of them at shutdown.
namespace sluice {

// Finishes requests under way; refuses later ones until the database is opened again, which waits for the end of this.
void supervisor_state::close_database(const std::string& db, ok_promise done) {
  auto family = families.find(db);
  if (closing || family == families.end()) {
    done.deliver(caf::ok_atom_v);
    return;
  }
  auto [closing_it, is_first] = being_closed.try_emplace(db);
  closing_it->second.push_back([done]() mutable { done.deliver(caf::ok_atom_v); });
  if (!is_first)
    return;
  auto& context = parts.actors->context(db);
  auto error = describe(make_error(errc::unavailable, "'" + db + "' has been closed by its host; open it again"));
  context.close(error, false);
  if (auto cursors = parts.actors->cursors())
    self->send(cursors, end_cursors{db, error});
  auto end = parts.time->now() + parts.drain_time;
  if (auto route = context.last_route())
    watch_deadline(*parts.actors, *parts.time, db, route->queue->drain(end));
  // Refuses waiting reads; running ones have as much time as at the end of the broker.
  self->send(parts.actors->cache(), invalidation{db, 0, {}, true});
  auto readers_quiet = [this, db] { end_family(db); };
  self
    ->request(parts.actors->cache(), caf::infinite, quiesce_atom{}, db, static_cast<uint64_t>(parts.drain_time.count()))
    .then([readers_quiet](bool) { readers_quiet(); }, [readers_quiet](const caf::error&) { readers_quiet(); });
}

// Ends readers first, as at the end of the broker.
void supervisor_state::end_family(const std::string& db) {
  auto family = families.find(db);
  if (closing || family == families.end())
    return;
  for (auto& reader : parts.actors->context(db).take_readers()) {
    dismissed.insert(reader.address());
    self->send_exit(reader, caf::exit_reason::user_shutdown);
  }
  auto ended = [this, db] { family_ended(db); };
  auto writer = family->second.writer;
  if (!writer)
    return ended();
  dismissed.insert(writer.address());
  self->request(writer, caf::infinite, caf::close_atom_v)
    .then([ended](caf::ok_atom) { ended(); }, [ended](const caf::error&) { ended(); });
}

void supervisor_state::family_ended(const std::string& db) {
  if (closing)
    return;
  if (auto family = families.find(db); family != families.end()) {
    self->send_exit(family->second.writer, caf::exit_reason::user_shutdown);
    families.erase(family);
  }
  auto& context = parts.actors->context(db);
  context.forget_route();
  // From now on the broker does not detect commits of other programs.
  context.versions().raise_everything();
  self->send(parts.actors->cache(), resume_atom{}, db);
  auto waiting = being_closed.extract(db);
  if (waiting)
    for (auto& next : waiting.mapped())
      next();
}

// Readers end before the writers' connections, so that the latter close last and SQLite removes its WAL files.
void supervisor_state::close(ok_promise done) {
  awaiting_close.push_back(std::move(done));
  if (std::exchange(closing, true))
    return;
  auto end = parts.time->now() + parts.drain_time;
  for (auto& [db, family] : families) {
    auto& context = parts.actors->context(db);
    context.close(describe(make_error(errc::unavailable, "the broker is shutting down")), false);
    if (auto route = context.last_route())
      watch_deadline(*parts.actors, *parts.time, db, route->queue->drain(end));
  }
  close_buffer();
}

void supervisor_state::close_buffer() {
  auto buffer = parts.actors->buffer();
  if (!buffer)
    return close_cache();
  self->request(buffer, caf::infinite, caf::close_atom_v)
    .then([this](caf::ok_atom) { close_cache(); },
          [this](caf::error& error) {
            buffer_closed = std::move(error);
            close_cache();
          });
}

void supervisor_state::close_cache() {
  // The cache interrupts the queries of the readers.
  self->request(parts.actors->cache(), caf::infinite, caf::close_atom_v)
    .then([this](caf::ok_atom) { end_readers(); }, [this](const caf::error&) { end_readers(); });
}

void supervisor_state::end_readers() {
  for (auto& [db, family] : families)
    for (auto& reader : parts.actors->context(db).take_readers())
      self->send_exit(reader, caf::exit_reason::user_shutdown);
  readers_asked_to_end = true;
  if (living_readers.empty())
    close_writers();
}

void supervisor_state::close_writers() {
  auto open_writers = std::make_shared<size_t>(1);
  auto one_less = [this, open_writers] {
    if (--*open_writers == 0)
      close_audit();
  };
  for (auto& [db, family] : families) {
    if (!family.writer)
      continue;
    ++*open_writers;
    self->request(family.writer, caf::infinite, caf::close_atom_v)
      .then([one_less](caf::ok_atom) { one_less(); }, [one_less](const caf::error&) { one_less(); });
  }
  one_less();
}

void supervisor_state::close_audit() {
  self->request(parts.actors->audit(), caf::infinite, caf::close_atom_v)
    .then([this](caf::ok_atom ok) { close_log(ok); }, [this](const caf::error& error) { close_log(error); });
}

// The log ends last, so that it has the messages of the others.
void supervisor_state::close_log(const caf::expected<caf::ok_atom>& audit_closed) {
  auto log = parts.actors->log();
  if (!log)
    return closed(audit_closed);
  self->request(log, caf::infinite, caf::close_atom_v)
    .then([this, audit_closed](caf::ok_atom) { closed(audit_closed); },
          [this, audit_closed](const caf::error&) { closed(audit_closed); });
}

void supervisor_state::closed(const caf::expected<caf::ok_atom>& audit_closed) {
  auto result = buffer_closed ? caf::expected<caf::ok_atom>{buffer_closed} : audit_closed;
  for (auto& done : std::exchange(awaiting_close, {}))
    result ? done.deliver(*result) : done.deliver(result.error());
  self->quit();
}

} // namespace sluice
