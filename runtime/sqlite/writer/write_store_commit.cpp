#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/ledger/failed_commit.hpp"
#include "runtime/sqlite/writer/sqlite_write_store.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace sluice::sqlite {

namespace {

constexpr uint64_t wal_frame_header = 24;

} // namespace

caf::expected<void> sqlite_write_store::commit(uint64_t seq, int64_t ts_us, std::span<const ledger_entry> entries) {
  tried_seq_ = 0;
  if (!in_transaction())
    return no_transaction();
  auto& s = *session_;
  auto hash = s.book.append(seq, ts_us, entries);
  if (!hash) {
    rollback();
    return failed(std::move(hash.error()));
  }
  tried_seq_ = seq;
  tried_hash_ = *hash;
  files_->expect_commit(s.db.handle());
  auto code = s.commit.step_code();
  s.commit.reset();
  wal_may_hold_commit_ = code == SQLITE_DONE || wal_may_hold_commit(code);
  if (code != SQLITE_DONE) {
    files_->forget_commit();
    auto error = failed(code);
    rollback();
    return error;
  }
  s.book.committed();
  s.runner.committed();
  auto checked = check_files();
  end_use();
  return checked;
}

// Whether the last commit is in the files at the path, so that it would be found after a crash. In doubt, `committed`
// searches for it there.
caf::expected<void> sqlite_write_store::check_files() {
  switch (files_->verify(*this)) {
  case file_guard::verdict::intact: return caf::unit;
  case file_guard::verdict::unsaved:
    // The outcome of the commit depends on whether the log can be saved; `committed` tries again.
    return make_error(errc::io_error,
                      "the write-ahead log of this database was removed, and its content cannot be saved");
  case file_guard::verdict::gone: gone_ = true; break;
  case file_guard::verdict::log_restored: break;
  }
  release();
  close();
  if (!gone_)
    return caf::unit;
  return make_error(errc::file_replaced, "the files of this database were replaced while it was written; what was "
                                         "written went with the old ones. Send the request again");
}

caf::expected<bool> sqlite_write_store::committed(uint64_t seq) {
  if (seq == 0 || seq != tried_seq_)
    return false;
  if (auto may = use(); !may)
    return std::move(may.error());
  auto result = committed_in_use(seq);
  end_use();
  return result;
}

caf::expected<bool> sqlite_write_store::committed_in_use(uint64_t seq) {
  auto options = options_;
  options.mode = open_mode::read_only;
  auto db = connection::open(path_, options);
  if (!db) {
    if (code_of(db.error()) != errc::unknown_database)
      return std::move(db.error());
    // A file that was moved away contains the commit, and may be moved back.
    if (gone_)
      return make_error(errc::file_replaced, "the files of this database were moved away or deleted while it was "
                                             "written; what was written went with them");
    return false;
  }
  auto seen = sees_commit(*db, seq, tried_hash_);
  if (!seen)
    return seen;
  // While `db` is open, no connection recovers the log.
  if (!*seen)
    // The log of replaced files does not belong to the files at the path.
    return gone_ ? caf::expected<bool>{false} : resolve_invisible_commit(seq);
  files_->add_commit();
  // A visible commit may still be unsafe: the sync may have failed.
  if (auto safe = sync_log(); !safe)
    return std::move(safe.error());
  return true;
}

// An invisible commit may still be in the log.
caf::expected<bool> sqlite_write_store::resolve_invisible_commit(uint64_t seq) {
  if (!wal_may_hold_commit_)
    return false;
  if (!session_)
    if (auto opened = open(); !opened)
      return std::move(opened.error());
  auto overwritten = overwrite_lost_commit(session_->db, seq, tried_hash_, options_.synchronous);
  if (!overwritten) {
    // Also ends the transaction, which may still be open.
    close();
    return std::move(overwritten.error());
  }
  files_->add_commit();
  if (*overwritten)
    return false;
  if (auto safe = sync_log(); !safe)
    return std::move(safe.error());
  return true;
}

// A checkpoint begins with a sync of the log; the result shows how much of the log is synced.
caf::expected<void> sqlite_write_store::sync_log() {
  if (!session_)
    if (auto opened = open(); !opened)
      return opened;
  int frames = -1;
  int moved = -1;
  auto code = sqlite3_wal_checkpoint_v2(session_->db.handle(), "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
  if (code != SQLITE_OK)
    return failed(code);
  if (moved < frames)
    return make_error(errc::io_error, "the commit is there, but may not be safe on the disk");
  return caf::unit;
}

caf::expected<void> sqlite_write_store::checkpoint(checkpoint_mode mode) {
  if (auto may = use(); !may)
    return may;
  auto done = session_ ? checkpoint_in_use(mode) : caf::expected<void>{caf::unit};
  end_use();
  return done;
}

caf::expected<void> sqlite_write_store::checkpoint_in_use(checkpoint_mode mode) {
  auto& s = *session_;
  auto truncates = mode == checkpoint_mode::truncate;
  // With a time-out, TRUNCATE would wait for readers, and every write behind it.
  s.db.set_busy_timeout(std::chrono::milliseconds{0});
  int frames = -1;
  int moved = -1;
  auto code = sqlite3_wal_checkpoint_v2(
    s.db.handle(), "main", truncates ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
  s.db.set_busy_timeout(options_.busy_timeout);
  files_->checkpointed(*this);
  if (frames >= 0) {
    wal_.frames = static_cast<uint64_t>(frames);
    wal_.moved = static_cast<uint64_t>(moved);
  }
  if (code == SQLITE_OK || classify(code) == errc::busy)
    return caf::unit;
  return failed(code);
}

uint64_t sqlite_write_store::wal_bytes() const {
  auto left = wal_.frames - std::min(wal_.frames, wal_.moved);
  return left * (page_size_ + wal_frame_header);
}

bool sqlite_write_store::take_overgrown_log(uint64_t bytes) {
  if (!std::exchange(was_rolled_back_, false))
    return false;
  std::error_code missing;
  auto size = std::filesystem::file_size(path_.native() + "-wal", missing);
  return !missing && size > bytes;
}

uint64_t sqlite_write_store::log_bytes() const { return wal_.frames * (page_size_ + wal_frame_header); }

} // namespace sluice::sqlite
