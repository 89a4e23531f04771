#pragma once

#include "actors/base/clock.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/database_bounds.hpp"
#include "actors/shared/hidden_state.hpp"
#include "messages/interfaces.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace sluice {

/// The functions that spawn the children. The runtime spawns them detached on real files; tests spawn other actors.
struct child_factories {
  std::function<writer_actor(database_context&, std::shared_ptr<write_quota>)> writer;
  std::function<reader_actor(database_context&)> reader;
  std::function<cache_actor()> cache;
  std::function<audit_actor()> audit;
  /// May be empty: there is no buffer then.
  std::function<buffer_actor()> buffer{};
  std::function<log_actor()> log{};
  std::function<deadline_watch_actor()> deadlines{};
  /// Called before a database is used for the first time; may be empty.
  std::function<void(const std::string& db)> prepare{};
};

struct supervisor_dependencies {
  child_factories spawn;
  /// Returns the error when there is no such database or none can be made; no error when it can be used. Called before
  /// any other function for the database. May be empty.
  std::function<caf::error(const std::string& db, bool must_exist)> find{};
  /// Returns the error when a database may not be opened now. May be empty: every one may.
  std::function<caf::error(const std::string& db)> may_open{};
  std::shared_ptr<actor_registry> actors;
  const clock* time = nullptr;
  bounds_of_database bounds = [](const std::string&) { return database_bounds{}; };
  uint64_t restart_limit = 5;
  std::chrono::milliseconds restart_window{10'000};
  /// When the broker ends, queued requests are served for this time; then running ones are interrupted.
  std::chrono::milliseconds drain_time{4'000};
};

struct supervisor_state;

/// The behavior of the supervisor.
supervisor_actor::behavior_type supervisor(supervisor_actor::stateful_pointer<hidden_state<supervisor_state>> self,
                                           supervisor_dependencies parts);

} // namespace sluice
