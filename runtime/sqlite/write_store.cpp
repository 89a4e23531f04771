#include "runtime/sqlite/write_store.hpp"

#include "actors/defect.hpp"
#include "runtime/sqlite/busy_error.hpp"
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
    : db(std::move(opened)), runner(db, limits, time), book(db, time, settings, known) {}

  connection db;
  request_runner runner;
  ledger book;
  prepared_statement begin;
  prepared_statement commit;
  prepared_statement rollback;
  prepared_statement page_size;
};

class sqlite_write_store final : public write_store, private file_guard::user {
public:
  sqlite_write_store(std::filesystem::path path, const broker_config& config, const clock& time, ledger_standing known,
                     std::shared_ptr<file_guard> files)
    : path_(std::move(path)), time_(time), busy_timeout_(config.busy_timeout), patience_(config.busy_timeout),
      limits_{config.read_max_rows, config.read_max_bytes}, files_(std::move(files)),
      ledger_settings_{config.key_retention, config.synchronous != synchronous_mode::full}, known_(std::move(known)) {
    files_->join(*this);
    options_.mode = open_mode::read_write_create;
    options_.synchronous = config.synchronous;
    options_.busy_timeout = config.busy_timeout;
    options_.page_cache_bytes = config.page_cache_bytes;
  }

  ~sqlite_write_store() override;

  bool is_open() const override { return files_->is_open(*this); }
  void wait_at_most(std::chrono::milliseconds time) noexcept override { patience_ = std::min(time, busy_timeout_); }
  caf::expected<begun_transaction> begin() override;
  bool in_transaction() const override { return in_use_ && session_ && session_->db.in_transaction(); }
  caf::expected<std::optional<write_result>> recall(const write_request& request) override;
  caf::expected<void> remember(const write_request& request, const write_result& result) override;
  caf::expected<executed_write> execute(const write_request& request, clock::steady deadline) override;
  caf::expected<void> commit(uint64_t seq, int64_t ts_us, std::span<const ledger_entry> entries) override;
  void rollback() noexcept override;
  caf::expected<bool> committed(uint64_t seq) override;
  caf::expected<void> checkpoint(checkpoint_mode mode) override;
  uint64_t wal_bytes() const override;
  bool take_external_commit() override;
  std::vector<file_event> take_file_events() override { return files_->take_events(); }
  caf::expected<uint64_t> prune_keys() override;
  caf::expected<std::string> explain(std::span<const statement> statements) override;

private:
  sqlite3* handle() const noexcept override { return session_ ? session_->db.handle() : nullptr; }
  std::shared_ptr<void> release() noexcept override;
  bool is_writer() const noexcept override { return true; }

  caf::expected<void> open();
  void close() noexcept;
  caf::expected<void> use();
  void end_use() noexcept;
  caf::expected<begun_transaction> begin_in_use();
  caf::expected<void> take_lock();
  caf::expected<void> enter_ledger(begun_transaction& found);
  caf::expected<void> check_files();
  caf::expected<bool> committed_in_use(uint64_t seq);
  caf::expected<bool> settle_unseen(uint64_t seq);
  caf::expected<void> sync_log();
  caf::expected<void> checkpoint_in_use(checkpoint_mode mode);
  caf::expected<uint64_t> prune_in_use();
  caf::error failed(int code);
  caf::error failed(caf::error why);
  caf::error no_transaction() const { return make_error(errc::internal, "no transaction is open"); }

  std::filesystem::path path_;
  const clock& time_;
  connection_options options_;
  std::chrono::milliseconds busy_timeout_;
  // Of the next `begin`.
  std::chrono::milliseconds patience_;
  return_limits limits_;
  std::shared_ptr<file_guard> files_;
  ledger_settings ledger_settings_;
  // Outlives sessions: a file that takes the place of another one is measured by it.
  ledger_standing known_;
  std::unique_ptr<session> session_;
  // Between `use` and `end_use`; at any other time, others may close the session.
  bool in_use_ = false;
  uint64_t page_size_ = 4'096;
  wal_state wal_;
  // What was tried last went into files that are not at the path any more.
  bool gone_ = false;
  // Whether the open transaction holds more than its ledger's tables is for its first request to tell.
  bool ledger_is_new_ = false;
  uint64_t tried_seq_ = 0;
  digest tried_hash_{};
  // What was tried last may be in the log from its beginning to its end, seen or not.
  bool tried_whole_ = false;
};

