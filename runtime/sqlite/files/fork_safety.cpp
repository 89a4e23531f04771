#include "runtime/sqlite/files/fork_safety.hpp"

#include <array>
#include <cstddef>
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>

namespace sluice::sqlite {

namespace {

// The memory's lock is the last: it is taken under the others, and none under it.
constexpr std::array kinds{SQLITE_MUTEX_STATIC_MAIN, SQLITE_MUTEX_STATIC_OPEN, SQLITE_MUTEX_STATIC_PRNG,
                           SQLITE_MUTEX_STATIC_LRU,  SQLITE_MUTEX_STATIC_PMEM, SQLITE_MUTEX_STATIC_APP1,
                           SQLITE_MUTEX_STATIC_APP2, SQLITE_MUTEX_STATIC_APP3, SQLITE_MUTEX_STATIC_VFS1,
                           SQLITE_MUTEX_STATIC_VFS2, SQLITE_MUTEX_STATIC_VFS3, SQLITE_MUTEX_STATIC_MEM};

using mutexes = std::array<sqlite3_mutex*, kinds.size()>;

// Null where SQLite was built without threads.
mutexes& all() {
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
    sqlite3_mutex_leave(all()[--count]);
}

// The others have no order that SQLite promises: with none of them held, this waits for no thread that waits for this.
bool try_others() {
  for (size_t i = 0; i + 1 < all().size(); ++i)
    if (sqlite3_mutex_try(all()[i]) != SQLITE_OK) {
      leave(i);
      return false;
    }
  return true;
}

void before_fork() {
  while (!try_others())
    sched_yield();
  sqlite3_mutex_enter(all().back());
}

void after_fork() { leave(all().size()); }

} // namespace

void make_usable_in_children() {
  static const auto registered = (all(), pthread_atfork(before_fork, after_fork, after_fork));
  static_cast<void>(registered);
}

} // namespace sluice::sqlite
