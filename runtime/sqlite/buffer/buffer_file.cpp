#include "runtime/sqlite/buffer/buffer_file.hpp"

#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/journal_recovery.hpp"
#include "runtime/sqlite/files/own_database.hpp"
#include "runtime/sqlite/files/vfs_file.hpp"
#include "runtime/sqlite/files/wal_index.hpp"
#include "runtime/sqlite/ledger/failed_commit.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <string>

namespace sluice::sqlite {

namespace {

// "slub".
constexpr own_database buffer_kind{"buffer file", ".sluice/buffer.db is not a buffer file", 0x736c7562, 1};

// Ids are never reused (AUTOINCREMENT): they identify operations as long as any component remembers one.
constexpr const char* buffer_schema = R"(
  CREATE TABLE journal(seq INTEGER PRIMARY KEY AUTOINCREMENT, batch INTEGER, content BLOB NOT NULL) STRICT;
  CREATE INDEX journal_batch ON journal(batch) WHERE batch IS NOT NULL;
  CREATE TABLE batches(place INTEGER PRIMARY KEY AUTOINCREMENT, idempotency_key TEXT NOT NULL UNIQUE,
    content BLOB NOT NULL) STRICT;
  CREATE TABLE rejected(id INTEGER PRIMARY KEY AUTOINCREMENT, ts_us INTEGER NOT NULL, code TEXT NOT NULL,
    message TEXT NOT NULL, content BLOB NOT NULL) STRICT
)";

caf::expected<void> prepare(const connection& db, buffer_file::statements& statements) {
  return prepare_all(
    db, {{&statements.begin, "BEGIN IMMEDIATE"},
         {&statements.commit, "COMMIT"},
         {&statements.append, "INSERT INTO journal(seq, content) VALUES (?, ?)"},
         {&statements.forget_operation, "DELETE FROM journal WHERE seq = ?"},
         {&statements.add_batch, "INSERT INTO batches(idempotency_key, content) VALUES (?, ?) RETURNING place"},
         {&statements.claim, "UPDATE journal SET batch = ? WHERE seq = ?"},
         {&statements.find_batch, "SELECT place FROM batches WHERE idempotency_key = ?"},
         {&statements.release, "UPDATE journal SET batch = NULL WHERE batch = ?"},
         {&statements.forget_operations, "DELETE FROM journal WHERE batch = ?"},
         {&statements.forget_batch, "DELETE FROM batches WHERE place = ?"},
         {&statements.keep, "INSERT INTO rejected(ts_us, code, message, content) VALUES (?, ?, ?, ?) RETURNING id"},
         {&statements.forget_rejected, "DELETE FROM rejected WHERE id = ?"}});
}

int64_t now_us() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

// Uses a connection that cannot change the file, which may belong to another application.
caf::expected<void> check_buffer_file(const connection& db) {
  auto has_schema = is_own_database(db, buffer_kind);
  if (!has_schema)
    return std::move(has_schema.error());
  if (!*has_schema)
    return caf::unit;
  auto check = prepared_statement::prepare(db, "PRAGMA quick_check(1)");
  if (!check)
    return std::move(check.error());
  auto row = check->step();
  if (!row)
    return std::move(row.error());
  if (check->text(0) != "ok")
    return make_error(errc::corrupt, ".sluice/buffer.db is damaged");
  return caf::unit;
}

} // namespace

bool buffer_file::is_missing() const {
  if (content_)
    return false;
  std::error_code failed;
  return std::filesystem::symlink_status(path_, failed).type() == std::filesystem::file_type::not_found;
}

caf::expected<buffer_file::content> buffer_file::open_anew() const {
  connection_options options;
  if (!is_missing()) {
    // A process that was killed while it created the file leaves a rollback journal, which no other process rolls back.
    if (auto recovered = recover_journal(path_, options.busy_timeout); !recovered)
      return std::move(recovered.error());
    auto looked = connection::open(path_, options);
    if (!looked)
      return std::move(looked.error());
    if (auto known = check_buffer_file(*looked); !known)
      return std::move(known.error());
  }
  options.synchronous = synchronous_;
  // The content is read only once.
  options.page_cache_bytes = 1ULL << 20;
  auto db = open_own_database(path_, buffer_kind, buffer_schema, options);
  if (!db)
    return std::move(db.error());
  content result{std::move(*db)};
  if (auto ready = prepare(result.db, result.sql); !ready)
    return explain_mismatch(std::move(ready.error()), buffer_kind);
  return result;
}

