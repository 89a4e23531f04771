// The part of the buffer actor that knows schemas, and keeps rows and schema changes in order.

#include "actors/buffer/buffer.hpp"

#include <utility>

namespace sluice {

void buffer_state::with_shape(const std::string& db, const std::string& table, schema_cache::then next) {
  if (auto known = shapes.find(db, table))
    return next(known);
  if (shapes.await(db, table, std::move(next)))
    ask_for_shape(db, table);
}

void buffer_state::ask_for_shape(const std::string& db, const std::string& table) {
  auto answer = [this, db, table](caf::expected<table_schema> x) {
    ahead = 0;
    auto outdated = shapes.put(db, table, std::move(x));
    ahead.reset();
    if (outdated)
      ask_for_shape(db, table);
    let_in();
  };
  auto ask = [this, db, table, answer](caf::ok_atom) {
    // Before it is read, so that no change is missed.
    parts.actors->context(db).listen(caf::actor_cast<invalidation_listener>(self));
    auto request = read_of(db, table_schema::query(table), buffer_agent);
    request.freshness = freshness::fresh;
    self->request(parts.actors->cache(), caf::infinite, std::move(request))
      .then([table, answer](const read_result& x) { answer(table_schema::read(table, *x.rows, x.truncated)); },
            [answer](caf::error& why) { answer(std::move(why)); });
  };
  self->request(parts.actors->supervisor(), caf::infinite, find_atom{}, db).then(ask, [answer](caf::error& why) {
    answer(std::move(why));
  });
}

void buffer_state::quiesce(const std::string& db, const caf::strong_actor_ptr& writer,
                           std::function<void(const flush_report&)> done) {
  if (auto why = recover()) {
    flush_report unread;
    unread.kept = 1;
    unread.reason = describe(why).message;
    return done(unread);
  }
  if (auto& known = quiet[db]; writer && known != writer->address()) {
    known = writer->address();
    // A writer that fails in between never says that it is done.
    self->monitor(writer);
  }
  // What has not been acknowledged could be put after the change as well, but it was checked against the schema before.
  write_journal();
  flush_request all;
  all.db = db;
  flush(all, std::move(done));
}

void buffer_state::resume(const std::string& db) {
  auto found = quiet.find(db);
  if (found == quiet.end())
    return;
  self->demonitor(found->second);
  quiet.erase(found);
  auto puts = std::exchange(held_puts[db], {});
  held_puts.erase(db);
  // They came before those who wait for room.
  ahead = 0;
  for (auto& x : puts)
    admit(std::move(x.put), std::move(x.to));
  ahead.reset();
  let_in();
}

void buffer_state::writer_ended(const caf::actor_addr& writer) {
  std::vector<std::string> names;
  for (const auto& [db, known] : quiet)
    if (known == writer)
      names.push_back(db);
  for (const auto& db : names)
    resume(db);
}

void buffer_state::hold(buffer_put x, reply<buffer_receipt> to) {
  auto& puts = held_puts[x.row.db];
  if (!ahead && puts.size() >= parts.settings.max_pending)
    return wait_for_room(std::move(x), std::move(to));
  // Those who waited for the table came before the schema change began, and so before those who are held already. They
  // have been counted.
  puts.insert(ahead ? puts.begin() + static_cast<std::ptrdiff_t>((*ahead)++) : puts.end(),
              waiting_put{std::move(x), std::move(to), {}});
}

} // namespace sluice
