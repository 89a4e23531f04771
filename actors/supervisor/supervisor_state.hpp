#pragma once

#include "actors/supervisor/restart_window.hpp"
#include "actors/supervisor/supervisor.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

/// The state of the supervisor; for its sources only.
struct supervisor_state {
  supervisor_state(supervisor_actor::pointer me, supervisor_dependencies dependencies)
    : self(me), parts(std::move(dependencies)), shared_restarts{parts.restart_limit, parts.restart_window} {}

  using ok_promise = caf::typed_response_promise<caf::ok_atom>;

  struct children {
    writer_actor writer;
    restart_window restarts;
  };

  void start();
  void open(const std::string& db, bool must_exist, ok_promise done);
  caf::error admit(const std::string& db, bool must_exist);
  caf::error start_family(const std::string& db);
  void prepare(const std::string& db);
  void start_writer(const std::string& db, children& family);
  bool restart_writer(const std::string& db, children& family);
  void replenish(const std::string& db);
  void add_reader(const std::string& db);
  void child_down(const caf::down_msg& message);
  void restart_in_family(const std::string& db, children& family, const caf::actor_addr& lost);
  void quarantine(const std::string& db, children& family);
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
  restart_window shared_restarts;
  bool cache_down = false;
  bool audit_down = false;
  bool buffer_down = false;
  bool log_down = false;
  bool deadlines_down = false;
  // Readers that have not ended yet, those of databases in quarantine included.
  std::set<caf::actor_addr> living_readers;
  // Actors that the supervisor has asked to end, so that their end does not count as a failure.
  std::set<caf::actor_addr> dismissed;
  // The actions that wait for the end of a database, by its name.
  std::map<std::string, std::vector<std::function<void()>>> being_closed;
  bool closing = false;
  bool readers_asked_to_end = false;
  // The reason why rows of the buffer were lost.
  caf::error buffer_closed;
  std::vector<ok_promise> awaiting_close;
  static inline const char* name = "supervisor";
};

} // namespace sluice
