#pragma once

#include "actors/log/log_queue.hpp"
#include "actors/log/log_store.hpp"
#include "actors/shared/actor_stats.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sluice {

/// What a log actor works with.
struct log_dependencies {
  std::shared_ptr<log_queue> queue;
  std::unique_ptr<log_store> store;
  /// Moves a damaged log file out of the way; answers with its new name.
  std::function<caf::expected<std::string>()> set_aside;
  /// Told once when the file cannot be written, and when a damaged one was set aside.
  std::function<void(std::string_view)> warn = [](std::string_view) {};
  std::shared_ptr<actor_stats> stats;
  const clock* time = nullptr;
  std::chrono::hours retention{7 * 24};
};

struct log_state {
  explicit log_state(log_actor::pointer me) : self(me) {}

  void start(log_dependencies x);
  void flush();
  void drain();
  caf::expected<log_page> list(const log_query& query);
  void prune();
  void close();

  log_actor::pointer self;
  log_dependencies parts;
  // The file refused the last entries; until then it is left alone.
  bool failing = false;
  clock::steady retry_at{};
  std::chrono::milliseconds pause{0};
  bool woken = false;
  bool pruning = false;
  static inline const char* name = "log";

private:
  bool write_batch();
  caf::expected<void> append(log_batch& batch);
  caf::expected<void> begin_anew(const caf::error& why);
  void failed(const caf::error& why);
  void wrote(uint64_t count);
  log_entry own_entry(log_level level, std::string message) const;
};

/// The behavior of the log actor. Spawn it detached: it blocks in SQLite. Nothing that the file does ends it.
log_actor::behavior_type log(log_actor::stateful_pointer<log_state> self, std::shared_ptr<log_dependencies> parts);

} // namespace sluice
