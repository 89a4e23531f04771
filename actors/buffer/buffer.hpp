#pragma once

#include "actors/base/clock.hpp"
#include "actors/buffer/buffer_store.hpp"
#include "actors/buffer/buffered_database.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/actor_stats.hpp"
#include "actors/shared/hidden_state.hpp"
#include "messages/interfaces.hpp"
#include "messages/log.hpp"
#include "messages/read.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace sluice {

/// The dependencies of the buffer; it owns the store, everything else outlives it.
struct buffer_dependencies {
  std::unique_ptr<buffer_store> store;
  std::shared_ptr<actor_registry> actors;
  const clock* time = nullptr;
  std::shared_ptr<actor_stats> stats;
  write_behind_settings settings;
  /// Whether operations are on disk before they are acknowledged.
  bool journal = false;
  /// Bounds of the buffer's own reads.
  read_limits reads;
  /// How long the buffer tries to write the remaining rows when it is closed.
  std::chrono::milliseconds close_within{10'000};
  uint64_t seed = 0;
  /// Reports to operators, in words, the outcome of rows that could not be written. Thread-safe; may be empty.
  std::function<void(log_level, const std::string&)> report{};
};

struct buffer_state;

/// The behavior of the write-behind buffer. It blocks in its store, so spawn it where it does not delay other actors.
buffer_actor::behavior_type buffer(buffer_actor::stateful_pointer<hidden_state<buffer_state>> self,
                                   std::shared_ptr<buffer_dependencies> parts);

} // namespace sluice