caf::expected<buffer_file::content*> buffer_file::open() {
  // On close, SQLite moves the content of a removed write-ahead log to the file.
  replaced_ |= content_ && content_->db.file_moved();
  if (content_ && (replaced_ || (!wal_may_hold_commit_ && files_.log_moved())))
    content_.reset();
  remove_cut_log();
  if (replaced_)
    files_.remove_stale_log();
  if (wal_may_hold_commit_)
    if (auto error = resolve_failed_commit())
      return error;
  if (!content_) {
    auto opened = open_anew();
    if (!opened)
      return std::move(opened.error());
    auto last = read_number(opened->db, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'journal'");
    if (!last)
      return std::move(last.error());
    last_place = std::max(last_place, *last);
    content_.emplace(std::move(*opened));
    files_.note();
    if ((replaced_ || cut_short_) && restore_)
      if (auto error = restore_(*content_, cut_short_))
        return give_up(std::move(error));
    replaced_ = cut_short_ = false;
  }
  return &*content_;
}

// The rest of a log that was cut short would overwrite newer pages, so it is removed.
void buffer_file::remove_cut_log() {
  if (!files_.shrunk() || !content_)
    return;
  auto is_empty = files_.bytes() == 0;
  auto* db = content_->db.handle();
  if (!is_empty && !is_log_cut_short(db, [this] { return files_.log_bytes(); }))
    return;
  content_->db.keep_wal_on_close();
  content_.reset();
  cut_short_ = true;
  remove_file(path_.native() + "-wal");
}

caf::error buffer_file::give_up(caf::error error) {
  if (content_ && content_->db.in_transaction())
    static_cast<void>(content_->db.exec("ROLLBACK"));
  // While the connection is open, no recovery considers the frames in the log committed.
  if (!wal_may_hold_commit_ && spoils_connection(code_of(error)))
    content_.reset();
  return error;
}

caf::error buffer_file::commit_failed(caf::error error) {
  wal_may_hold_commit_ = wal_may_hold_commit(sqlite3_extended_errcode(content_->db.handle()));
  error = give_up(std::move(error));
  if (!wal_may_hold_commit_ || !resolve_failed_commit())
    return error;
  auto failed = describe(error);
  failed.outcome = outcome::unknown;
  return make_error(std::move(failed));
}

caf::error buffer_file::resolve_failed_commit() {
  auto done = content_ ? overwrite_lost_commit(content_->db, synchronous_) : caf::expected<void>{caf::unit};
  if (!done)
    return give_up(std::move(done.error()));
  wal_may_hold_commit_ = false;
  return caf::none;
}

caf::error run(prepared_statement& statement) {
  auto done = statement.run();
  return done ? caf::error{} : std::move(done.error());
}

caf::expected<std::optional<int64_t>> run_for_number(prepared_statement& statement) {
  auto row = statement.step();
  std::optional<int64_t> result;
  if (row && *row)
    result = statement.integer(0);
  // A statement with RETURNING has done its work when it returns its first row, and ends with the next step.
  auto end = row && *row ? statement.step() : std::move(row);
  statement.reset();
  if (!end)
    return std::move(end.error());
  return result;
}

caf::error keep_unreadable_row(buffer_file::content& file, std::string_view message, std::string_view content) {
  auto& keep = file.sql.keep;
  keep.bind(1, now_us());
  keep.bind_text(2, to_string(errc::corrupt));
  keep.bind_text(3, message);
  keep.bind_blob(4, content);
  auto id = run_for_number(keep);
  return id ? caf::error{} : std::move(id.error());
}

} // namespace sluice::sqlite
