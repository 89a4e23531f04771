#pragma once

#include "actors/base/synchronized.hpp"
#include "actors/shared/buffer_view.hpp"
#include "actors/shared/retry_counters.hpp"
#include "actors/shared/slow_requests.hpp"
#include "messages/status.hpp"

namespace sluice {

/// What the actors that every database shares have to show to operators. It outlives them, so that counters go on when
/// one is restarted. Thread-safe.
struct actor_stats {
  explicit actor_stats(slow_limits limits = {}) : slow(limits) {}

  synchronized<audit_status> audit;
  synchronized<buffer_view> buffer;
  synchronized<log_status> log;
  /// Retries that hosts make on calls of their own.
  retry_counters host_retries;
  /// Of all databases together.
  slow_requests slow;
};

} // namespace sluice
