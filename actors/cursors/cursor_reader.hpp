#pragma once

#include "actors/cursors/cursor_store.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <memory>

namespace sluice {

/// The dependencies of a cursor's reader.
struct cursor_reader_dependencies {
  std::unique_ptr<cursor_store> store;
  /// Called after its connection was closed. May be empty.
  std::function<void()> on_closed{};
};

struct cursor_reader_state {
  cursor_reader_dependencies parts;
  static inline const char* name = "cursor_reader";
};

/// The behavior of a cursor's reader. It blocks in SQLite, so spawn it where it does not delay other actors.
cursor_reader_actor::behavior_type cursor_reader(cursor_reader_actor::stateful_pointer<cursor_reader_state> self,
                                                 std::shared_ptr<cursor_reader_dependencies> parts);

} // namespace sluice
