#pragma once

#include "actors/base/clock.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/actor_stats.hpp"
#include "actors/shared/database_context.hpp"
#include "actors/shared/hidden_state.hpp"
#include "actors/shared/write_quota.hpp"
#include "actors/writer/group_settings.hpp"
#include "actors/writer/write_store.hpp"
#include "messages/interfaces.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>

namespace sluice {

/// With `close_idle_atom`: stands for any last group, if the files must be closed early.
inline constexpr auto any_group = std::numeric_limits<uint64_t>::max();

struct writer_settings {
  group_settings group;
  /// The WAL is checkpointed when it has grown beyond this many bytes.
  uint64_t checkpoint_wal_bytes = 4ULL << 20;
  /// When the WAL has grown to half of this, new reads wait until it restarts.
  uint64_t max_log_bytes = 64ULL << 20;
  /// The longest wait of these reads. If running reads take longer, the next try comes after ten times that.
  std::chrono::milliseconds quiesce_time{2'500};
  /// After this time without a write, the writer removes all old keys and truncates the WAL.
  std::chrono::milliseconds idle_after{1'000};
  /// The interval of the search for commit records that are older than the retention; 0 means never.
  std::chrono::milliseconds prune_every{0};
  /// After this time without a request the file is closed, until the next one; 0 means never.
  std::chrono::milliseconds close_idle_after{0};
};

/// The dependencies of a writer; it owns the store, everything else outlives it.
struct writer_dependencies {
  std::unique_ptr<write_store> store;
  database_context* context = nullptr;
  std::shared_ptr<write_quota> queue;
  std::shared_ptr<actor_registry> actors;
  const clock* time = nullptr;
  writer_settings settings;
  uint64_t seed = 0;
  /// Reports to operators what other programs did to the files of the database. Thread-safe; may be empty.
  std::function<void(const std::string&)> warn{};
  /// Whether to close the file, which is not in use, although it was not idle for long. May be empty.
  std::function<bool()> is_to_be_closed{};
  std::shared_ptr<actor_stats> stats = std::make_shared<actor_stats>();
};

struct writer_state;

/// The behavior of a database's writer. It blocks in SQLite, so spawn it where it does not delay other actors.
writer_actor::behavior_type writer(writer_actor::stateful_pointer<hidden_state<writer_state>> self,
                                   std::shared_ptr<writer_dependencies> parts);

} // namespace sluice
