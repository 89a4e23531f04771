#pragma once

#include "actors/base/clock.hpp"
#include "actors/cursors/cursor_table.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/reply.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace sluice {

struct cursors_dependencies {
  /// Makes the reader of a cursor. It may throw when there is no memory for that.
  std::function<cursor_reader_actor(const std::string& db, const statement& query)> spawn_reader;
  std::shared_ptr<actor_registry> actors;
  /// Outlives the actor.
  const clock* time = nullptr;
  cursor_limits limits;
  /// Where the numbers of cursors begin, so that no cursor is taken for one of another broker.
  uint64_t seed = 0;
};

struct cursors_state {
  using page_reply = reply<cursor_page>;

  void start(cursors_actor::pointer self, cursors_dependencies x);
  void open(open_cursor x, page_reply to);
  void next(uint64_t id, page_reply to);
  void page_made(page_done& x);
  void look();
  void drain();
  void close(caf::typed_response_promise<caf::ok_atom> to);
  void finish(cursor_table::ending x);
  void finish_all(std::vector<cursor_table::ending> all);
  void reader_ended(const caf::actor_addr& who);

  cursors_dependencies parts;
  std::optional<cursor_table> table;
  // Whose page was asked for.
  std::map<uint64_t, page_reply> replies;
  // Those that have not ended, of cursors that have, too.
  std::map<uint64_t, cursor_reader_actor> readers;
  // Why no cursor is opened any more.
  std::optional<failure> closed;
  static inline const char* name = "cursors";

private:
  void run_pages();
  void await_next_look();
  void record(const cursor_table::ending& x) const;
  void quit_if_done();

  cursors_actor::pointer self_ = nullptr;
  std::optional<clock::steady> armed_;
  std::optional<caf::typed_response_promise<caf::ok_atom>> on_closed_;
};

/// The behavior of the actor that keeps the cursors. It does not block.
cursors_actor::behavior_type cursors(cursors_actor::stateful_pointer<cursors_state> self, cursors_dependencies parts);

} // namespace sluice
