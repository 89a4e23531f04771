#pragma once

#include "actors/base/clock.hpp"
#include "actors/reader/read_store.hpp"
#include "actors/shared/actor_stats.hpp"
#include "actors/shared/hidden_state.hpp"
#include "messages/interfaces.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace sluice {

/// What a reader works with; the store is its own, the rest outlives it.
struct reader_dependencies {
  std::unique_ptr<read_store> store;
  const clock* time = nullptr;
  /// After this long without a query the connection is closed, until the next one; 0 means never.
  std::chrono::milliseconds close_idle_after{0};
  /// Called when it has been closed, so that the writer removes what a connection that only reads leaves behind. May be
  /// empty.
  std::function<void()> on_idle_closed{};
  /// As in `writer_dependencies`.
  std::function<bool()> is_to_be_closed{};
  std::shared_ptr<actor_stats> stats = std::make_shared<actor_stats>();
};

struct reader_state;

/// The behavior of a reader. It blocks in SQLite: spawn it where that keeps no other actor waiting.
reader_actor::behavior_type reader(reader_actor::stateful_pointer<hidden_state<reader_state>> self,
                                   std::shared_ptr<reader_dependencies> parts);

} // namespace sluice
