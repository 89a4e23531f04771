// The part of `buffer_engine` that caches schemas, and orders rows and schema changes.

#include "actors/buffer/buffer_engine.hpp"

#include <utility>

namespace sluice {

void buffer_engine::with_shape(const std::string& db, const std::string& table, schema_cache::then next) {
  if (auto known = shapes_.find(db, table))
    return next(known);
  if (shapes_.await(db, table, std::move(next)))
    effects_.unknown_tables.push_back({db, table});
}

void buffer_engine::schema_read(const std::string& db, const std::string& table, caf::expected<read_result> answer) {
  auto schema = answer ? table_schema::read(table, *answer->rows, answer->truncated)
                       : caf::expected<table_schema>{std::move(answer.error())};
  ahead_ = 0;
  auto outdated = shapes_.put(db, table, std::move(schema));
  ahead_.reset();
  if (outdated)
    effects_.unknown_tables.push_back({db, table});
  admit_waiting();
}

read_request buffer_engine::read_of(const std::string& db, statement query, const std::string& agent) const {
  read_request request;
  request.db = db;
  request.query = std::move(query);
  request.agent = agent;
  request.limits = settings_.reads;
  request.received = time_.now();
  return request;
}

read_request buffer_engine::schema_query(const std::string& db, const std::string& table) const {
  auto request = read_of(db, table_schema::query(table), buffer_agent);
  request.freshness = freshness::fresh;
  return request;
}

void buffer_engine::quiesce(const std::string& db, reply<flush_report> to) {
  auto done = answer_report(std::move(to));
  if (auto error = recover()) {
    flush_report unread;
    unread.kept = 1;
    unread.reason = describe(error).message;
    return done(unread);
  }
  quiet_.insert(db);
  // Unacknowledged operations could follow the schema change, but they were checked against the old schema.
  write_journal();
  flush(db, {}, std::move(done));
}

void buffer_engine::resume(const std::string& db) {
  if (quiet_.erase(db) == 0)
    return;
  auto puts = std::exchange(held_puts_[db], {});
  held_puts_.erase(db);
  // Operations that waited for the schema change came before those that wait for room.
  ahead_ = 0;
  for (auto& waiting : puts)
    admit(std::move(waiting.put), std::move(waiting.to));
  ahead_.reset();
  admit_waiting();
}

void buffer_engine::hold(buffer_put operation, reply<buffer_receipt> to) {
  auto& puts = held_puts_[operation.row.db];
  // Operations that waited for the table came before the schema change began, and have been counted.
  if (!ahead_ && puts.size() >= settings_.rows.max_pending)
    return wait_for_room(std::move(operation), std::move(to));
  insert_in_order(puts, {std::move(operation), std::move(to), {}});
}

// Inserts a put after those that already wait, but before them if it waited for its table or a schema change until now.
void buffer_engine::insert_in_order(std::deque<waiting_put>& puts, waiting_put put) {
  puts.insert(ahead_ ? puts.begin() + static_cast<std::ptrdiff_t>((*ahead_)++) : puts.end(), std::move(put));
}

} // namespace sluice
