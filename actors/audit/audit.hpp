#pragma once

#include "actors/audit/audit_store.hpp"
#include "actors/base/clock.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/actor_stats.hpp"
#include "actors/shared/hidden_state.hpp"
#include "messages/interfaces.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace sluice {

/// Opens the audit file; called again after a failure.
using audit_store_opener = std::function<caf::expected<std::unique_ptr<audit_store>>()>;

struct audit_dependencies {
  audit_store_opener open;
  std::shared_ptr<actor_registry> actors;
  /// The actor counts here.
  std::shared_ptr<actor_stats> stats;
  /// Outlives the actor.
  const clock* time = nullptr;
  /// Records older than this are removed; 0 keeps them.
  std::chrono::hours retention{0};
  /// The oldest records are removed when the file has more bytes than this; 0 keeps them.
  uint64_t max_bytes = 0;
};

struct audit_state;

/// The behavior of the audit actor. It blocks in SQLite.
audit_actor::behavior_type audit(audit_actor::stateful_pointer<hidden_state<audit_state>> self,
                                 audit_dependencies parts);

} // namespace sluice
