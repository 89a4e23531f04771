#pragma once

#include "actors/base/synchronized.hpp"
#include "actors/shared/buffer_view.hpp"
#include "actors/shared/retry_counters.hpp"
#include "actors/shared/slow_requests.hpp"
#include "messages/status.hpp"

namespace sluice {

/// The counters and states of the actors that all databases share, for operators. They outlive the actors, so that
/// counters continue after a restart. Thread-safe.
struct actor_stats {
  explicit actor_stats(slow_limits limits = {}) : slow(limits) {}

  synchronized<audit_status> audit;
  synchronized<buffer_view> buffer;
  synchronized<log_status> log;
  /// Retries in calls that hosts make themselves.
  retry_counters host_retries;
  /// The slowest requests of all databases.
  slow_requests slow;
};

} // namespace sluice
