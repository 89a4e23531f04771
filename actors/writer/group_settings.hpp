#pragma once

#include "actors/base/retry_policy.hpp"

#include <chrono>
#include <cstdint>

namespace sluice {

/// Bounds and defaults of a writer.
struct group_settings {
  uint64_t max_requests = 4'096;
  std::chrono::milliseconds max_time{50};
  std::chrono::milliseconds default_deadline{30'000};
  retry_policy retry;
};

} // namespace sluice
