#pragma once

#include "messages/interfaces.hpp"

#include <cstdint>
#include <list>
#include <vector>

namespace sluice {

/// The readers of one database, and what each is running. Not synchronized.
///
/// A reader is given several queries at once only if all of them are known to be short; anything else gets a reader of
/// its own, so that a long query delays nobody.
class reader_pool {
public:
  struct reader {
    reader_actor handle;
    std::vector<uint64_t> running;
    bool only_short = true;
  };

  void add(reader_actor handle) { readers_.emplace_back().handle = std::move(handle); }

  /// The reader that should run the next query; null when it has to wait. Stays valid until the reader is removed.
  reader* choose(bool is_short);

  void started(reader& x, uint64_t flight, bool is_short);
  void finished(reader& x, uint64_t flight);

  /// Takes the reader with this address out; returns what it was running.
  std::vector<uint64_t> remove(const caf::actor_addr& lost);

private:
  std::list<reader> readers_;
};

} // namespace sluice
