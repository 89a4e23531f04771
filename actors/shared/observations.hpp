#pragma once

#include "actors/base/published.hpp"
#include "actors/shared/buffer_view.hpp"
#include "actors/shared/retry_counters.hpp"
#include "actors/shared/slow_requests.hpp"
#include "messages/status.hpp"

namespace sluice {

/// What the actors that every database shares have to show to operators. It outlives them, so that counters go on when
/// one is restarted. Thread-safe.
struct observations {
  explicit observations(slow_limits limits = {}) : slow(limits) {}

  published<audit_status> audit;
  published<buffer_view> buffer;
  published<log_status> log;
  /// Retries that hosts make on calls of their own.
  retry_counters host_retries;
  /// Of all databases together.
  slow_requests slow;
};

} // namespace sluice
