#include "tests/simulation/disk_locks.hpp"

#include <sqlite3.h>

#include <algorithm>

namespace sluice::simulation {

namespace {

// SQLite asks for all levels but this one, by which a writer that waits keeps new readers out.
constexpr int pending = 3;

} // namespace

int level_locks::level_of(const void* who) const {
  auto found = levels_.find(who);
  return found == levels_.end() ? SQLITE_LOCK_NONE : found->second;
}

int level_locks::highest_of_others(const void* who) const {
  int result = SQLITE_LOCK_NONE;
  for (const auto& [other, level] : levels_)
    if (other != who)
      result = std::max(result, level);
  return result;
}

int level_locks::raise(const void* who, int level) {
  auto held_level = level_of(who);
  if (held_level >= level)
    return SQLITE_OK;
  auto others = highest_of_others(who);
  if (others >= pending || (level > SQLITE_LOCK_SHARED && others > SQLITE_LOCK_SHARED))
    return SQLITE_BUSY;
  if (level == SQLITE_LOCK_EXCLUSIVE && others == SQLITE_LOCK_SHARED) {
    levels_[who] = pending;
    return SQLITE_BUSY;
  }
  levels_[who] = level;
  return SQLITE_OK;
}

void level_locks::lower(const void* who, int level) {
  if (level == SQLITE_LOCK_NONE)
    levels_.erase(who);
  else if (level_of(who) > level)
    levels_[who] = level;
}

bool level_locks::reserved() const { return highest_of_others(nullptr) > SQLITE_LOCK_SHARED; }

void* shared_index::region(const void* who, size_t index, size_t size, bool make) {
  users_.try_emplace(who);
  if (index >= regions_.size() && !make)
    return nullptr;
  while (index >= regions_.size())
    regions_.push_back(
      std::make_unique<std::max_align_t[]>((size + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t)));
  return regions_[index].get();
}

int shared_index::lock(const void* who, unsigned mask, bool exclusive) {
  for (const auto& [other, has] : users_)
    if (other != who && ((has.exclusive & mask) != 0 || (exclusive && (has.shared & mask) != 0)))
      return SQLITE_BUSY;
  auto& held_locks = users_[who];
  (exclusive ? held_locks.exclusive : held_locks.shared) |= mask;
  return SQLITE_OK;
}

void shared_index::unlock(const void* who, unsigned mask) {
  auto& held_locks = users_[who];
  held_locks.exclusive &= ~mask;
  held_locks.shared &= ~mask;
}

void shared_index::leave(const void* who) {
  users_.erase(who);
  if (users_.empty())
    regions_.clear();
}

} // namespace sluice::simulation
