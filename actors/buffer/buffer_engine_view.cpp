// The part of `buffer_engine` that publishes the number of pending rows.

#include "actors/buffer/buffer_engine.hpp"

namespace sluice {

buffered_database& buffer_engine::database_of(const std::string& db) {
  return databases_.try_emplace(db, db, settings_.rows, time_, ids_).first->second;
}

const buffered_database* buffer_engine::find(const std::string& db) const {
  auto found = databases_.find(db);
  return found == databases_.end() ? nullptr : &found->second;
}

uint64_t buffer_engine::pending() const noexcept {
  uint64_t result = 0;
  for (const auto& [name, db] : databases_)
    result += db.rows().pending();
  return result;
}

// Whether another row may be put beside `reserved` others.
bool buffer_engine::has_room(uint64_t reserved) const {
  size_t bytes = 0;
  for (const auto& [name, db] : databases_)
    bytes += db.rows().footprint();
  return pending() + reserved < settings_.rows.max_pending * 4 / 5 && bytes < settings_.rows.max_bytes * 4 / 5;
}

uint64_t buffer_engine::room_for_rejected() const {
  auto taken = pending();
  return taken < settings_.rows.max_pending ? settings_.rows.max_pending - taken : 0;
}

void buffer_engine::publish() {
  view_.change([this](buffer_view& view) { show_pending(view); });
}

void buffer_engine::show_pending(buffer_view& view) const {
  auto& status = view.status;
  status.pending = pending();
  status.max_pending = settings_.rows.max_pending;
  status.set_aside = store_.count();
  // This runs after every put: assigning to the existing strings allocates no memory.
  size_t i = 0;
  for (const auto& [name, db] : databases_)
    for (const auto& [folded, known] : db.rows().tables()) {
      if (i == status.tables.size())
        status.tables.emplace_back();
      view.oldest.resize(status.tables.size());
      auto& table = status.tables[i];
      table.db = name;
      table.table = known.name;
      table.pending = known.pending;
      table.priority = known.priority;
      table.interval_ms = static_cast<uint64_t>(known.interval.count());
      view.oldest[i++] = known.oldest;
    }
  status.tables.resize(i);
  view.oldest.resize(i);
}

} // namespace sluice
