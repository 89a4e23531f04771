#pragma once

#include "actors/log/log_queue.hpp"
#include "actors/log/log_store.hpp"
#include "actors/shared/actor_stats.hpp"
#include "actors/shared/hidden_state.hpp"
#include "messages/interfaces.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sluice {

/// The dependencies of a log actor.
struct log_dependencies {
  std::shared_ptr<log_queue> queue;
  std::unique_ptr<log_store> store;
  /// Renames a damaged log file; returns its new name.
  std::function<caf::expected<std::string>()> move_damaged_file;
  /// Called once when the file cannot be written, and when a damaged one was renamed.
  std::function<void(std::string_view)> warn = [](std::string_view) {};
  std::shared_ptr<actor_stats> stats;
  const clock* time = nullptr;
  std::chrono::hours retention{7 * 24};
};

struct log_state;

/// The behavior of the log actor. Spawn it detached: it blocks in SQLite. Errors of the file do not end it.
log_actor::behavior_type log(log_actor::stateful_pointer<hidden_state<log_state>> self,
                             std::shared_ptr<log_dependencies> parts);

} // namespace sluice
