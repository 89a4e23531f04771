// What `write_behind` has to say of what waits.

#include "actors/buffer/write_behind.hpp"

#include <algorithm>

namespace sluice {

clock::steady write_behind::next_due() const {
  auto result = clock::steady::max();
  for (const auto& [name, db] : databases_) {
    if (!db.now)
      result = std::min(result, db.recovered.empty() ? db.rows.next_due() : clock::steady{});
    else if (!db.now->under_way)
      result = std::min(result, db.now->retry_at);
  }
  return result;
}

std::vector<std::string> write_behind::databases() const {
  std::vector<std::string> result;
  for (const auto& [name, db] : databases_)
    result.push_back(name);
  return result;
}

uint64_t write_behind::pending() const noexcept {
  uint64_t result = 0;
  for (const auto& [name, db] : databases_)
    result += db.rows.pending();
  return result;
}

uint64_t write_behind::pending(const std::string& name, const std::string& table, uint64_t number) const {
  auto found = databases_.find(name);
  if (found == databases_.end())
    return 0;
  const auto& db = found->second;
  auto result = db.rows.queued(table, number);
  auto spelled = db.rows.spelling_of(table);
  auto count = [&](std::span<const outgoing_operation> operations) {
    for (const auto& x : operations)
      if (x.ends_row && x.number <= number && (table.empty() || x.put.row.table == spelled))
        ++result;
  };
  if (db.now)
    count(db.now->batch.rest());
  for (const auto& batch : db.recovered)
    count(batch.rest());
  return result;
}

write_behind::overlay write_behind::apply(const checked_key& key, row_image& image) const {
  overlay result;
  const auto& row = key.row;
  auto found = databases_.find(row.db);
  if (found == databases_.end())
    return result;
  const auto& db = found->second;
  auto table = db.rows.spelling_of(row.table);
  // Whether the operation is about this very row. If it may be without its key telling, nothing is certain.
  auto is_it = [&](const row_key& x, bool is_mergeable, bool keeps_order) {
    result.certain &= !(key.keeps_order && keeps_order);
    if (x.table != table)
      return false;
    result.certain &= key.canonical && is_mergeable && same_columns(x.columns, row.columns);
    return x.columns == row.columns;
  };
  for (const auto& batch : db.recovered)
    for (const auto& x : batch.rest())
      is_it(x.put.row, x.is_mergeable, x.keeps_order);
  auto updated = false;
  for (const auto& x : db.now ? db.now->batch.rest() : std::span<const outgoing_operation>{}) {
    if (!is_it(x.put.row, x.is_mergeable, x.keeps_order))
      continue;
    // Should it be in the database already, applying the update once more would reach the row that the upsert made.
    result.wait |= updated && x.put.operation == buffer_operation::upsert && (db.now->under_way || db.now->in_doubt);
    updated = x.put.operation == buffer_operation::update;
    for (const auto& from : x.from)
      result.operations += from.count;
    image.apply(x.put);
  }
  db.rows.for_each_row([&](const pending_row& x) {
    if (!is_it(x.key(), x.is_mergeable(), x.keeps_order()))
      return;
    result.operations += x.operations();
    x.apply(image);
  });
  return result;
}

uint64_t write_behind::generation(const std::string& name, const std::string& table) const {
  auto found = databases_.find(name);
  if (found == databases_.end())
    return 0;
  auto known = found->second.generations.find(found->second.rows.spelling_of(table));
  return known == found->second.generations.end() ? 0 : known->second;
}

std::vector<unwritten_operation> write_behind::give_up() {
  std::vector<unwritten_operation> result;
  for (auto& [name, db] : databases_) {
    auto why = db.now ? db.now->why : failure{};
    auto take = [&](std::span<const outgoing_operation> operations, bool is_in_doubt) {
      for (const auto& x : operations)
        result.push_back({x, why, is_in_doubt});
    };
    if (db.now) {
      // Of its operations only those in the request may have been written.
      auto sent = db.now->under_way || db.now->in_doubt ? db.now->batch.window().size() : size_t{0};
      take(db.now->batch.rest().first(sent), true);
      take(db.now->batch.rest().subspan(sent), false);
    }
    for (auto& batch : db.recovered)
      take(batch.rest(), true);
    buffered_database::demand all{time_.now(), true, pending(), settings_.max_bytes};
    for (auto some = db.rows.take(all); !some.empty(); some = db.rows.take(all))
      take(some, false);
  }
  databases_.clear();
  return result;
}

void write_behind::describe(buffer_view& to) const {
  auto& status = to.status;
  status.pending = pending();
  status.max_pending = settings_.max_pending;
  // It is asked for after every put: assigned to what is there, the names cost nothing.
  size_t i = 0;
  for (const auto& [name, db] : databases_)
    for (const auto& [folded, x] : db.rows.tables()) {
      if (i == status.tables.size())
        status.tables.emplace_back();
      to.oldest.resize(status.tables.size());
      auto& table = status.tables[i];
      table.db = name;
      table.table = x.name;
      table.pending = x.pending;
      table.priority = x.priority;
      table.interval_ms = static_cast<uint64_t>(x.interval.count());
      to.oldest[i++] = x.oldest;
    }
  status.tables.resize(i);
  to.oldest.resize(i);
}

} // namespace sluice
