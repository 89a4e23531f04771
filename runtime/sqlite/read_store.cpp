#include "runtime/sqlite/read_store.hpp"

#include "runtime/sqlite/binding.hpp"
#include "runtime/sqlite/bounded_functions.hpp"
#include "runtime/sqlite/busy_error.hpp"
#include "runtime/sqlite/journal_recovery.hpp"
#include "runtime/sqlite/query_plan.hpp"
#include "runtime/sqlite/read_only_place.hpp"
#include "runtime/sqlite/result_code.hpp"
#include "runtime/sqlite/read_session.hpp"
#include "runtime/sqlite/text_encoding.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <new>
#include <optional>
#include <utility>

namespace sluice::sqlite {

namespace {

// One instruction may take tens of milliseconds with values of the largest size.
constexpr int steps_between_checks = 100;
// How often a statement is prepared anew before a schema that changes all the time counts as busy.
constexpr int max_attempts = 5;
constexpr size_t large_answer = 8U << 20U;

class sqlite_read_store final : public read_store, private file_guard::user {
public:
  sqlite_read_store(std::filesystem::path path, const broker_config& config, const clock& time,
                    std::function<void()> on_recovery, std::shared_ptr<file_guard> files,
                    std::shared_ptr<answer_budget> answers)
    : path_(std::move(path)), time_(time), on_recovery_(std::move(on_recovery)), files_(std::move(files)),
      answers_(std::move(answers)) {
    files_->join(*this);
    options_.mode = open_mode::read_only;
    options_.synchronous = config.synchronous;
    busy_timeout_ = config.busy_timeout;
    options_.page_cache_bytes = config.page_cache_bytes;
    max_value_bytes_ = config.max_value_bytes;
    max_answer_bytes_ = config.max_answer_bytes;
  }

  ~sqlite_read_store() override { files_->part(*this); }

  caf::expected<executed_read> run(const read_request& request, const read_limits& limits) override;
  caf::expected<std::string> explain(const statement& query) override;
  void close_idle() noexcept override { files_->close_idle(*this); }

private:
  sqlite3* handle() const noexcept override { return session_ ? session_->db.handle() : nullptr; }
  std::shared_ptr<void> release() noexcept override { return std::shared_ptr<read_session>{std::move(session_)}; }
  bool is_writer() const noexcept override { return false; }

  caf::expected<void> open();
  void close() noexcept;
  caf::expected<executed_read> run_recovered(const read_request& request, const read_limits& limits);
  caf::expected<executed_read> run_current(const read_request& request, const read_limits& limits);
  caf::expected<executed_read> run_with_memory(const read_request& request, const read_limits& limits);
  caf::expected<executed_read> run_in_use(const read_request& request, const read_limits& limits);
  bool sees_external_commit();
  void tell_changes(executed_read& x) {
    x.files_replaced = files_->take_replaced();
    x.external_commit = sees_external_commit() || x.files_replaced;
  }
  caf::expected<executed_read> attempt(const read_request& request, const read_limits& limits);
  caf::expected<cached_statement*> find(const sql_text& sql);
  caf::expected<cached_statement*> prepare(const sql_text& sql);
  caf::expected<int64_t> schema_version();
  caf::error collect(cached_statement& x, const read_limits& limits, read_result& result);
  caf::expected<bool> still_valid(cached_statement& x);
  caf::error failed(int code);

  bool is_due() const { return cancel_ && (cancel_->cancelled() || time_.now() >= deadline_); }
  static int on_progress(void* self) noexcept { return static_cast<sqlite_read_store*>(self)->is_due(); }

