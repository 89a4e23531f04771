#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/sqlite/files/wal_index.hpp"

// How a `file_guard` counts the commits of this broker and of other programs.
namespace sluice::sqlite {

void file_guard::add_own_changes(int by) noexcept {
  std::lock_guard guard{mutex_};
  if (own_changes_)
    *own_changes_ += static_cast<uint32_t>(by);
}

void file_guard::expect_commit(sqlite3* db) noexcept {
  auto index = read_wal_index(db);
  std::lock_guard guard{mutex_};
  if (index)
    own_changes_ = index->changes + 1;
}

// A write that restarts the log changes the index, too. The remembered state belongs to the file as it was remembered,
// so the file must still be the same.
void file_guard::note_restarted_log(sqlite3* db, const wal_index& index) noexcept {
  {
    std::lock_guard guard{mutex_};
    if (!known_ || state_.salt == index.salt)
      return;
  }
  checkpoint_lock no_checkpoint{db};
  auto now = at_path_.find();
  auto again = read_wal_index(db);
  std::lock_guard guard{mutex_};
  if (!no_checkpoint.held() || !again || compare(now) || looks_written(now))
    return;
  state_.moved = again->moved;
  state_.salt = again->salt;
}

uint64_t file_guard::see_commits(sqlite3* db, bool has_write_lock) noexcept {
  auto index = read_wal_index(db);
  if (index)
    note_restarted_log(db, *index);
  std::lock_guard guard{mutex_};
  if (!index)
    return external_commits_;
  auto before = own_changes_.value_or(index->changes);
  auto ahead = static_cast<int32_t>(index->changes - before) > 0;
  if (has_write_lock || ahead || !own_changes_)
    own_changes_ = index->changes;
  if (ahead)
    count_external_commit();
  return external_commits_;
}

uint64_t file_guard::note_external_commit() noexcept {
  std::lock_guard guard{mutex_};
  count_external_commit();
  return external_commits_;
}

uint64_t file_guard::external_commits() const noexcept {
  std::lock_guard guard{mutex_};
  return external_commits_;
}

} // namespace sluice::sqlite
