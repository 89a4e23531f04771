#include "runtime/sqlite/files/file_guard.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/files/file_claims.hpp"
#include "runtime/sqlite/files/wal_index.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>

namespace sluice::sqlite {

std::string_view to_string(file_change change) noexcept {
  constexpr std::array<std::string_view, all_file_changes.size()> words{
    "replaced", "overwritten", "deleted", "log_restored", "log_lost", "changed_while_closed", "touched"};
  return words[static_cast<size_t>(change)];
}

caf::error file_guard::busy() const {
  return make_error(errc::busy, "the files of '" + set_.name + "' were replaced, and are just being closed; try again");
}

caf::error file_guard::overwritten_error(const std::string& name) {
  return make_error(errc::file_replaced, "'" + name
                                           + "' was overwritten by another program; nothing was done. Send the request "
                                             "again when the program has finished");
}

file_guard::file_guard(settings options)
  : set_(std::move(options)),
    at_path_(set_.path, static_cast<size_t>(std::count(set_.name.begin(), set_.name.end(), '/')), set_.quiet_time) {}

file_guard::settings file_guard::of(std::filesystem::path path) {
  settings result;
  result.name = path.filename().string();
  result.path = std::move(path);
  return result;
}

file_guard::state file_guard::state_of(sqlite3* db, bool has_log) noexcept {
  state result;
  sqlite3_file* file = nullptr;
  std::string head(database_header_bytes, '\0');
  if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file)) == SQLITE_OK && file
      && file->pMethods && file->pMethods->xRead(file, head.data(), static_cast<int>(head.size()), 0) == SQLITE_OK)
    result.head = std::move(head);
  if (auto index = has_log ? read_wal_index(db) : std::nullopt) {
    result.moved = index->moved;
    result.attempted = index->attempted;
    result.salt = index->salt;
    result.round = index->round();
  }
  return result;
}

// The file and its content at one moment, because another program may checkpoint between the two reads.
std::pair<found_files, file_guard::state> file_guard::look(sqlite3* db) noexcept {
  constexpr auto max_tries = 100;
  auto now = at_path_.find();
  for (auto tries = 1;; ++tries) {
    auto seen = state_of(db, now.log.has_value());
    auto again = at_path_.find();
    if (now == again || tries == max_tries)
      return {again, std::move(seen)};
    now = again;
  }
}

file_guard::~file_guard() {
  if (set_.claims)
    set_.claims->release(*this);
}

caf::error file_guard::claim(const found_files& now) {
  return set_.claims && now.database ? set_.claims->acquire(*now.database, *this) : caf::error{};
}

void file_guard::expect_file() noexcept {
  auto now = at_path_.find();
  std::lock_guard guard{mutex_};
  expected_ = now.database;
}

void file_guard::join(user& user) {
  std::lock_guard guard{mutex_};
  users_.push_back(&user);
}

void file_guard::part(user& user) noexcept {
  auto now = at_path_.find();
  std::lock_guard guard{mutex_};
  std::erase(users_, &user);
  if (users_.empty())
    at_path_.forget();
  auto is_last_hold = user.is_open_ && user.generation_ == generation_ && !holder_;
  if (!is_last_hold || compare_again(now) != file_change::log_restored)
    return;
  holder_db_ = user.handle();
  user.is_open_ = false;
  holder_ = user.release();
}

void file_guard::closed(user& user) noexcept {
  std::lock_guard guard{mutex_};
  user.is_open_ = false;
}

bool file_guard::is_open(const user& user) const noexcept {
  std::lock_guard guard{mutex_};
  return user.is_open_;
}

std::optional<file_change> file_guard::compare(const found_files& now) const noexcept {
  if (!known_)
    return std::nullopt;
  if (!now.database)
    return file_change::deleted;
  if (now.database != known_->database)
    return file_change::replaced;
  if ((known_->log && now.log != known_->log) || (known_->index && now.index != known_->index))
    return file_change::log_restored;
  return std::nullopt;
}

