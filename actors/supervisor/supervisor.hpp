#pragma once

#include "actors/base/clock.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/database_bounds.hpp"
#include "actors/supervisor/restart_window.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace sluice {

/// How children are made. The runtime spawns them detached on real files; tests spawn what they like.
struct child_factories {
  std::function<writer_actor(database_context&, std::shared_ptr<write_quota>)> writer;
  std::function<reader_actor(database_context&)> reader;
  std::function<cache_actor()> cache;
  std::function<audit_actor()> audit;
  /// May be empty: there is no such actor then.
  std::function<buffer_actor()> buffer{};
  std::function<log_actor()> log{};
  std::function<deadline_watch_actor()> deadlines{};
  /// Called before a database is looked at for the first time; may be empty.
  std::function<void(const std::string& db)> prepare{};
};

struct supervisor_dependencies {
  child_factories spawn;
  /// Why there is no such database, or none can be made; no error when it can be used. Called before anything is done
  /// for it. May be empty.
  std::function<caf::error(const std::string& db, bool must_exist)> find{};
  /// Why a database may not be opened now; no error when it may. May be empty: every one may.
  std::function<caf::error(const std::string& db)> may_open{};
  std::shared_ptr<actor_registry> actors;
  const clock* time = nullptr;
  bounds_of_database bounds = [](const std::string&) { return database_bounds{}; };
  uint64_t restart_limit = 5;
  std::chrono::milliseconds restart_window{10'000};
  /// When the broker ends, what is queued is served for this long; then what runs is interrupted.
  std::chrono::milliseconds drain_time{4'000};
};

struct supervisor_state {
  explicit supervisor_state(supervisor_actor::pointer me) : self(me) {}

  using ok_promise = caf::typed_response_promise<caf::ok_atom>;

  struct children {
    writer_actor writer;
    restart_window restarts;
  };

  void start(supervisor_dependencies x);
  void open(const std::string& db, bool must_exist, ok_promise done);
  caf::error admit(const std::string& db, bool must_exist);
  caf::error start_family(const std::string& db);
  void prepare(const std::string& db);
  void start_writer(const std::string& db, children& x);
  bool restart_writer(const std::string& db, children& x);
  void replenish(const std::string& db);
  void add_reader(const std::string& db);
  void child_down(const caf::down_msg& x);
  void restart_in_family(const std::string& db, children& x, const caf::actor_addr& lost);
  void quarantine(const std::string& db, children& x);
  void restart_shared();
  void start_again(bool& is_down, void (supervisor_state::*begin)());
  void start_cache();
  void start_audit();
  void start_buffer();
  void start_log();
  void start_deadlines();
  void close_database(const std::string& db, ok_promise done);
  void end_family(const std::string& db);
  void family_ended(const std::string& db);
  void close(ok_promise done);
  void close_buffer();
  void close_cache();
  void end_readers();
  void close_writers();
  void close_audit();
  void close_log(const caf::expected<caf::ok_atom>& audit_closed);
  void closed(const caf::expected<caf::ok_atom>& result);

  supervisor_actor::pointer self;
  supervisor_dependencies parts;
  std::map<std::string, children> families;
  restart_window shared_restarts{0, {}};
  bool cache_down = false;
  bool audit_down = false;
  bool buffer_down = false;
  bool log_down = false;
  bool deadlines_down = false;
  // Readers that have not ended yet, those of databases in quarantine included.
  std::set<caf::actor_addr> living_readers;
  // Actors that were told to end: that they have ended is no failure.
  std::set<caf::actor_addr> dismissed;
  // What waits for the end of a database.
  std::map<std::string, std::vector<std::function<void()>>> being_closed;
  bool closing = false;
  bool readers_told_to_end = false;
  // Why rows of the buffer were lost.
  caf::error buffer_closed;
  std::vector<ok_promise> awaiting_close;
  static inline const char* name = "supervisor";
};

/// The behavior of the supervisor.
supervisor_actor::behavior_type supervisor(supervisor_actor::stateful_pointer<supervisor_state> self,
                                           supervisor_dependencies parts);

} // namespace sluice
