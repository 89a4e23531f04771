#include "actors/buffer/schema_cache.hpp"

#include "actors/base/sql_tokens.hpp"

namespace sluice {

schema_cache::shape schema_cache::find(const std::string& db, const std::string& table) const {
  auto found = entries_.find({db, folded_name(table)});
  return found != entries_.end() && found->second.waiting.empty() ? found->second.known : nullptr;
}

bool schema_cache::await(const std::string& db, const std::string& table, then next) {
  auto& entry = entries_[{db, folded_name(table)}];
  ++waiting_;
  entry.waiting.push_back(std::move(next));
  return entry.waiting.size() == 1;
}

bool schema_cache::put(const std::string& db, const std::string& table, caf::expected<table_schema> answer) {
  auto found = entries_.find({db, folded_name(table)});
  if (std::exchange(found->second.outdated, false))
    return true;
  auto result = answer ? caf::expected<shape>{std::make_shared<const table_schema>(std::move(*answer))}
                       : caf::expected<shape>{std::move(answer.error())};
  auto waiting = std::move(found->second.waiting);
  waiting_ -= waiting.size();
  // A missing table is not cached: it may be created later.
  if (result)
    found->second = {*result, {}, false};
  else
    entries_.erase(found);
  for (auto& next : waiting)
    next(result);
  return false;
}

void schema_cache::forget(const std::string& db) {
  auto i = entries_.lower_bound({db, {}});
  while (i != entries_.end() && i->first.first == db) {
    i->second.known.reset();
    i->second.outdated = !i->second.waiting.empty();
    i = i->second.waiting.empty() ? entries_.erase(i) : std::next(i);
  }
}

} // namespace sluice
