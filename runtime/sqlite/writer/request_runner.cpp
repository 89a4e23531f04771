#include "runtime/sqlite/writer/request_runner.hpp"

#include "actors/base/counted.hpp"
#include "runtime/sqlite/core/allocation_bound.hpp"
#include "runtime/sqlite/core/binding.hpp"
#include "runtime/sqlite/core/bounded_program.hpp"
#include "runtime/sqlite/core/double_quotes.hpp"
#include "runtime/sqlite/core/foreign_keys.hpp"
#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/core/text_encoding.hpp"
#include "runtime/sqlite/functions/bounded_functions.hpp"
#include "runtime/sqlite/writer/terms_binding.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <limits>
#include <new>
#include <optional>
#include <string>

namespace sluice::sqlite {

namespace {

// One instruction may take tens of milliseconds with values of the largest size.
constexpr int steps_per_due_check = 100;

// SQLite's own count of row changes. It includes changes that SQLite does not roll back after an error.
int64_t total_changes(const connection& db) noexcept { return sqlite3_total_changes64(db.handle()); }

// Keeps last_insert_rowid() correct: tells the value of an INSERT from an earlier one.
class rowid_watch {
public:
  rowid_watch(sqlite3* db, const statement_facts& facts) : db_(db), facts_(facts) {
    if (!facts.inserts || facts.uses_last_rowid)
      return;
    before_ = sqlite3_last_insert_rowid(db);
    if (before_ != 0)
      sqlite3_set_last_insert_rowid(db, 0);
  }

  int64_t inserted(int64_t changes) const noexcept {
    return facts_.inserts && changes > 0 ? sqlite3_last_insert_rowid(db_) : 0;
  }

  ~rowid_watch() {
    if (before_ != 0 && sqlite3_last_insert_rowid(db_) == 0)
      sqlite3_set_last_insert_rowid(db_, before_);
  }

