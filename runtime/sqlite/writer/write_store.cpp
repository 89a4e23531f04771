#include "runtime/os/heap_policy.hpp"
#include "runtime/sqlite/core/busy_error.hpp"
#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/files/wal_cleanup.hpp"
#include "runtime/sqlite/ledger/migration_table.hpp"
#include "runtime/sqlite/reader/query_plan.hpp"
#include "runtime/sqlite/writer/sqlite_write_store.hpp"

#include <sqlite3.h>

namespace sluice::sqlite {

namespace {

// The maximum number of keys in one transaction, so that a write that arrives meanwhile waits for only a few
// milliseconds.
constexpr uint64_t pruned_at_once = 1'000;

int note_frames(void* state, sqlite3*, const char*, int frames) noexcept {
  static_cast<wal_state*>(state)->grown_to(static_cast<uint64_t>(frames));
  return SQLITE_OK;
}

// `record_applied` follows, and may make the table.
void add_migrations_table(executed_write& to) {
  auto tables = to.tables ? *to.tables : std::vector<std::string>{};
  tables.emplace_back(migrations_table);
  to.tables = std::make_shared<const std::vector<std::string>>(std::move(tables));
  to.schema_changed = true;
}

} // namespace

sqlite_write_store::~sqlite_write_store() {
  // The log of files that were replaced must not be checkpointed into other files.
  auto is_known = in_use_ ? files_->verify(*this) == file_guard::verdict::intact : bool{use()};
  files_->part(*this);
  if (!is_known)
    release();
  close();
}

caf::expected<void> sqlite_write_store::open() {
  auto connected = connect();
  if (!connected)
    return files_->explain(std::move(connected.error()));
  return connected;
}

caf::expected<void> sqlite_write_store::connect() {
  auto descriptors = files_->take_descriptors();
  if (!descriptors)
    return std::move(descriptors.error());
  if (auto may = files_->before_open(); !may)
    return may;
  align_modes(path_);
  auto db = connection::open(path_, options_);
  if (!db)
    return std::move(db.error());
  auto made = std::make_unique<write_session>(std::move(*db), limits_, answers_, time_, ledger_settings_, known_);
  made->descriptors = std::move(*descriptors);
  wal_ = {};
  // The hook also disables automatic checkpoints, because there is only one hook.
  sqlite3_wal_hook(made->db.handle(), &note_frames, &wal_);
  // The first read opens the log.
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
    session_->db.keep_wal_on_close();
  return std::shared_ptr<write_session>{std::move(session_)};
}

// Ensures that the files at the path are those of the connection, if there is one. The other connections of this broker
// do not change that until `end_use`.
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
  files_->begin_request();
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

// Waits for the lock as long as the requests can, including the time to open the file.
caf::expected<void> sqlite_write_store::take_lock() {
  auto lock_timeout = std::exchange(lock_timeout_, busy_timeout_);
  options_.busy_timeout = lock_timeout;
  auto was_open = session_ != nullptr;
  auto opened = was_open ? caf::expected<void>{caf::unit} : open();
  options_.busy_timeout = busy_timeout_;
  if (!opened)
    return opened;
  auto hurries = lock_timeout < busy_timeout_;
  if (hurries && was_open)
    session_->db.set_busy_timeout(lock_timeout);
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
  // A reader may have detected it first.
  auto changed = files_->has_external_commit();
  if (changed)
    s.runner.forget_statements();
  if (auto entered = s.book.enter(changed); !entered)
    return entered;
  files_->take_external_commit();
  files_->take_replaced();
  ledger_is_new_ = s.book.created();
  found.next_seq = s.book.next_seq();
  found.new_epoch = s.book.begun_epoch();
  found.last_seq = s.book.last_seq();
  found.external_commit = changed;
  gone_ = false;
  return caf::unit;
}

bool sqlite_write_store::take_external_commit() {
  static_cast<void>(files_->check_place());
  return files_->take_external_commit();
}

caf::expected<std::optional<write_result>> sqlite_write_store::recall(const write_request& request) {
  if (!in_transaction())
    return no_transaction();
  auto found = request.idempotency_key.empty() ? std::optional<write_result>{} : session_->book.recall(request);
  if (found && !*found && request.migration)
    found = find_applied(session_->db, request);
  if (!found)
    return failed(std::move(found.error()));
  return found;
}

caf::expected<void> sqlite_write_store::remember(const write_request& request, const write_result& result) {
  if (!in_transaction())
    return no_transaction();
  auto kept =
    request.idempotency_key.empty() ? caf::expected<void>{caf::unit} : session_->book.remember(request, result);
  if (kept && request.migration)
    kept = record_applied(session_->db, request, result, wall_us(time_));
  if (!kept)
    return failed(std::move(kept.error()));
  return kept;
}

caf::expected<executed_write> sqlite_write_store::execute(const write_request& request, clock::steady deadline) {
  if (!in_transaction())
    return no_transaction();
  auto begin = time_.now();
  auto result = session_->runner.run(request, deadline);
  heap_policy::statement_ended(time_.now() - begin);
  if (result) {
    result->schema_changed |= std::exchange(ledger_is_new_, false);
    if (request.migration)
      add_migrations_table(*result);
    return result;
  }
  was_rolled_back_ = true;
  if (session_->runner.spoilt())
    close();
  else if (!in_transaction())
    session_->book.lost();
  return result;
}

caf::error sqlite_write_store::failed(int code) {
  auto error = to_error(session_->db.handle(), code);
  if (spoils_connection(code))
    close();
  return error;
}

caf::error sqlite_write_store::failed(caf::error error) {
  if (spoils_connection(code_of(error)))
    close();
  return error;
}

void sqlite_write_store::rollback() noexcept {
  was_rolled_back_ = true;
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

caf::expected<uint64_t> sqlite_write_store::prune_keys() {
  return prune([](ledger& book) { return book.has_old_keys(); },
               [](ledger& book) { return book.forget_old_keys(pruned_at_once); });
}

caf::expected<write_store::removed_commits> sqlite_write_store::prune_commits(uint64_t first_kept) {
  removed_commits result;
  auto remove = [&](ledger& book) -> caf::expected<uint64_t> {
    auto removed = book.prune(first_kept);
    if (!removed)
      return std::move(removed.error());
    result = {removed->count, removed->has_more};
    return removed->count;
  };
  auto is_ready = [this](ledger& book) { return ledger_settings_.retention.is_limited() && book.ready(); };
  if (auto removed = prune(is_ready, remove); !removed)
    return std::move(removed.error());
  return result;
}

// Runs `remove`, which returns how much it has removed, in a transaction of its own, if `is_due`.
template <class IsDue, class Remove> caf::expected<uint64_t> sqlite_write_store::prune(IsDue is_due, Remove remove) {
  if (in_transaction())
    return uint64_t{0};
  auto was_open = session_ != nullptr;
  if (auto may = use(); !may)
    return std::move(may.error());
  // No connection has a log open that was removed and has just been restored, so it could not be saved again.
  if (was_open && !session_ && !files_->is_replaced())
    if (auto opened = open(); !opened)
      return failed(std::move(opened.error()));
  auto removed = session_ && is_due(session_->book) ? prune_in_use(remove) : caf::expected<uint64_t>{uint64_t{0}};
  end_use();
  return removed;
}

// A transaction of its own, so that the guard recognizes it as the broker's.
template <class Remove> caf::expected<uint64_t> sqlite_write_store::prune_in_use(Remove remove) {
  auto& s = *session_;
  auto code = s.begin.step_code();
  s.begin.reset();
  if (code != SQLITE_DONE)
    return failed(code);
  // The next write handles commits of other programs.
  files_->see_commits(s.db.handle(), true);
  auto removed = files_->has_external_commit() ? caf::expected<uint64_t>{uint64_t{0}} : remove(s.book);
  if (!removed || *removed == 0) {
    rollback();
    return removed ? removed : failed(std::move(removed.error()));
  }
  files_->expect_commit(s.db.handle());
  code = s.commit.step_code();
  s.commit.reset();
  if (code == SQLITE_DONE)
    return removed;
  files_->forget_commit();
  auto error = failed(code);
  rollback();
  return error;
}

caf::expected<std::string> sqlite_write_store::explain(std::span<const statement> statements) {
  if (auto may = use(); !may)
    return std::move(may.error());
  auto plan = session_ ? query_plan(session_->db, statements)
                       : caf::expected<std::string>{make_error(errc::unavailable, "the database is not open")};
  end_use();
  return plan;
}

bool sqlite_write_store::close_idle() {
  if (files_->is_open_elsewhere(*this))
    return false;
  if (!is_open()) {
    if (files_->check_place())
      remove_wal_files(path_);
    files_->release_folder();
    return true;
  }
  if (!use())
    return false;
  auto is_emptied = session_ && checkpoint_in_use(checkpoint_mode::truncate) && session_ && wal_.frames == 0;
  if (is_emptied) {
    files_->see_commits(session_->db.handle(), false);
    files_->close_idle(*this, [this] { session_.reset(); });
  }
  end_use();
  return is_emptied || !is_open();
}

std::unique_ptr<write_store> make_write_store(std::filesystem::path path, const broker_config& config,
                                              const clock& time, ledger_standing known,
                                              std::shared_ptr<file_guard> files, std::shared_ptr<answer_budget> answers,
                                              std::filesystem::path key_file) {
  if (!files)
    files = std::make_shared<file_guard>(path);
  return std::make_unique<sqlite_write_store>(std::move(path), config, time, std::move(known), std::move(files),
                                              given_or_own(std::move(answers), config), std::move(key_file));
}

} // namespace sluice::sqlite
