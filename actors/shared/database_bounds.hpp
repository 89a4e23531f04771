#pragma once

#include "actors/shared/admission.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace sluice {

/// What one database may take of the broker.
struct database_bounds {
  /// Of the writes that wait for it; as many reads may wait for a reader.
  admission_limits queue{};
  /// How many readers it may have, at least 1.
  uint64_t readers = 4;
};

/// Tells the bounds of the named database. Thread-safe, and always the same of one name.
using bounds_of_database = std::function<database_bounds(const std::string& db)>;

} // namespace sluice
