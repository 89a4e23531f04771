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

/// The dependencies of a reader; it owns the store, everything else outlives it.
struct reader_dependencies {
  std::unique_ptr<read_store> store;
  const clock* time = nullptr;
  /// After this time without a query the connection is closed, until the next one; 0 means never.
  std::chrono::milliseconds close_idle_after{0};
  /// Called after that, so that the writer removes the files that a read-only connection leaves. May be empty.
  std::function<void()> on_idle_closed{};
  /// As in `writer_dependencies`.
  std::function<bool()> is_to_be_closed{};
  std::shared_ptr<actor_stats> stats = std::make_shared<actor_stats>();
};

struct reader_state;

/// The behavior of a reader. It blocks in SQLite, so spawn it where it does not delay other actors.
reader_actor::behavior_type reader(reader_actor::stateful_pointer<hidden_state<reader_state>> self,
                                   std::shared_ptr<reader_dependencies> parts);

} // namespace sluice
