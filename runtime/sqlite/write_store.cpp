#include "runtime/sqlite/write_store.hpp"

#include "actors/defect.hpp"
#include "runtime/sqlite/commit_fate.hpp"
#include "runtime/sqlite/ledger.hpp"
#include "runtime/sqlite/leftovers.hpp"
#include "runtime/sqlite/query_plan.hpp"
#include "runtime/sqlite/request_runner.hpp"
#include "runtime/sqlite/result_code.hpp"

#include <sqlite3.h>

#include <utility>

namespace sluice::sqlite {

namespace {

constexpr uint64_t wal_frame_header = 24;

// Keys of one transaction: a write that comes meanwhile waits for a few milliseconds.
constexpr uint64_t pruned_at_once = 1'000;

// How much of the WAL no checkpoint has moved yet, in frames.
struct wal_state {
  uint64_t frames = 0;
  uint64_t moved = 0;

  void grown_to(uint64_t count) noexcept {
    // Shorter than before: SQLite began again at the front, having moved everything.
    if (count < frames)
      moved = 0;
    frames = count;
  }
};

int on_commit(void* state, sqlite3*, const char*, int frames) noexcept {
  static_cast<wal_state*>(state)->grown_to(static_cast<uint64_t>(frames));
  return SQLITE_OK;
}

// Everything that lives and dies with one open file; members end in reverse order, the connection last.
struct session {
  session(connection opened, return_limits limits, const clock& time, ledger_settings settings, ledger_standing& known)
    : db(std::move(opened)), runner(db, limits, time), book(db, time, settings, known) {
    // Also keeps SQLite from checkpointing by itself: there is one such hook.
    sqlite3_wal_hook(db.handle(), &on_commit, &wal);
  }

  connection db;
  wal_state wal;
  request_runner runner;
  ledger book;
  prepared_statement begin;
  prepared_statement commit;
  prepared_statement rollback;
  prepared_statement data_version;
  prepared_statement page_size;
  int64_t known_version = -1;
};

class sqlite_write_store final : public write_store {
public:
  sqlite_write_store(std::filesystem::path path, const broker_config& config, const clock& time, ledger_standing known)
    : path_(std::move(path)), time_(time), limits_{config.read_max_rows, config.read_max_bytes},
      ledger_settings_{config.key_retention, config.synchronous != synchronous_mode::full}, known_(std::move(known)) {
    options_.mode = open_mode::read_write_create;
    options_.synchronous = config.synchronous;
    options_.busy_timeout = config.busy_timeout;
    options_.page_cache_bytes = config.page_cache_bytes;
  }

  bool is_open() const override { return session_ != nullptr; }
  caf::expected<begun_transaction> begin() override;
  bool in_transaction() const override { return session_ && session_->db.in_transaction(); }
  caf::expected<std::optional<write_result>> recall(const write_request& request) override;
  caf::expected<void> remember(const write_request& request, const write_result& result) override;
  caf::expected<executed_write> execute(const write_request& request, clock::steady deadline) override;
  caf::expected<void> commit(uint64_t seq, int64_t ts_us, std::span<const ledger_entry> entries) override;
  void rollback() noexcept override;
  caf::expected<bool> committed(uint64_t seq) override;
  caf::expected<void> checkpoint(checkpoint_mode mode) override;
  uint64_t wal_bytes() const override;
  caf::expected<uint64_t> prune_keys() override;
  caf::expected<std::string> explain(std::span<const statement> statements) override;

private:
  caf::expected<void> open();
  void close() noexcept { session_.reset(); }
  caf::expected<void> enter_ledger(begun_transaction& found, bool replaced);
  caf::expected<bool> settle_unseen(uint64_t seq);
  caf::expected<void> sync_log();
  caf::error failed(int code);
  caf::error failed(caf::error why);
  caf::error no_transaction() const { return make_error(errc::internal, "no transaction is open"); }

