#include "messages/error.hpp"
#include "runtime/sqlite/files/file_claims.hpp"
#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/sqlite/files/vfs_file.hpp"
#include "runtime/sqlite/files/wal_index.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <unistd.h>

// How a `file_guard` classifies changes to its files, and its reactions.
namespace sluice::sqlite {

namespace {

// Completes a file that was moved away, so that it contains every commit wherever it is. False when a reader or writer
// prevents a part of the log from being moved.
bool move_log(sqlite3* db) {
  int frames = -1;
  int moved = -1;
  auto code = sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
  return code == SQLITE_OK && frames == moved;
}

} // namespace

// In WAL mode only checkpoints write to the database file, and each updates the index. While no checkpoint can run, a
// file that was written although its index has not changed was not written by SQLite, except by an interrupted
// checkpoint, which has written pages of the log.
std::optional<file_change> file_guard::look_for_other_content(sqlite3* db) {
  checkpoint_lock no_checkpoint{db};
  auto now = at_path_.find();
  if (!no_checkpoint.held() || !looks_written(now))
    return std::nullopt;
  auto seen = state_of(db, true);
  auto index = read_wal_index(db);
  if (!index || seen.moved != state_.moved || seen.salt != state_.salt)
    return std::nullopt;
  if (seen.head.empty())
    return now.size < database_header_bytes ? std::optional{file_change::overwritten} : std::nullopt;
  auto is_moved = index->frames == index->moved;
  auto was_tried = seen.attempted != state_.attempted;
  if (seen.head == state_.head)
    return is_moved || !was_tried ? std::optional{file_change::touched} : std::nullopt;
  if (!was_tried)
    return file_change::overwritten;
  auto in_log = is_moved ? std::vector<std::string>{} : database_headers_in_log(db, index->frames);
  if (std::find(in_log.begin(), in_log.end(), seen.head) != in_log.end())
    return std::nullopt;
  return file_change::overwritten;
}

// Closes all connections except that of `self`, which its user closes, and moves the log of the old files away. Returns
// with the lock held.
caf::expected<file_change> file_guard::change(file_change kind, const found_files& now, user& self,
                                              std::unique_lock<std::mutex>& lock) {
  auto others_write = std::any_of(users_.begin(), users_.end(),
                                  [&](const user* u) { return u != &self && u->in_use_ && u->is_writer(); });
  // The writer checks the files itself before it acknowledges.
  if (others_write)
    return busy();
  auto is_log = kind == file_change::log_restored;
  auto is_same_file = kind != file_change::replaced && kind != file_change::deleted;
  auto* db = find_holder(self, !is_log && !is_same_file);
  changing_ = true;
  auto was = *known_;
  lock.unlock();
  caf::expected<file_change> done = kind;
  std::string kept;
  if (is_log)
    done = rescue_log(db);
  else
    kept = put_companions_away(kind, now, was, db);
  lock.lock();
  changing_ = false;
  if (!done)
    return done;
  ++generation_;
  known_.reset();
  own_changes_.reset();
  if (*done != file_change::log_restored)
    note_replaced();
  if (!is_log)
    record_event(kind, kept);
  auto old = take_others(self);
  old.push_back(std::exchange(holder_, nullptr));
  holder_db_ = nullptr;
  changing_ = true;
  lock.unlock();
  old.clear();
  if (set_.claims && !is_log && !is_same_file)
    set_.claims->release(*this);
  lock.lock();
  changing_ = false;
  return done;
}

namespace {

// Closes the connections of all users. @pre this user has none
class no_user : public file_guard::user {
  sqlite3* handle() const noexcept override { return nullptr; }
  std::shared_ptr<void> release() noexcept override { return nullptr; }
  bool is_writer() const noexcept override { return false; }
};

} // namespace

void file_guard::close_moved_files() {
  auto now = at_path_.find();
  std::unique_lock lock{mutex_};
  auto kind = changing_ ? std::nullopt : compare_again(now);
  no_user self;
  if (kind == file_change::replaced || kind == file_change::deleted)
    static_cast<void>(change(*kind, now, self, lock));
}

// Nothing is moved into a file whose content is not the one that the log was written for.
std::string file_guard::put_companions_away(file_change kind, const found_files& now, const found_files& was,
                                            sqlite3* db) {
  auto index = db ? read_wal_index(db) : std::nullopt;
  auto is_moved = index && index->frames == index->moved;
  switch (kind) {
  case file_change::touched:
    // The commits are in the log.
    return is_moved ? remove_companions(now, was, true) : std::string{};
  case file_change::log_lost: {
    // Frames that were checkpointed and are still in the log would overwrite newer pages.
    auto left = index ? index->frames_in(at_path_.log_size()) : 0;
    auto kept = index && left <= index->moved ? remove_companions(now, was, false) : std::string{};
    return "its write-ahead log was cut short by another program; commits since the last checkpoint may be lost" + kept;
  }
  case file_change::overwritten: return remove_companions(now, was, is_moved);
  default: return remove_companions(now, was, db && move_log(db));
  }
}

// The content of a file that was only touched may have changed, too.
void file_guard::note_replaced() noexcept {
  count_external_commit();
  replaced_ = true;
  expected_.reset();
}

// A connection to the files that are no longer at the path. The guard keeps one of another user until they are closed.
sqlite3* file_guard::find_holder(const user& self, bool writer_only) noexcept {
  auto is_able = [&](const user* user) {
    return user->is_open_ && user->generation_ == generation_ && (!writer_only || user->is_writer());
  };
  if (is_able(&self))
    return self.handle();
  auto found =
    std::find_if(users_.begin(), users_.end(), [&](const user* user) { return is_able(user) && !user->in_use_; });
  if (holder_ || found == users_.end())
    return holder_db_;
  holder_db_ = (*found)->handle();
  (*found)->is_open_ = false;
  holder_ = (*found)->release();
  return holder_db_;
}

std::vector<std::shared_ptr<void>> file_guard::take_others(const user& self) noexcept {
  std::vector<std::shared_ptr<void>> result;
  for (auto* user : users_) {
    if (user == &self || !user->is_open_)
      continue;
    if (!user->in_use_) {
      user->is_open_ = false;
      result.push_back(user->release());
    } else if (!user->is_writer()) {
      sqlite3_interrupt(user->handle());
    }
  }
  return result;
}

caf::expected<file_change> file_guard::rescue_log(sqlite3* db) {
  // Looked up again: the log may have been removed between the lookup and the read of the index.
  auto now = at_path_.find();
  auto has_old_log = known_->log && now.log == known_->log;
  auto content = has_old_log ? std::optional<std::string>{""} : std::optional<std::string>{};
  if (!has_old_log && db)
    content = read_log(db);
  if (!content)
    return make_error(errc::io_error,
                      "the write-ahead log of '" + set_.name + "' was removed, and its content cannot be read");
  auto result = file_change::log_restored;
  std::string text = "its write-ahead log, or the index of that, was removed by another program; ";
  if (content->empty()) {
    text += has_old_log ? "the log was read anew" : "the log was empty";
  } else if (now.log && at_path_.log_size() > 0) {
    auto place = kept_log_path(log_path());
    if (!write_file(place, *content, true))
      return make_error(errc::io_error,
                        "the write-ahead log of '" + set_.name + "' was removed, and its content cannot be saved");
    result = file_change::log_lost;
    text += "another program has begun a new one. Commits since the last checkpoint may be missing from the database; "
            "the old log is kept as "
            + place.filename().string();
  } else {
    if (!write_file(log_path(), *content, true)) {
      // A truncated log would look like the log of another program. Moving the log into the database instead would meet
      // the same write error, and leave half of it there.
      remove_file(log_path());
      return make_error(errc::io_error, "the write-ahead log of '" + set_.name
                                          + "' was removed, and its content cannot be written again");
    }
    note_restored_log();
    text += "its content was written again (" + std::to_string(content->size()) + " bytes)";
  }
  // An index that another program has created lacks the frames of the restored log.
  if (result == file_change::log_restored)
    unlink(index_path().c_str());
  std::lock_guard guard{mutex_};
  record_event(result, std::move(text));
  return result;
}

// Moves away the log and the index of files that are no longer at the path; the text names the new place.
std::string file_guard::remove_companions(const found_files& now, const found_files& was, bool is_log_moved) {
  std::string kept;
  // Synced before the new file is opened: a name that reappeared after a power cut would be taken for the new file's
  // log.
  if (was.log && now.log == was.log) {
    auto place = kept_log_path(log_path());
    auto content = at_path_.log_size() == 0 || is_log_moved ? std::nullopt : read_file(log_path());
    if (content && write_file(place, *content, true))
      kept = "; the write-ahead log of the old file is kept as " + place.filename().string();
    remove_file(log_path());
  }
  if (was.index && now.index == was.index)
    unlink(index_path().c_str());
  return kept;
}

std::filesystem::path file_guard::kept_log_path(const std::filesystem::path& file) const {
  auto folder = set_.kept_logs.empty() ? file.parent_path() : set_.kept_logs;
  std::error_code ignored;
  if (std::filesystem::create_directory(folder, ignored))
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, ignored);
  auto name = set_.name + "-wal.";
  std::replace(name.begin(), name.end(), '/', '%');
  auto time = set_.now_us ? set_.now_us() : 0;
  while (std::filesystem::exists(folder / (name + std::to_string(time)), ignored))
    ++time;
  return folder / (name + std::to_string(time));
}

void file_guard::record_event(file_change kind, std::string text) {
  std::string words;
  switch (kind) {
  case file_change::replaced: words = "another file was put in its place"; break;
  case file_change::overwritten: words = "it was overwritten in place by another program"; break;
  case file_change::deleted: words = "it was moved away or deleted"; break;
  case file_change::touched:
    words = "it was written by another program; its header is the same. If a copy was put over it, sluice doctor finds "
            "what does not fit";
    break;
  case file_change::changed_while_closed: words = "it was changed by another program while no broker ran"; break;
  default: break;
  }
  events_.push_back({to_string(kind), words + std::move(text)});
}

} // namespace sluice::sqlite
