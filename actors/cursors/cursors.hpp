#pragma once

#include "actors/base/clock.hpp"
#include "actors/cursors/cursor_table.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/hidden_state.hpp"
#include "messages/interfaces.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace sluice {

struct cursors_dependencies {
  /// Makes the reader of a cursor. It may throw when memory is lacking.
  std::function<cursor_reader_actor(const std::string& db, const statement& query)> spawn_reader;
  std::shared_ptr<actor_registry> actors;
  /// Outlives the actor.
  const clock* time = nullptr;
  cursor_limits limits;
  /// The first cursor numbers are derived from it, so that cursors of different brokers have different numbers.
  uint64_t seed = 0;
};

struct cursors_state;

/// The behavior of the actor that keeps the cursors. It does not block.
cursors_actor::behavior_type cursors(cursors_actor::stateful_pointer<hidden_state<cursors_state>> self,
                                     cursors_dependencies parts);

} // namespace sluice
