#pragma once

#include "actors/cursors/cursor_store.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <memory>

namespace sluice {

/// What a cursor's reader works with.
struct cursor_reader_dependencies {
  std::unique_ptr<cursor_store> store;
  /// Called when its connection has been closed. May be empty.
  std::function<void()> on_closed{};
};

struct cursor_reader_state {
  cursor_reader_dependencies parts;
  static inline const char* name = "cursor_reader";
};

/// The behavior of a cursor's reader. It blocks in SQLite: spawn it where that keeps no other actor waiting.
cursor_reader_actor::behavior_type cursor_reader(cursor_reader_actor::stateful_pointer<cursor_reader_state> self,
                                                 std::shared_ptr<cursor_reader_dependencies> parts);

} // namespace sluice