sqlite_write_store::~sqlite_write_store() {
  // The log of files that were replaced belongs into no others; it is not checkpointed.
  auto is_known = in_use_ ? files_->verify(*this) == file_guard::verdict::intact : bool{use()};
  files_->part(*this);
  if (!is_known)
    release();
  close();
}

caf::expected<void> sqlite_write_store::open() {
  if (auto may = files_->before_open(); !may)
    return may;
  align_modes(path_);
  auto db = connection::open(path_, options_);
  if (!db)
    return std::move(db.error());
  auto made = std::make_unique<session>(std::move(*db), limits_, time_, ledger_settings_, known_);
  wal_ = {};
  // Also keeps SQLite from checkpointing by itself: there is one such hook.
  sqlite3_wal_hook(made->db.handle(), &on_commit, &wal_);
  // The first look opens the log.
  if (auto looked = made->db.exec("SELECT 1 FROM sqlite_schema LIMIT 1"); !looked)
    return looked;
  if (auto done = prepare_all(made->db, {{&made->begin, "BEGIN IMMEDIATE"},
                                         {&made->commit, "COMMIT"},
                                         {&made->rollback, "ROLLBACK"},
                                         {&made->page_size, "PRAGMA page_size"}});
      !done)
    return done;
  if (auto row = made->page_size.step(); row && *row)
    page_size_ = static_cast<uint64_t>(made->page_size.integer(0));
  made->page_size.reset();
  session_ = std::move(made);
  auto known = files_->opened(*this);
  if (!known)
    release();
  return known;
}

void sqlite_write_store::close() noexcept {
  session_.reset();
  files_->closed(*this);
  end_use();
}

std::shared_ptr<void> sqlite_write_store::release() noexcept {
  if (session_)
    session_->db.keep_log_on_close();
  return std::shared_ptr<session>{std::move(session_)};
}

// The files at the path are those of the connection, if there is one; and stay so as far as the other connections of
// this broker go, until `end_use`.
caf::expected<void> sqlite_write_store::use() {
  auto may = files_->enter(*this);
  in_use_ = bool{may};
  return may;
}

void sqlite_write_store::end_use() noexcept {
  if (std::exchange(in_use_, false))
    files_->leave(*this);
}

caf::expected<begun_transaction> sqlite_write_store::begin() {
  if (in_use_)
    rollback();
  if (auto may = use(); !may)
    return std::move(may.error());
  auto begun = begin_in_use();
  if (!begun)
    end_use();
  return begun;
}

caf::expected<begun_transaction> sqlite_write_store::begin_in_use() {
  if (auto taken = take_lock(); !taken)
    return code_of(taken.error()) == errc::busy ? busy_for(path_, taken.error()) : std::move(taken.error());
  begun_transaction found;
  if (auto entered = enter_ledger(found); !entered) {
    rollback();
    return failed(std::move(entered.error()));
  }
  return found;
}

// Waits for it as long as the requests can, opening included.
caf::expected<void> sqlite_write_store::take_lock() {
  auto patience = std::exchange(patience_, busy_timeout_);
  options_.busy_timeout = patience;
  auto was_open = session_ != nullptr;
  auto opened = was_open ? caf::expected<void>{caf::unit} : open();
  options_.busy_timeout = busy_timeout_;
  if (!opened)
    return opened;
  auto hurries = patience < busy_timeout_;
  if (hurries && was_open)
    session_->db.set_busy_timeout(patience);
  auto code = session_->begin.step_code();
  session_->begin.reset();
  if (hurries)
    session_->db.set_busy_timeout(busy_timeout_);
  if (code != SQLITE_DONE)
    return failed(code);
  return caf::unit;
}

