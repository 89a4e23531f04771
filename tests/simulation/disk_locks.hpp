#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace sluice::simulation {

/// The five levels of SQLite's lock on a database file, for any number of connections. No call waits: a lock that is
/// not available is refused. Levels and answers are SQLite's own numbers.
class level_locks {
public:
  /// SQLITE_OK or SQLITE_BUSY. A pending exclusive lock that waits for readers excludes new readers.
  int raise(const void* who, int level);
  void lower(const void* who, int level);

  /// Whether a connection is about to write.
  bool reserved() const;

private:
  int level_of(const void* who) const;
  int highest_of_others(const void* who) const;

  std::map<const void*, int> levels_;
};

/// The WAL index of a database, in memory that its connections share, and the eight locks on it.
class shared_index {
public:
  /// Null when there is no such region and `make` is false.
  void* region(const void* who, size_t index, size_t size, bool make);

  /// SQLITE_OK or SQLITE_BUSY.
  int lock(const void* who, unsigned mask, bool exclusive);
  void unlock(const void* who, unsigned mask);

  /// Removes a connection; the memory is freed with the last one.
  void leave(const void* who);

  bool unused() const noexcept { return users_.empty(); }

private:
  struct held {
    unsigned shared = 0;
    unsigned exclusive = 0;
  };

  std::map<const void*, held> users_;
  // Aligned as memory from the system is, because SQLite puts atomics into it.
  std::vector<std::unique_ptr<std::max_align_t[]>> regions_;
};

} // namespace sluice::simulation