  rowid_watch(const rowid_watch&) = delete;
  rowid_watch& operator=(const rowid_watch&) = delete;

private:
  sqlite3* db_;
  const statement_facts& facts_;
  int64_t before_ = 0;
};

// The statement `number`, from 1, as error messages name it: `0003_add_rating.sql:7`.
std::string place_of(size_t number, const write_request& request) {
  const auto* file = request.migration.get();
  if (file && number <= file->lines.size())
    return file->name + ":" + std::to_string(file->lines[number - 1]);
  return "statement " + std::to_string(number);
}

} // namespace

// One execution of one request.
struct request_runner::attempt {
  bool several = false;
  bool in_savepoint = false;
  // With foreign keys off: the violations before the request. The request then has a savepoint, because the check
  // follows all statements.
  std::optional<foreign_key_violations> violations;
  // A statement has changed the setup of the connection.
  bool used_pragma = false;
  int64_t changes_before = 0;
  // The only statement of the request; it will run in a savepoint from now on if necessary.
  cached_statement* single = nullptr;
  // Every statement ran to its end.
  bool complete = false;
  uint64_t rows = 0;
  uint64_t bytes = 0;
  // What is bound to the running statement, if it takes values that others have returned.
  parameters kept;
  executed_write result;
};

request_runner::request_runner(connection& db, request_limits limits, std::shared_ptr<answer_budget> answers,
                               const clock& time)
  : db_(db), time_(time), limits_(limits), answers_(std::move(answers)), returned_(answers_->open()), analyzer_(db),
    statements_(analyzer_), tracker_(db) {
  // These fail only if memory is lacking; the missing function or statement then reports that when it is run.
  functions_ = bound_functions(db, {limits.max_value_bytes}, [this] { return is_due(); });
  static_cast<void>(prepare_all(db, {{&savepoint_, "SAVEPOINT sluice_request"},
                                     {&release_, "RELEASE sluice_request"},
                                     {&rollback_to_, "ROLLBACK TO sluice_request"},
                                     {&rollback_, "ROLLBACK"},
                                     {&schema_version_, "PRAGMA schema_version"}}));
  sqlite3_progress_handler(db.handle(), steps_per_due_check, &request_runner::on_progress, this);
}

request_runner::~request_runner() { sqlite3_progress_handler(db_.handle(), 0, nullptr, nullptr); }

int request_runner::on_progress(void* self) noexcept { return static_cast<request_runner*>(self)->is_due(); }

caf::expected<executed_write> request_runner::run(const write_request& request, clock::steady deadline) {
  if (!functions_)
    return functions_.error();
  if (request.statements.empty())
    return make_error(errc::invalid_request, "a write needs at least one statement");
  attempt now;
  now.several = request.statements.size() > 1;
  now.changes_before = total_changes(db_);
  // Foreign keys that were off are checked in the whole database.
  now.result.is_bounded = request.enforce_foreign_keys;
  now.result.results.reserve(request.statements.size());
  tracker_.start();
  // Hides the row ids of other agents.
  sqlite3_set_last_insert_rowid(db_.handle(), 0);
  deadline_ = deadline;
  ticket_ = request.ticket.get();
  max_rows_ = request.max_rows == 0 ? limits_.max_rows : std::min<uint64_t>(limits_.max_rows, request.max_rows);
  db_.limit_values(limits_.max_value_bytes);
  auto reason = request.enforce_foreign_keys ? run_all(request, now) : run_unenforced(request, now);
  db_.limit_values(std::numeric_limits<uint64_t>::max());
  deadline_ = clock::steady::max();
  ticket_ = nullptr;
  if (reason)
    undo(now);
  if (now.violations)
    enforce_keys(true);
  // Otherwise the setting would apply to the requests of others until the end of the transaction. There are no counted
  // violations that this would drop.
  if (now.used_pragma)
    static_cast<void>(db_.exec("PRAGMA defer_foreign_keys = OFF"));
  statements_.drop_if_large();
  if (reason)
    return reason;
  // SQLite's hook misses most changes to the schema; the ledger records them as a table name.
  if (now.result.schema_changed)
    tracker_.touch("sqlite_schema");
  now.result.tables = tracker_.touched();
  return std::move(now.result);
}

caf::error request_runner::run_unenforced(const write_request& request, attempt& now) {
  auto before = foreign_key_violations::find(db_);
  if (!before)
    return std::move(before.error());
  now.violations = std::move(*before);
  enforce_keys(false);
  return run_all(request, now);
}

void request_runner::enforce_keys(bool enforces) noexcept {
  enforce_foreign_keys(db_, enforces);
  // The effects of prepared statements depend on the setting.
  forget_statements();
}

caf::error request_runner::run_all(const write_request& request, attempt& now) {
  if ((now.several || now.violations) && !(now.in_savepoint = command(savepoint_)))
    return failed(sqlite3_extended_errcode(db_.handle()));
  size_t number = 0;
  for (const auto& statement : request.statements) {
    ++number;
    auto reason = run_one(statement, now);
    if (!reason)
      continue;
    if (!now.several && !request.migration)
      return reason;
    auto error = describe(reason);
    error.message = place_of(number, request) + ": " + error.message;
    return make_error(std::move(error));
  }
  now.complete = true;
  return finish(now);
}

caf::expected<cached_statement*> request_runner::prepare(const sql_text& sql) {
  auto bound = allocation_bound::by<request_runner, &request_runner::is_due>(*this);
  auto result = statements_.find_or_prepare(sql);
  if (bound.is_over())
    return failed(SQLITE_INTERRUPT);
  return result;
}

// Checked only after several uses: many statements contain their values and are used once.
bool request_runner::is_bounded(cached_statement& prepared) const {
  constexpr uint32_t seldom = 3;
  if (prepared.facts.changes_schema || prepared.facts.single_use || !prepared.facts.written_virtual.empty())
    return false;
  if (!prepared.is_bounded) {
    if (++prepared.uses <= seldom)
      return false;
    prepared.is_bounded = is_bounded_by_its_form(db_, prepared.sql.str());
  }
  return *prepared.is_bounded;
}

caf::error request_runner::run_one(const statement& statement, attempt& now) {
  auto found = prepare(statement.sql);
  if (!found)
    return std::move(found.error());
  auto& prepared = **found;
  now.result.is_bounded = now.result.is_bounded && is_bounded(prepared);
  if (!now.several) {
    now.single = &prepared;
    auto needs_savepoint = prepared.needs_savepoint || statement.expected_changes
                           || !prepared.facts.dropped_table.empty() || !prepared.facts.created.empty();
    if (needs_savepoint && !now.in_savepoint && !(now.in_savepoint = command(savepoint_)))
      return failed(sqlite3_extended_errcode(db_.handle()));
  }
  // The statement has already acted.
  now.used_pragma |= prepared.facts.single_use;
  auto version = prepared.facts.changes_schema ? schema_version() : 0;
  auto total = prepared.facts.written_virtual.empty() ? 0 : total_changes(db_);
  auto& out = now.result.results.emplace_back();
  auto reason = statement.terms ? bind_on_terms(statement, prepared, now.result.results, now.kept)
                                : bind_parameters(prepared, statement.params);
  if (!reason)
    reason = prepared.facts.dropped_table.empty() ? execute(prepared, now, out) : execute_drop(prepared, now, out);
  if (!reason)
    reason = check_changes(statement, out);
  prepared.stmt.reset();
  if (prepared.facts.single_use)
    now.single = nullptr;
  if (reason) {
    if (prepared.facts.single_use)
      statements_.erase(statement.sql);
    return reason;
  }
  if (!prepared.facts.written_virtual.empty() && total_changes(db_) != total)
    for (const auto& table : prepared.facts.written_virtual)
      tracker_.touch(table);
  if (prepared.facts.changes_schema && schema_version() != version) {
    now.result.schema_changed = true;
    schema_in_doubt_ = true;
    now.single = nullptr;
    auto created = prepared.facts.created;
    forget_statements();
    if (!created.empty())
      return check_created(created);
  } else if (prepared.facts.single_use) {
    statements_.erase(statement.sql);
  }
  return {};
}

caf::error request_runner::check_changes(const statement& statement, const statement_result& out) {
  if (!statement.expected_changes || *statement.expected_changes == static_cast<uint64_t>(out.changes))
    return {};
  return make_error(errc::conflict, "changed " + counted(static_cast<size_t>(out.changes), "row") + ", expected "
                                      + std::to_string(*statement.expected_changes)
                                      + "; nothing of the request is applied");
}

// SQLite looks up the columns of a view or trigger only when it is used; a request must not contain text in double
// quotes nevertheless.
caf::error request_runner::check_created(const std::string& object) {
  auto dependent = find_double_quoted_text(db_);
  if (!dependent)
    return std::move(dependent.error());
  if (std::find(dependent->begin(), dependent->end(), object) == dependent->end())
    return {};
  return make_error(errc::sql_error, "the " + object
                                       + " has a name in double quotes that is no column: write text in "
                                         "single quotes");
}

// SQLite deletes the rows of a table that it drops, with all effects of the deletion on other tables.
caf::error request_runner::execute_drop(cached_statement& prepared, attempt& now, statement_result& out) {
  tracker_.watch();
  auto reason = execute(prepared, now, out);
  auto others = other_tables(tracker_.watched(), prepared.facts.dropped_table);
  if (reason)
    return code_of(reason) == errc::constraint ? drop_violates(prepared.facts.dropped_table) : reason;
  return others.empty() ? caf::error{} : drop_would_cascade(prepared.facts.dropped_table, others);
}

caf::error request_runner::execute(cached_statement& prepared, attempt& now, statement_result& out) {
  rowid_watch rowid{db_.handle(), prepared.facts};
  if (!prepared.columns->empty())
    out.rows = rowset{prepared.columns};
  for (;;) {
    auto code = prepared.stmt.step_code();
    if (code == SQLITE_DONE)
      break;
    if (code != SQLITE_ROW)
      return failed(code);
    try {
      if (auto reason = collect_row(prepared, now, out))
        return reason;
    } catch (const std::bad_alloc&) {
      // If the writer ended because of one request, it would lose the requests of others, too.
      return to_error(nullptr, SQLITE_NOMEM);
    }
  }
  if (prepared.facts.changes_rows)
    out.changes = sqlite3_changes64(db_.handle());
  out.last_insert_rowid = rowid.inserted(out.changes);
  return {};
}

caf::error request_runner::collect_row(cached_statement& prepared, attempt& now, statement_result& out) {
  auto count = static_cast<int>(prepared.columns->size());
  auto before = now.bytes;
  for (int i = 0; i < count; ++i)
    now.bytes += prepared.stmt.column_footprint(i);
  if (prepared.stmt.has_inexact_text())
    return inexact_text("RETURNING");
  if (++now.rows > max_rows_ || now.bytes > limits_.max_bytes)
    return make_error(errc::too_large, "the request returns more than " + std::to_string(max_rows_) + " rows or "
                                         + std::to_string(limits_.max_bytes) + " bytes; it was undone");
  returned_bytes_ += now.bytes - before;
  if (!returned_.grow_to(returned_bytes_))
    return answers_->used_up();
  for (int i = 0; i < count; ++i)
    out.rows.append(prepared.stmt.column(i));
  return {};
}

caf::error request_runner::finish(attempt& now) {
  // A request that leaves a deferred foreign key violated fails alone; at COMMIT it would make the whole group fail.
  if (has_open_foreign_keys(db_))
    return make_error(errc::constraint, "FOREIGN KEY constraint failed: a deferred foreign key is not satisfied at the "
                                        "end of the request");
  if (now.violations) {
    auto after = foreign_key_violations::find(db_);
    if (!after)
      return std::move(after.error());
    if (auto violated = now.violations->first_new(*after))
      return make_error(errc::constraint, std::move(*violated));
  }
  // SQLite checks the time between instructions only, and not after the last one.
  if (is_due())
    return to_error(nullptr, SQLITE_INTERRUPT);
  if (now.in_savepoint && !command(release_))
    return failed(sqlite3_extended_errcode(db_.handle()));
  now.in_savepoint = false;
  return {};
}

caf::error request_runner::failed(int code) {
  spoilt_ = spoilt_ || spoils_connection(code);
  return to_error(db_.handle(), code);
}

void request_runner::undo(attempt& now) noexcept {
  if (!db_.in_transaction())
    return undone();
  if (now.in_savepoint) {
    if ((command(rollback_to_)) && command(release_)) {
      if (schema_in_doubt_)
        forget_statements();
      return;
    }
  } else if (!now.complete && total_changes(db_) == now.changes_before) {
    // The statement was refused before it ran, or SQLite has undone it.
    return;
  } else if (now.single) {
    // It failed half-way (OR FAIL) or by a check of the broker after it had run. A savepoint for every statement would
    // slow all requests down; this makes the group run again, once.
    now.single->needs_savepoint = true;
  }
  command(rollback_);
  undone();
}

void request_runner::undone() noexcept {
  returned_.shrink_to(0);
  returned_bytes_ = 0;
  if (schema_in_doubt_)
    forget_statements();
  schema_in_doubt_ = false;
}

void request_runner::forget_statements() noexcept { statements_.clear(); }

bool request_runner::command(prepared_statement& stmt) noexcept {
  auto code = stmt.step_code();
  stmt.reset();
  return code == SQLITE_DONE;
}

int64_t request_runner::schema_version() {
  auto code = schema_version_.step_code();
  auto result = code == SQLITE_ROW ? schema_version_.integer(0) : -1;
  schema_version_.reset();
  return result;
}

} // namespace sluice::sqlite