// The files that were looked up before the mutex was locked may be older than the known ones.
std::optional<file_change> file_guard::compare_again(found_files& now) noexcept {
  if (!compare(now))
    return std::nullopt;
  now = at_path_.find();
  return compare(now);
}

bool file_guard::looks_written(const found_files& now) const noexcept {
  return known_ && known_->log && (now.size != known_->size || now.changed_ns != known_->changed_ns);
}

// Prepares `self` for use. Closes its connection if that is to earlier files, which must not be used any more once the
// present ones are in use.
caf::expected<void> file_guard::admit(user& self, std::unique_lock<std::mutex>& lock) {
  auto is_old = [&](const user* other) {
    return other != &self && other->in_use_ && other->generation_ != generation_;
  };
  auto waits = std::any_of(users_.begin(), users_.end(), is_old);
  auto drops = self.is_open_ && self.generation_ != generation_;
  self.in_use_ = !waits;
  if (!waits) {
    self.generation_ = generation_;
    use_->set_in_use(true);
  }
  self.is_open_ = self.is_open_ && !drops;
  auto old = drops ? self.release() : nullptr;
  lock.unlock();
  if (waits)
    return busy();
  return caf::unit;
}

caf::expected<void> file_guard::enter(user& self) {
  auto now = at_path_.find();
  std::unique_lock lock{mutex_};
  if (changing_)
    return busy();
  auto opened_by_one = std::any_of(users_.begin(), users_.end(), [](const user* u) { return u->is_open_; });
  if (!opened_by_one && !holder_) {
    // The last connection that closes a database removes its log, which is correct.
    known_.reset();
    own_changes_.reset();
  }
  auto db = self.is_open_ && self.generation_ == generation_ ? self.handle() : nullptr;
  auto kind = diagnose(now, self, db, lock);
  if (!kind && now.links > 1) {
    lock.unlock();
    return refuse_links();
  }
  if (!kind)
    return admit(self, lock);
  auto done = change(*kind, now, self, lock);
  if (!done)
    return std::move(done.error());
  if (*done != file_change::overwritten)
    return admit(self, lock);
  // The lock would exclude other programs from a database that is no longer in WAL mode.
  auto old = std::exchange(self.is_open_, false) ? self.release() : nullptr;
  lock.unlock();
  return overwritten_error(set_.name);
}

// A program that uses the other name would not see the log, and would write to the file without it.
caf::error file_guard::refuse_links() const {
  auto error = set_.resolve ? set_.resolve() : caf::error{};
  return error ? error : make_error(errc::invalid_request, "'" + set_.name + "' has another hard link");
}

void file_guard::leave(user& self) noexcept {
  std::unique_lock lock{mutex_};
  self.in_use_ = false;
  use_->set_in_use(std::any_of(users_.begin(), users_.end(), [](const user* u) { return u->in_use_; }));
  if (!self.is_open_ || self.generation_ == generation_)
    return;
  self.is_open_ = false;
  auto old = self.release();
  lock.unlock();
}

std::optional<file_change> file_guard::diagnose(found_files& now, const user& user, sqlite3* db,
                                                std::unique_lock<std::mutex>& lock) {
  auto kind = compare_again(now);
  // Readers of a log that is too short get an error.
  if (!kind && db && user.is_writer() && known_->log) {
    auto before = std::exchange(log_bytes_, at_path_.log_size());
    if (log_bytes_ < before && is_log_cut_short(db, [this] { return at_path_.log_size(); })) {
      // The log may have been removed just after the lookup: its content can then still be saved.
      now = at_path_.find();
      kind = compare(now);
      return kind ? kind : file_change::log_lost;
    }
  }
  if (kind || !db || !looks_written(now))
    return kind;
  changing_ = true;
  lock.unlock();
  auto found = look_for_other_content(db);
  auto [again, seen] = look(db);
  lock.lock();
  changing_ = false;
  if (found)
    return found;
  remember(again, seen);
  note_files(false, again, seen);
  return std::nullopt;
}