caf::expected<void> sqlite_write_store::enter_ledger(begun_transaction& found) {
  auto& s = *session_;
  files_->see_commits(s.db.handle(), true);
  // A reader may have seen it first.
  auto changed = files_->has_external_commit();
  if (changed)
    s.runner.forget_statements();
  if (auto entered = s.book.enter(changed); !entered)
    return entered;
  files_->take_external_commit();
  ledger_is_new_ = s.book.created();
  found.next_seq = s.book.next_seq();
  found.new_epoch = s.book.begun_epoch();
  found.foreign_commit = changed;
  gone_ = false;
  return caf::unit;
}

bool sqlite_write_store::take_external_commit() {
  static_cast<void>(files_->before_open());
  return files_->take_external_commit();
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
  files_->expect_commit(s.db.handle());
  auto code = s.commit.step_code();
  s.commit.reset();
  tried_whole_ = code == SQLITE_DONE || may_be_whole(code);
  if (code != SQLITE_DONE) {
    files_->forget_commit();
    auto why = failed(code);
    rollback();
    return why;
  }
  s.book.committed();
  s.runner.committed();
  auto checked = check_files();
  end_use();
  return checked;
}

// Whether what was committed just now lies in the files at the path, and so would be found after a crash.
caf::expected<void> sqlite_write_store::check_files() {
  switch (files_->verify(*this)) {
  case file_guard::verdict::intact: return caf::unit;
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
    return end_use();
  if (session_->db.in_transaction()) {
    session_->rollback.step_code();
    session_->rollback.reset();
    if (session_->db.in_transaction())
      return close();
  }
  session_->runner.undone();
  session_->book.lost();
  end_use();
}

caf::expected<bool> sqlite_write_store::committed(uint64_t seq) {
  if (seq == 0 || seq != tried_seq_ || gone_)
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
  files_->add_commit();
  // Being seen is not being safe: it may have been the sync that failed.
  if (auto safe = sync_log(); !safe)
    return std::move(safe.error());
  return true;
}

// Not being seen is not being gone, either.
caf::expected<bool> sqlite_write_store::settle_unseen(uint64_t seq) {
  if (!tried_whole_ || has(defect::leave_lost_commit))
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
  files_->add_commit();
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
  if (auto may = use(); !may && !has(defect::checkpoint_old_log))
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

caf::expected<uint64_t> sqlite_write_store::prune_keys() {
  if (in_transaction())
    return uint64_t{0};
  if (auto may = use(); !may)
    return std::move(may.error());
  auto forgotten =
    session_ && session_->book.has_old_keys() ? prune_in_use() : caf::expected<uint64_t>{uint64_t{0}};
  end_use();
  return forgotten;
}

// A transaction of its own, so that it is known for one of the broker's.
caf::expected<uint64_t> sqlite_write_store::prune_in_use() {
  auto& s = *session_;
  auto code = s.begin.step_code();
  s.begin.reset();
  if (code != SQLITE_DONE)
    return failed(code);
  // What others have committed meanwhile is for the next write to look at.
  files_->see_commits(s.db.handle(), true);
  auto forgotten = files_->has_external_commit() ? caf::expected<uint64_t>{uint64_t{0}}
                                                 : s.book.forget_old_keys(pruned_at_once);
  if (!forgotten || *forgotten == 0) {
    rollback();
    return forgotten ? forgotten : failed(std::move(forgotten.error()));
  }
  files_->expect_commit(s.db.handle());
  code = s.commit.step_code();
  s.commit.reset();
  if (code == SQLITE_DONE)
    return forgotten;
  files_->forget_commit();
  auto why = failed(code);
  rollback();
  return why;
}

caf::expected<std::string> sqlite_write_store::explain(std::span<const statement> statements) {
  if (auto may = use(); !may)
    return std::move(may.error());
  auto plan = session_ ? query_plan(session_->db, statements)
                       : caf::expected<std::string>{make_error(errc::unavailable, "the database is not open")};
  end_use();
  return plan;
}

} // namespace

std::unique_ptr<write_store> make_write_store(std::filesystem::path path, const broker_config& config,
                                              const clock& time, ledger_standing known,
                                              std::shared_ptr<file_guard> files) {
  if (!files)
    files = std::make_shared<file_guard>(path);
  return std::make_unique<sqlite_write_store>(std::move(path), config, time, std::move(known), std::move(files));
}

} // namespace sluice::sqlite
