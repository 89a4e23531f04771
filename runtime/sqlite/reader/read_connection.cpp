#include "runtime/sqlite/reader/read_connection.hpp"

#include "runtime/sqlite/core/allocation_bound.hpp"
#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/core/text_encoding.hpp"
#include "runtime/sqlite/files/journal_recovery.hpp"
#include "runtime/sqlite/functions/bounded_functions.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

namespace sluice::sqlite {

namespace {

// One instruction may take tens of milliseconds with values of the largest size.
constexpr int steps_between_checks = 100;

} // namespace

read_connection::read_connection(std::filesystem::path path, const broker_config& config, const clock& time,
                                 std::function<void()> on_recovery, std::shared_ptr<file_guard> files)
  : path_(std::move(path)), time_(time), on_recovery_(std::move(on_recovery)),
    files_(files ? std::move(files) : std::make_shared<file_guard>(path_)), max_value_bytes_(config.max_value_bytes),
    busy_timeout_(config.busy_timeout) {
  options_.mode = open_mode::read_only;
  options_.synchronous = config.synchronous;
  options_.busy_timeout = config.busy_timeout;
  options_.page_cache_bytes = config.page_cache_bytes;
  files_->join(*this);
}

caf::expected<void> read_connection::connect() {
  auto descriptors = files_->take_descriptors();
  if (!descriptors)
    return std::move(descriptors.error());
  if (auto may = files_->before_open(); !may)
    return may;
  database_stamp before{path_};
  auto db = connection::open(path_, options_);
  auto is_immutable = !db && is_readable_as_immutable(path_, db.error());
  if (is_immutable) {
    auto options = options_;
    options.immutable = true;
    db = connection::open(path_, options);
  }
  if (!db)
    return unreadable_wal(path_, std::move(db.error()));
  unchanged_ = is_immutable ? std::optional{before} : std::nullopt;
  db->limit_values(max_value_bytes_);
  if (auto bounded = bound_functions(*db, {max_value_bytes_}, [this] { return is_due(); }); !bounded)
    return bounded;
  auto made = std::make_unique<read_session>(std::move(*db));
  made->descriptors = std::move(*descriptors);
  if (auto done = prepare_all(made->db, {{&made->begin, "BEGIN"},
                                         {&made->commit, "COMMIT"},
                                         {&made->touch_schema, "SELECT 1 FROM sqlite_schema LIMIT 1"},
                                         {&made->schema_version, "PRAGMA schema_version"}});
      !done)
    return done;
  sqlite3_progress_handler(made->db.handle(), steps_between_checks, &read_connection::on_progress, this);
  session_ = std::move(made);
  session_->is_in_wal_mode = !unchanged_ && session_->db.is_in_wal_mode();
  // SQLite's number does not count commits of other programs while the file was closed, so the guard's number is added.
  session_->data_version = data_version(session_->db) + (files_->external_commits() == external_commits_ ? 0U : 1U);
  auto known = files_->opened(*this);
  if (!known)
    session_.reset();
  return known;
}

caf::expected<void> read_connection::open(std::chrono::milliseconds lock_timeout) {
  if (session_ && unchanged_ && database_stamp{path_} != *unchanged_)
    close();
  auto hurries = lock_timeout < busy_timeout_;
  options_.busy_timeout = hurries ? lock_timeout : busy_timeout_;
  if (!session_) {
    if (auto opened = connect(); !opened)
      return files_->explain(std::move(opened.error()));
  } else if (hurries || hurried_) {
    session_->db.set_busy_timeout(options_.busy_timeout);
  }
  hurried_ = hurries;
  return caf::unit;
}

void read_connection::close() noexcept {
  session_.reset();
  files_->closed(*this);
}

bool read_connection::end_use(const caf::error& error) noexcept {
  // Results are invalid if they come from other files, or were interrupted because of those.
  auto is_current = files_->is_current(*this);
  // Another user may change a file while this connection reads it as immutable.
  auto is_unchanged = !session_ || !unchanged_ || database_stamp{path_} == *unchanged_;
  if (session_ && (!is_unchanged || (error && spoils_connection(code_of(error)))))
    close();
  files_->leave(*this);
  return is_current && is_unchanged;
}

// Whether another program has committed since this reader last reported one, and the answer may include that commit.
// Each reader reports it, because the order of their answers is unknown.
bool read_connection::sees_external_commit() {
  auto& s = *session_;
  if (s.is_in_wal_mode) {
    auto seen = files_->see_commits(s.db.handle(), false);
    return std::exchange(external_commits_, seen) != seen;
  }
  auto version = data_version(s.db);
  if (std::exchange(s.data_version, version) == version)
    return false;
  // The writer may have converted it to WAL mode.
  s.is_in_wal_mode = s.db.is_in_wal_mode();
  if (!s.is_in_wal_mode)
    external_commits_ = files_->note_external_commit();
  return !s.is_in_wal_mode;
}

int read_connection::on_progress(void* self) noexcept { return static_cast<read_connection*>(self)->is_due(); }

caf::expected<cached_statement*> read_connection::prepare(const sql_text& sql) {
  // Running a statement makes SQLite load the schema again if it has changed.
  if (auto loaded = session_->touch_schema.run(); !loaded)
    return std::move(loaded.error());
  auto version = schema_version();
  if (!version)
    return std::move(version.error());
  auto bound = allocation_bound::by<read_connection, &read_connection::is_due>(*this);
  auto result = session_->statements.find_or_prepare(sql);
  if (bound.is_over())
    return failed(SQLITE_INTERRUPT);
  if (result)
    (*result)->schema_version = *version;
  return result;
}

caf::expected<int64_t> read_connection::schema_version() {
  auto& stmt = session_->schema_version;
  execution running{stmt};
  auto row = stmt.step();
  if (!row)
    return std::move(row.error());
  return stmt.integer(0);
}

caf::error read_connection::failed(int code) const {
  return to_error(session_->db.handle(), code,
                  cancel_ && cancel_->cancelled() ? errc::cancelled : errc::deadline_exceeded);
}

caf::expected<bool> read_connection::recover_from(const caf::error& error) const {
  auto code = code_of(error);
  if ((code != errc::read_only && code != errc::io_error) || !has_rollback_journal(path_))
    return false;
  auto recovered = recover_journal(path_, options_.busy_timeout);
  if (!recovered)
    return std::move(recovered.error());
  if (*recovered && on_recovery_)
    on_recovery_();
  return true;
}

caf::expected<bool> append_row(cached_statement& prepared, uint64_t max_bytes, const answer_budget& budget,
                               budgeted_rows& to) {
  auto& rows = to.rows;
  auto columns = static_cast<int>(prepared.columns->size());
  for (int i = 0; i < columns; ++i) {
    auto cells = static_cast<size_t>(i);
    // Checked before the copy: one value may exceed the bound.
    auto bytes = rows.footprint() + prepared.stmt.column_footprint(i);
    auto is_exact = !prepared.stmt.has_inexact_text();
    if (is_exact && bytes <= max_bytes && to.share.grow_to(bytes)) {
      rows.append(prepared.stmt.column(i));
      continue;
    }
    rows.drop_last(cells);
    if (!is_exact)
      return inexact_text((*prepared.columns)[cells]);
    if (bytes > max_bytes)
      return false;
    return budget.used_up();
  }
  return true;
}

caf::expected<statement_rows> collect_rows(const read_connection& connection, cached_statement& prepared,
                                           const read_limits& limits, uint64_t max_answer_bytes,
                                           answer_budget& budget) {
  statement_rows result;
  auto answer = std::make_shared<budgeted_rows>(budget.open(), rowset{prepared.columns});
  auto& rows = answer->rows;
  auto max_bytes = std::min(limits.max_bytes, max_answer_bytes);
  for (uint64_t count = 0;; ++count) {
    auto code = prepared.stmt.step_code();
    if (code == SQLITE_DONE)
      break;
    if (code != SQLITE_ROW)
      return connection.failed(code);
    if (count == limits.max_rows) {
      result.truncated = true;
      break;
    }
    auto is_taken = append_row(prepared, max_bytes, budget, *answer);
    if (!is_taken)
      return std::move(is_taken.error());
    result.truncated = !*is_taken;
    if (result.truncated)
      break;
  }
  // A statement that was prepared again may have more or other columns.
  if (prepared.stmt.column_count() != static_cast<int>(prepared.columns->size()))
    rows = {};
  answer->share.shrink_to(rows.footprint());
  result.rows = std::shared_ptr<const rowset>{answer, &rows};
  return result;
}

} // namespace sluice::sqlite