  std::filesystem::path path_;
  const clock& time_;
  const std::function<void()> on_recovery_;
  connection_options options_;
  std::shared_ptr<file_guard> files_;
  std::shared_ptr<answer_budget> answers_;
  uint64_t max_value_bytes_ = 0;
  uint64_t max_answer_bytes_ = 0;
  std::chrono::milliseconds busy_timeout_{0};
  // Whether the session waits for locks for a shorter time than that.
  bool hurried_ = false;
  // Of a file that is read as one that nobody changes.
  std::optional<database_stamp> unchanged_;
  std::unique_ptr<read_session> session_;
  uint64_t external_commits_ = 0;
  // Of the read under way.
  clock::steady deadline_{};
  const cancel_token* cancel_ = nullptr;
};

caf::expected<void> sqlite_read_store::open() {
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
  if (auto done = prepare_all(made->db, {{&made->begin, "BEGIN"},
                                         {&made->commit, "COMMIT"},
                                         {&made->touch_schema, "SELECT 1 FROM sqlite_schema LIMIT 1"},
                                         {&made->schema_version, "PRAGMA schema_version"}});
      !done)
    return done;
  sqlite3_progress_handler(made->db.handle(), steps_between_checks, &sqlite_read_store::on_progress, this);
  session_ = std::move(made);
  session_->has_log = !unchanged_ && session_->db.has_log();
  // A commit of another program that came while the file was closed does not show in this number.
  session_->data_version =
    data_version(session_->db) + (files_->external_commits() == external_commits_ ? 0U : 1U);
  auto known = files_->opened(*this);
  if (!known)
    session_.reset();
  return known;
}

void sqlite_read_store::close() noexcept {
  session_.reset();
  files_->closed(*this);
}

// Whether another program has committed since this reader has last said so, and the answer may show it. Each reader
// says it, since nobody knows whose answer comes first.
bool sqlite_read_store::sees_external_commit() {
  auto& s = *session_;
  if (s.has_log) {
    auto seen = files_->see_commits(s.db.handle(), false);
    return std::exchange(external_commits_, seen) != seen;
  }
  auto version = data_version(s.db);
  if (std::exchange(s.data_version, version) == version)
    return false;
  // The writer may have given it a log.
  s.has_log = s.db.has_log();
  if (!s.has_log)
    external_commits_ = files_->note_external_commit();
  return !s.has_log;
}

caf::expected<executed_read> sqlite_read_store::run(const read_request& request, const read_limits& limits) {
  if (request.cancel.cancelled())
    return make_error(errc::cancelled, "the request was cancelled before it ran");
  auto begin = time_.now();
  deadline_ = begin + limits.timeout;
  cancel_ = &request.cancel;
  auto result = run_recovered(request, limits);
  // SQLite looks at the clock between instructions only, and not after the last one.
  if (result && is_due())
    result = to_error(nullptr, SQLITE_INTERRUPT, errc::deadline_exceeded);
  cancel_ = nullptr;
  // An interrupt may come when BEGIN has taken effect. Whatever is read next would be of the same snapshot.
  if (session_ && session_->db.in_transaction())
    close();
  // What is interrupted before the query itself, while it is prepared, does not know why.
  if (!result && code_of(result.error()) == errc::deadline_exceeded && request.cancel.cancelled())
    result = to_error(nullptr, SQLITE_INTERRUPT, errc::cancelled);
  if (result)
    result->busy_us =
      static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(time_.now() - begin).count());
  return result;
}

caf::expected<executed_read> sqlite_read_store::run_recovered(const read_request& request, const read_limits& limits) {
  auto result = run_current(request, limits);
  // What a read-only connection cannot do: roll back what a killed program left half written.
  if (!result && (code_of(result.error()) == errc::read_only || code_of(result.error()) == errc::io_error)
      && has_rollback_journal(path_)) {
    auto recovered = recover_journal(path_, options_.busy_timeout);
    if (!recovered)
      return std::move(recovered.error());
    if (*recovered && on_recovery_)
      on_recovery_();
    result = run_current(request, limits);
  }
  if (!result && code_of(result.error()) == errc::busy)
    return busy_for(path_, result.error());
  return result;
}

// On the files that lie at the path, from the beginning to the end.
caf::expected<executed_read> sqlite_read_store::run_current(const read_request& request, const read_limits& limits) {
  for (auto i = 0; i < max_attempts; ++i) {
    if (auto may = files_->enter(*this); !may)
      return std::move(may.error());
    auto result = run_with_memory(request, limits);
    // What other files answered, or what was interrupted because there are others, says nothing.
    auto is_current = files_->is_current(*this);
    // Nothing keeps those who may write from changing what is read as immutable.
    auto is_unchanged = !session_ || !unchanged_ || database_stamp{path_} == *unchanged_;
    if (session_ && (!is_unchanged || (!result && spoils_connection(code_of(result.error())))))
      close();
    files_->leave(*this);
    if ((is_current && is_unchanged) || time_.now() >= deadline_)
      return result;
  }
  return make_error(errc::busy, "the files of this database keep changing while it is read");
}

// A reader that ended of one answer would take the others' answers with it.
caf::expected<executed_read> sqlite_read_store::run_with_memory(const read_request& request,
                                                                const read_limits& limits) {
  try {
    return run_in_use(request, limits);
  } catch (const std::bad_alloc&) {
    return to_error(nullptr, SQLITE_NOMEM);
  }
}

caf::expected<executed_read> sqlite_read_store::run_in_use(const read_request& request, const read_limits& limits) {
  if (session_ && unchanged_ && database_stamp{path_} != *unchanged_)
    close();
  // Neither opening nor waiting for a lock may outlast the time of the read.
  auto hurries = limits.timeout < busy_timeout_;
  options_.busy_timeout = hurries ? limits.timeout : busy_timeout_;
  if (!session_) {
    if (auto opened = open(); !opened)
      return std::move(opened.error());
  } else if (hurries || hurried_) {
    session_->db.set_busy_timeout(options_.busy_timeout);
  }
  hurried_ = hurries;
  auto result = attempt(request, limits);
  if (!result)
    return result;
  tell_changes(*result);
  // The pages of so much will hardly be what is read next, and may be as much again.
  if (result->result.rows->footprint() >= large_answer)
    sqlite3_db_release_memory(session_->db.handle());
  return result;
}

caf::expected<executed_read> sqlite_read_store::attempt(const read_request& request, const read_limits& limits) {
  for (auto i = 0; i < max_attempts; ++i) {
    auto found = find(request.query.sql);
    if (!found)
      return std::move(found.error());
    auto& x = **found;
    auto failed = false;
    if (!x.facts.read_only)
      return make_error(errc::invalid_request, "this statement writes; send it as a write");
    executed_read result;
    {
      execution running{x.stmt};
      auto why = bind_parameters(x, request.query.params);
      if (!why)
        why = collect(x, limits, result.result);
      if (why && (i > 0 || !needs_prepare(why)))
        return why;
      failed = static_cast<bool>(why);
    }
    if (failed) {
      session_->statements.erase(request.query.sql);
      continue;
    }
    auto valid = still_valid(x);
    if (!valid)
      return std::move(valid.error());
    if (!*valid)
      continue;
    result.reads = x.facts.reads;
    return result;
  }
  return make_error(errc::busy, "the schema of this database keeps changing");
}

caf::expected<cached_statement*> sqlite_read_store::find(const sql_text& sql) {
  if (auto* found = session_->statements.find(sql))
    return found;
  // One snapshot for everything, so that what is found out about the statement is true of one version of the schema.
  auto& s = *session_;
  auto begun = s.begin.run();
  if (!begun)
    return std::move(begun.error());
  auto result = prepare(sql);
  auto ended = s.commit.run();
  if (result && !ended)
    return std::move(ended.error());
  return result;
}

caf::expected<cached_statement*> sqlite_read_store::prepare(const sql_text& sql) {
  // Running it makes SQLite load the schema again if it has changed.
  if (auto loaded = session_->touch_schema.run(); !loaded)
    return std::move(loaded.error());
  auto version = schema_version();
  if (!version)
    return std::move(version.error());
  auto result = session_->statements.find_or_prepare(sql);
  if (result)
    (*result)->schema_version = *version;
  return result;
}

caf::expected<int64_t> sqlite_read_store::schema_version() {
  auto& stmt = session_->schema_version;
  execution running{stmt};
  auto row = stmt.step();
  if (!row)
    return std::move(row.error());
  return stmt.integer(0);
}

// Whether what is known about `x` was still true when it ran. SQLite prepares a statement anew, while it runs, when the
// schema has changed, and for other reasons, too.
caf::expected<bool> sqlite_read_store::still_valid(cached_statement& x) {
  auto count = prepared_anew(x.stmt);
  if (count == x.prepared_anew)
    return true;
  auto version = schema_version();
  if (!version)
    return std::move(version.error());
  x.prepared_anew = count;
  if (*version == x.schema_version)
    return true;
  session_->statements.clear();
  return false;
}

caf::error sqlite_read_store::collect(cached_statement& x, const read_limits& limits, read_result& result) {
  auto answer = std::make_shared<budgeted_rows>(answers_->open(), rowset{x.columns});
  auto& rows = answer->rows;
  auto columns = static_cast<int>(x.columns->size());
  auto max_bytes = std::min(limits.max_bytes, max_answer_bytes_);
  for (uint64_t count = 0;; ++count) {
    auto code = x.stmt.step_code();
    if (code == SQLITE_DONE)
      break;
    if (code != SQLITE_ROW)
      return failed(code);
    result.truncated = count == limits.max_rows;
    for (int i = 0; i < columns && !result.truncated; ++i) {
      // Looked at before it is copied: one value may be larger than everything that is wanted.
      auto bytes = rows.footprint() + x.stmt.column_footprint(i);
      result.truncated = bytes > max_bytes;
      if (x.stmt.has_inexact_text())
        return inexact_text((*x.columns)[static_cast<size_t>(i)]);
      if (result.truncated)
        rows.drop_last(static_cast<size_t>(i));
      else if (!answer->share.grow_to(bytes))
        return answers_->used_up();
      else
        rows.append(x.stmt.column(i));
    }
    if (result.truncated)
      break;
  }
  // A statement that was prepared anew may have more or other columns than it had.
  if (x.stmt.column_count() != columns)
    rows = {};
  answer->share.settle(rows.footprint());
  result.rows = std::shared_ptr<const rowset>{answer, &rows};
  return {};
}

caf::error sqlite_read_store::failed(int code) {
  return to_error(session_->db.handle(), code, cancel_->cancelled() ? errc::cancelled : errc::deadline_exceeded);
}

caf::expected<std::string> sqlite_read_store::explain(const statement& query) {
  if (auto may = files_->enter(*this); !may)
    return std::move(may.error());
  auto plan = session_ ? query_plan(session_->db, {&query, 1})
                       : caf::expected<std::string>{make_error(errc::unavailable, "the database is not open")};
  files_->leave(*this);
  return plan;
}

} // namespace

std::unique_ptr<read_store> make_read_store(std::filesystem::path path, const broker_config& config, const clock& time,
                                            std::function<void()> on_recovery, std::shared_ptr<file_guard> files,
                                            std::shared_ptr<answer_budget> answers) {
  if (!files)
    files = std::make_shared<file_guard>(path);
  if (!answers)
    answers = make_answer_budget(config);
  return std::make_unique<sqlite_read_store>(std::move(path), config, time, std::move(on_recovery), std::move(files),
                                             std::move(answers));
}

} // namespace sluice::sqlite
