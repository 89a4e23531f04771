#pragma once

#include "actors/store.hpp"
#include "messages/interfaces.hpp"

#include <memory>

namespace sluice {

struct reader_state {
  std::unique_ptr<read_store> store;
  static inline const char* name = "reader";
};

/// The behavior of a reader. Spawn it detached: it blocks in SQLite.
reader_actor::behavior_type reader(reader_actor::stateful_pointer<reader_state> self,
                                   std::shared_ptr<std::unique_ptr<read_store>> store);

} // namespace sluice
