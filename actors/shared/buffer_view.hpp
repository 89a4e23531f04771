#pragma once

#include "actors/base/clock.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <vector>

namespace sluice {

/// The published state of the buffer; a later reader can still compute how long rows have waited.
struct buffer_view {
  /// All but `oldest_ms` of its tables.
  buffer_status status;
  /// For each of its tables, since when the oldest pending operation has waited.
  std::vector<clock::steady> oldest;

  buffer_status at(clock::steady now) const {
    auto result = status;
    for (size_t i = 0; i < oldest.size(); ++i)
      if (result.tables[i].pending > 0)
        result.tables[i].oldest_ms =
          static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now - oldest[i]).count());
    return result;
  }
};

} // namespace sluice