  std::filesystem::path path_;
  const clock& time_;
  connection_options options_;
  return_limits limits_;
  ledger_settings ledger_settings_;
  // Outlives sessions: a file that takes the place of another one is measured by it.
  ledger_standing known_;
  std::unique_ptr<session> session_;
  uint64_t page_size_ = 4'096;
  // The file was replaced, and no transaction has told so yet.
  bool replaced_ = false;
  // Whether the open transaction holds more than its ledger's tables is for its first request to tell.
  bool ledger_is_new_ = false;
  uint64_t tried_seq_ = 0;
  digest tried_hash_{};
  // What was tried last may be in the log from its beginning to its end, seen or not.
  bool tried_whole_ = false;
};

caf::expected<void> sqlite_write_store::open() {
  align_modes(path_);
  auto db = connection::open(path_, options_);
  if (!db)
    return std::move(db.error());
  auto made = std::make_unique<session>(std::move(*db), limits_, time_, ledger_settings_, known_);
  if (auto done = prepare_all(made->db, {{&made->begin, "BEGIN IMMEDIATE"},
                                         {&made->commit, "COMMIT"},
                                         {&made->rollback, "ROLLBACK"},
                                         {&made->data_version, "PRAGMA data_version"},
                                         {&made->page_size, "PRAGMA page_size"}});
      !done)
    return done;
  if (auto row = made->page_size.step(); row && *row)
    page_size_ = static_cast<uint64_t>(made->page_size.integer(0));
  made->page_size.reset();
  session_ = std::move(made);
  return caf::unit;
}

caf::expected<begun_transaction> sqlite_write_store::begin() {
  if (in_transaction())
    rollback();
  if (session_ && session_->db.file_moved()) {
    // SQLite sees that it was moved as well, and leaves alone what the new file may have for a WAL.
    close();
    replaced_ = true;
  }
  if (!session_)
    if (auto opened = open(); !opened)
      return std::move(opened.error());
  auto code = session_->begin.step_code();
  session_->begin.reset();
  if (code != SQLITE_DONE)
    return failed(code);
  begun_transaction found;
  if (auto entered = enter_ledger(found, replaced_); !entered) {
    rollback();
    return failed(std::move(entered.error()));
  }
  replaced_ = false;
  return found;
}

caf::expected<void> sqlite_write_store::enter_ledger(begun_transaction& found, bool replaced) {
  auto& s = *session_;
  auto row = s.data_version.step();
  auto version = row && *row ? s.data_version.integer(0) : s.known_version;
  s.data_version.reset();
  if (!row)
    return std::move(row.error());
  auto foreign = s.known_version >= 0 && version != s.known_version;
  if (foreign)
    s.runner.forget_statements();
  if (auto entered = s.book.enter(foreign); !entered)
    return entered;
  s.known_version = version;
  ledger_is_new_ = s.book.created();
  found.next_seq = s.book.next_seq();
  found.new_epoch = s.book.begun_epoch();
  found.last_seq = s.book.last_seq();
  found.foreign_commit = foreign || replaced;
  return caf::unit;
}

caf::expected<std::optional<write_result>> sqlite_write_store::recall(const write_request& request) {
  if (!in_transaction())
    return no_transaction();
  auto found = session_->book.recall(request);
  if (!found)
    return failed(std::move(found.error()));
  return found;
}

caf::expected<void> sqlite_write_store::remember(const write_request& request, const write_result& result) {
  if (!in_transaction())
    return no_transaction();
  auto kept = session_->book.remember(request, result);
  if (!kept)
    return failed(std::move(kept.error()));
  return kept;
}

caf::expected<executed_write> sqlite_write_store::execute(const write_request& request, clock::steady deadline) {
  if (!in_transaction())
    return no_transaction();
  auto result = session_->runner.run(request, deadline);
  if (result) {
    result->schema_changed |= std::exchange(ledger_is_new_, false);
    return result;
  }
  if (session_->runner.spoilt())
    close();
  else if (!in_transaction())
    session_->book.lost();
  return result;
}

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
  auto code = s.commit.step_code();
  s.commit.reset();
  tried_whole_ = code == SQLITE_DONE || may_be_whole(code);
  if (code != SQLITE_DONE) {
    auto why = failed(code);
    rollback();
    return why;
  }
  s.book.committed();
  s.runner.committed();
  if (!s.db.file_moved())
    return caf::unit;
  // It is durable in a file that the path no longer leads to; `committed` looks where the path leads.
  close();
  replaced_ = true;
  return make_error(errc::io_error, "the database file was moved or deleted while it was written");
}

caf::error sqlite_write_store::failed(int code) {
  auto why = to_error(session_->db.handle(), code);
  if (spoils_connection(code))
    close();
  return why;
}

caf::error sqlite_write_store::failed(caf::error why) {
  if (spoils_connection(code_of(why)))
    close();
  return why;
}

void sqlite_write_store::rollback() noexcept {
  if (!session_)
    return;
  if (session_->db.in_transaction()) {
    session_->rollback.step_code();
    session_->rollback.reset();
    if (session_->db.in_transaction())
      return close();
  }
  session_->runner.undone();
  session_->book.lost();
}

caf::expected<bool> sqlite_write_store::committed(uint64_t seq) {
  if (seq == 0 || seq != tried_seq_)
    return false;
  auto options = options_;
  options.mode = open_mode::read_only;
  auto db = connection::open(path_, options);
  if (!db) {
    if (code_of(db.error()) == errc::unknown_database)
      return false;
    return std::move(db.error());
  }
  auto seen = sees_commit(*db, seq, tried_hash_);
  if (!seen)
    return seen;
  // While `db` is open, nobody finds reason to recover the log.
  if (!*seen)
    return settle_unseen(seq);
  // Being seen is not being safe: it may have been the sync that failed.
  if (auto safe = sync_log(); !safe)
    return std::move(safe.error());
  return true;
}

// Not being seen is not being gone, either.
caf::expected<bool> sqlite_write_store::settle_unseen(uint64_t seq) {
  // What is durable in a file that was moved is no concern of the one in its place.
  if (!tried_whole_ || replaced_ || has(defect::leave_lost_commit))
    return false;
  if (!session_)
    if (auto opened = open(); !opened)
      return std::move(opened.error());
  auto overwritten = overwrite_lost_commit(session_->db, seq, tried_hash_, options_.synchronous);
  if (!overwritten) {
    // With the transaction that may still be open.
    close();
    return std::move(overwritten.error());
  }
  if (*overwritten)
    return false;
  if (auto safe = sync_log(); !safe)
    return std::move(safe.error());
  return true;
}

// A checkpoint begins with a sync of the log, and says how much of it is safe by its end.
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
  if (!session_ || session_->db.file_moved())
    return caf::unit;
  auto& s = *session_;
  auto truncates = mode == checkpoint_mode::truncate;
  // With a time-out, TRUNCATE would wait for readers, and every write behind it.
  s.db.set_busy_timeout(std::chrono::milliseconds{0});
  int frames = -1;
  int moved = -1;
  auto code = sqlite3_wal_checkpoint_v2(
    s.db.handle(), "main", truncates ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
  s.db.set_busy_timeout(options_.busy_timeout);
  if (frames >= 0) {
    s.wal.frames = static_cast<uint64_t>(frames);
    s.wal.moved = static_cast<uint64_t>(moved);
  }
  if (code == SQLITE_OK || classify(code) == errc::busy)
    return caf::unit;
  return failed(code);
}

uint64_t sqlite_write_store::wal_bytes() const {
  if (!session_)
    return 0;
  auto left = session_->wal.frames - std::min(session_->wal.frames, session_->wal.moved);
  return left * (page_size_ + wal_frame_header);
}

caf::expected<uint64_t> sqlite_write_store::prune_keys() {
  if (!session_ || in_transaction() || !session_->book.has_old_keys())
    return uint64_t{0};
  auto& s = *session_;
  auto code = s.begin.step_code();
  s.begin.reset();
  if (code != SQLITE_DONE)
    return failed(code);
  // What others have committed meanwhile is for the next write to look at.
  auto row = s.data_version.step();
  auto unseen = !row || !*row || s.data_version.integer(0) != s.known_version;
  s.data_version.reset();
  auto forgotten = unseen ? caf::expected<uint64_t>{uint64_t{0}} : s.book.forget_old_keys(pruned_at_once);
  if (!forgotten || *forgotten == 0) {
    rollback();
    return forgotten ? forgotten : failed(std::move(forgotten.error()));
  }
  code = s.commit.step_code();
  s.commit.reset();
  if (code == SQLITE_DONE)
    return forgotten;
  auto why = failed(code);
  rollback();
  return why;
}

caf::expected<std::string> sqlite_write_store::explain(std::span<const statement> statements) {
  if (!session_)
    return make_error(errc::unavailable, "the database is not open");
  return query_plan(session_->db, statements);
}

} // namespace

std::unique_ptr<write_store> make_write_store(std::filesystem::path path, const broker_config& config,
                                              const clock& time, ledger_standing known) {
  return std::make_unique<sqlite_write_store>(std::move(path), config, time, std::move(known));
}

} // namespace sluice::sqlite
