#include "runtime/sqlite/files/fork_safety.hpp"

#include <array>
#include <cstddef>
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>

namespace sluice::sqlite {

namespace {

// The mutex of the memory comes last: it is locked while others are held, and no other while it is held.
constexpr std::array kinds{SQLITE_MUTEX_STATIC_MAIN, SQLITE_MUTEX_STATIC_OPEN, SQLITE_MUTEX_STATIC_PRNG,
                           SQLITE_MUTEX_STATIC_LRU,  SQLITE_MUTEX_STATIC_PMEM, SQLITE_MUTEX_STATIC_APP1,
                           SQLITE_MUTEX_STATIC_APP2, SQLITE_MUTEX_STATIC_APP3, SQLITE_MUTEX_STATIC_VFS1,
                           SQLITE_MUTEX_STATIC_VFS2, SQLITE_MUTEX_STATIC_VFS3, SQLITE_MUTEX_STATIC_MEM};

using mutexes = std::array<sqlite3_mutex*, kinds.size()>;

// Null where SQLite was built without threads.
mutexes& static_mutexes() {
  static mutexes result = [] {
    mutexes found{};
    for (size_t i = 0; i < kinds.size(); ++i)
      found[i] = sqlite3_mutex_alloc(kinds[i]);
    return found;
  }();
  return result;
}

void leave(size_t count) {
  while (count > 0)
    sqlite3_mutex_leave(static_mutexes()[--count]);
}

// SQLite promises no order for the others. With none of them held, this waits for no thread that waits for this one.
bool try_others() {
  for (size_t i = 0; i + 1 < static_mutexes().size(); ++i)
    if (sqlite3_mutex_try(static_mutexes()[i]) != SQLITE_OK) {
      leave(i);
      return false;
    }
  return true;
}

void lock_all_mutexes() {
  while (!try_others())
    sched_yield();
  sqlite3_mutex_enter(static_mutexes().back());
}

void unlock_all_mutexes() { leave(static_mutexes().size()); }

} // namespace

void make_usable_in_children() {
  static const auto registered =
    (static_mutexes(), pthread_atfork(lock_all_mutexes, unlock_all_mutexes, unlock_all_mutexes));
  static_cast<void>(registered);
}

} // namespace sluice::sqlite
