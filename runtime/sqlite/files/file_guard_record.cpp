#include "messages/error.hpp"
#include "runtime/sqlite/files/file_claims.hpp"
#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/sqlite/files/left_log.hpp"
#include "runtime/sqlite/files/vfs_file.hpp"
#include "runtime/sqlite/files/wal_index.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

// The records of a `file_guard` about its files for the next broker, and those of the last one.
namespace sluice::sqlite {

bool file_guard::has_log_of_another() const {
  auto record = set_.registry ? set_.registry->find(set_.name) : std::nullopt;
  return record && has_log_of_another_file(*record, set_.path);
}

// Without a connection, the guard compares the files with the records of the last one.
void file_guard::compare_with_record(const found_files& now) {
  auto record = set_.registry ? set_.registry->find(set_.name) : std::nullopt;
  if (!record || !now.database)
    return;
  auto has_old_log = has_log_of_another_file(*record, set_.path);
  std::string kept;
  if (has_old_log) {
    found_files was;
    was.log = now.log;
    was.index = now.index;
    kept = remove_companions(now, was, false);
  }
  auto is_first = !std::exchange(compared_with_record_, true);
  if (is_first && !record->closed && was_overwritten(*record, set_.path)) {
    found_files was;
    was.log = now.log;
    was.index = now.index;
    count_external_commit();
    return record_event(file_change::overwritten, remove_companions(now, was, false));
  }
  auto changed = *now.database != record->database || now.size != record->size || now.changed_ns != record->changed_ns;
  auto log_bytes = at_path_.log_size();
  auto is_log_changed =
    log_bytes > 0
    && (now.log != record->log || log_bytes != record->log_size || at_path_.log_changed_ns() != record->log_changed_ns);
  if (is_resting_ && !has_old_log) {
    if (changed || is_log_changed) {
      count_external_commit();
      note_files(true, now, {});
    }
    return;
  }
  if (!has_old_log && !(is_first && record->closed && (changed || is_log_changed)))
    return;
  count_external_commit();
  record_event(file_change::changed_while_closed, kept);
}

void file_guard::note_files(bool closed, const found_files& found, const state& seen) const {
  if (!set_.registry || !found.database)
    return;
  file_record record;
  record.size = found.size;
  record.changed_ns = found.changed_ns;
  record.database = *found.database;
  record.log = found.log;
  record.log_born_ns = found.log ? birth_time_ns(log_path()) : 0;
  record.closed = closed;
  if (closed) {
    record.log_size = at_path_.log_size();
    record.log_changed_ns = at_path_.log_changed_ns();
  } else {
    record.head = seen.head;
    record.round = seen.round;
  }
  set_.registry->put(set_.name, record);
}

// If the database is also replaced before it is opened again, the log beside it belongs to another file.
void file_guard::note_restored_log() {
  auto record = set_.registry ? set_.registry->find(set_.name) : std::nullopt;
  if (!record)
    return;
  record->log = at_path_.find().log;
  record->log_born_ns = record->log ? birth_time_ns(log_path()) : 0;
  set_.registry->put(set_.name, *record);
}

void file_guard::save_held_log() {
  auto now = at_path_.find();
  std::unique_lock lock{mutex_};
  if (!holder_)
    return;
  if (compare_again(now) == file_change::log_restored) {
    lock.unlock();
    auto saved = rescue_log(holder_db_);
    lock.lock();
    if (!saved)
      record_event(file_change::log_lost,
                   describe(saved.error()).message + "; commits since the last checkpoint are lost");
  }
  holder_ = nullptr;
  holder_db_ = nullptr;
  known_.reset();
}

void file_guard::note_closed() {
  save_held_log();
  auto now = at_path_.find();
  std::lock_guard guard{mutex_};
  if (!known_)
    compare_with_record(now);
  auto record = set_.registry ? set_.registry->find(set_.name) : std::nullopt;
  if (events_.empty() || !record)
    return note_files(true, now, {});
  // The guard has not reported it, so the next broker will find it.
  record->closed = true;
  record->log.reset();
  set_.registry->put(set_.name, *record);
}

caf::expected<open_files::share> file_guard::take_descriptors() {
  return set_.descriptors ? set_.descriptors->open(use_) : open_files::share{};
}

caf::error file_guard::explain(caf::error error) const {
  return set_.descriptors ? set_.descriptors->explain(*use_, std::move(error)) : error;
}

bool file_guard::is_open_elsewhere(const user& self) const noexcept {
  std::lock_guard guard{mutex_};
  return changing_ || holder_ || std::any_of(users_.begin(), users_.end(), [&](const user* u) {
           return u != &self && (u->is_open_ || u->in_use_);
         });
}

// Later there is no call that would close it. Another thread may be checking the files, which takes only a moment.
void file_guard::close_idle(user& user) noexcept {
  constexpr auto max_tries = 100;
  auto entered = enter(user);
  for (auto tries = 1; !entered && code_of(entered.error()) == errc::busy && tries < max_tries; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
    entered = enter(user);
  }
  if (!entered)
    return;
  if (user.handle())
    close_idle(user, [&user] { user.release().reset(); });
  leave(user);
}

void file_guard::close_idle(user& self, const std::function<void()>& close) {
  // Looked up before the connection is closed: it has seen all commits so far, and closing it changes nothing in the
  // database.
  auto now = at_path_.find();
  close();
  std::lock_guard guard{mutex_};
  self.is_open_ = false;
  auto is_open = std::any_of(users_.begin(), users_.end(), [](const user* u) { return u->is_open_; });
  if (is_open || changing_ || holder_)
    return;
  known_.reset();
  own_changes_.reset();
  // The writer has just emptied the log.
  if (self.is_writer() && at_path_.log_size() > 0)
    count_external_commit();
  now.log = at_path_.find().log;
  at_path_.forget();
  note_files(true, now, {});
  is_resting_ = true;
  if (set_.claims)
    set_.claims->release(*this);
}

// The first commit after a checkpoint restarts the log.
void file_guard::note_round(const found_files& now, sqlite3* db, std::unique_lock<std::mutex>& lock) {
  auto index = read_wal_index(db);
  if (!index || index->round() == state_.round)
    return;
  state_.round = index->round();
  auto seen = state_;
  lock.unlock();
  note_files(false, now, seen);
}

} // namespace sluice::sqlite