void file_guard::remember(const found_files& now, state seen) noexcept {
  if (!known_)
    return;
  known_->size = now.size;
  known_->changed_ns = now.changed_ns;
  state_ = std::move(seen);
}

caf::expected<void> file_guard::check_place() {
  if (set_.resolve)
    if (auto error = set_.resolve())
      return error;
  auto now = at_path_.find();
  std::unique_lock lock{mutex_};
  if (!known_)
    compare_with_record(now);
  return caf::unit;
}

caf::expected<void> file_guard::before_open() {
  if (auto checked = check_place(); !checked)
    return checked;
  if (auto error = claim(at_path_.find()))
    return error;
  return caf::unit;
}

caf::expected<void> file_guard::opened(user& user) {
  auto* db = user.handle();
  int moved = 0;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  auto [now, seen] = look(db);
  // The file was created by the open, or has been put there since.
  if (auto error = claim(now))
    return error;
  std::unique_lock lock{mutex_};
  // If there was no `enter` since, an overwritten file has not been reported yet.
  if (auto kind =
        known_ && !changing_ && user.generation_ == generation_ ? diagnose(now, user, db, lock) : std::nullopt) {
    auto done = change(*kind, now, user, lock);
    return done && *done == file_change::overwritten ? overwritten_error(set_.name) : busy();
  }
  if (moved != 0 || !now.database || changing_ || user.generation_ != generation_ || compare(now)
      || (!known_ && has_log_of_another()))
    return busy();
  // Before it had a log, any program might write to the file.
  if (!known_ || !known_->log) {
    known_ = now;
    state_ = seen;
  } else {
    known_->log = now.log;
    known_->index = now.index;
  }
  if (expected_ && expected_ != now.database) {
    note_replaced();
    record_event(file_change::replaced, {});
  }
  expected_ = now.database;
  is_resting_ = false;
  user.is_open_ = true;
  seen = state_;
  lock.unlock();
  // The last idle connection that was closed may just have released the claim.
  if (auto error = claim(now)) {
    closed(user);
    return error;
  }
  note_files(false, now, seen);
  return caf::unit;
}

file_guard::verdict file_guard::verify(user& user) {
  auto now = at_path_.find();
  std::unique_lock lock{mutex_};
  if (user.generation_ != generation_ || changing_)
    return verdict::gone;
  auto kind = diagnose(now, user, user.handle(), lock);
  if (!kind) {
    note_round(now, user.handle(), lock);
    return verdict::intact;
  }
  auto done = change(*kind, now, user, lock);
  if (!done)
    return verdict::unsaved;
  return *done == file_change::log_restored ? verdict::log_restored : verdict::gone;
}

bool file_guard::is_current(const user& user) const noexcept {
  std::lock_guard guard{mutex_};
  return user.generation_ == generation_;
}

void file_guard::checkpointed(user& user) noexcept {
  auto [now, seen] = look(user.handle());
  {
    std::lock_guard guard{mutex_};
    if (user.generation_ != generation_)
      return;
    remember(now, seen);
  }
  note_files(false, now, seen);
}

bool file_guard::take_replaced() noexcept {
  std::lock_guard guard{mutex_};
  return std::exchange(replaced_, false);
}

bool file_guard::is_replaced() const noexcept {
  std::lock_guard guard{mutex_};
  return replaced_;
}

bool file_guard::has_external_commit() const noexcept {
  std::lock_guard guard{mutex_};
  return external_commit_;
}

bool file_guard::take_external_commit() noexcept {
  std::lock_guard guard{mutex_};
  return std::exchange(external_commit_, false);
}

std::vector<file_event> file_guard::take_events() {
  std::lock_guard guard{mutex_};
  return std::exchange(events_, {});
}

} // namespace sluice::sqlite
