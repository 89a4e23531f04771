#pragma once

#include "actors/shared/write_quota.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>

namespace sluice {

/// The bounds of one database.
struct database_bounds {
  /// The bounds of the waiting writes; as many reads may wait for a reader.
  write_quota_limits queue{};
  /// The number of readers that may run queries, at least 1.
  uint64_t readers = 4;

  /// The maximum number of readers: with `readers` = 1, there is a second one for short queries while the first runs a
  /// long one.
  uint64_t max_readers() const noexcept { return std::max<uint64_t>(2, readers); }
};

/// Returns the bounds of the named database. Thread-safe; always the same for one name.
using bounds_of_database = std::function<database_bounds(const std::string& db)>;

} // namespace sluice
