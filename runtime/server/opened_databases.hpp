#pragma once

#include "runtime/broker/broker.hpp"

#include <string>
#include <unordered_map>

namespace sluice {

/// Opened databases by their canonical names, so that a request need not resolve its name and query the supervisor.
/// Other names (links, `./a.db`) are resolved each time: they may lead to another file by then. Not synchronized.
class opened_databases {
public:
  /// Null if it is not in the table, or not open any more: its host may have closed it.
  const database* find(const std::string& canonical) const {
    auto at = kept_.find(canonical);
    return at == kept_.end() || !at->second.is_open() ? nullptr : &at->second;
  }

  /// Replaces another one when the table is full; the next request for that one queries the supervisor again.
  void keep(const database& db) {
    if (kept_.size() >= max_kept && !kept_.contains(db.name()))
      kept_.erase(kept_.begin());
    kept_.insert_or_assign(db.name(), db);
  }

private:
  static constexpr size_t max_kept = 1'024;

  std::unordered_map<std::string, database> kept_;
};

} // namespace sluice
