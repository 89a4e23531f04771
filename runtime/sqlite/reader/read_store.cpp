#include "runtime/sqlite/reader/read_store.hpp"

#include "runtime/os/heap_policy.hpp"
#include "runtime/sqlite/core/binding.hpp"
#include "runtime/sqlite/core/busy_error.hpp"
#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/reader/query_plan.hpp"
#include "runtime/sqlite/reader/read_connection.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <new>
#include <utility>

namespace sluice::sqlite {

namespace {

constexpr size_t large_answer = 8U << 20U;

class sqlite_read_store final : public read_store {
public:
  sqlite_read_store(std::filesystem::path path, const broker_config& config, const clock& time,
                    std::function<void()> on_recovery, std::shared_ptr<file_guard> files,
                    std::shared_ptr<answer_budget> answers)
    : time_(time), answers_(given_or_own(std::move(answers), config)), max_answer_bytes_(config.max_answer_bytes),
      connection_(std::move(path), config, time, std::move(on_recovery), std::move(files)) {}

  caf::expected<executed_read> run(const read_request& request, const read_limits& limits) override;
  caf::expected<std::string> explain(const statement& query) override;
  void close_idle() noexcept override { connection_.close_idle(); }

private:
  caf::expected<executed_read> run_recovered(const read_request& request, const read_limits& limits);
  caf::expected<executed_read> run_current(const read_request& request, const read_limits& limits);
  caf::expected<executed_read> run_with_memory(const read_request& request, const read_limits& limits);
  caf::expected<executed_read> run_in_use(const read_request& request, const read_limits& limits);
  void report_changes(executed_read& read) {
    read.files_replaced = connection_.take_replaced();
    read.external_commit = connection_.sees_external_commit() || read.files_replaced;
  }
  caf::expected<executed_read> attempt(const read_request& request, const read_limits& limits);
  caf::expected<executed_read> attempt_several(const read_request& request, const read_limits& limits);
  caf::expected<std::optional<executed_read>> read_snapshot(const read_request& request, const read_limits& limits);
  caf::expected<cached_statement*> find_in_snapshot(const sql_text& sql);
  caf::expected<cached_statement*> find(const sql_text& sql);
  caf::error collect(cached_statement& prepared, const read_limits& limits, read_result& result);
  caf::expected<bool> still_valid(cached_statement& prepared);
  read_session& session() const noexcept { return *connection_.session(); }

  const clock& time_;
  const std::shared_ptr<answer_budget> answers_;
  const uint64_t max_answer_bytes_;
  read_connection connection_;
};

caf::expected<executed_read> sqlite_read_store::run(const read_request& request, const read_limits& limits) {
  if (request.cancel.cancelled())
    return make_error(errc::cancelled, "the request was cancelled before it ran");
  auto begin = time_.now();
  connection_.interrupt_at(begin + limits.timeout, &request.cancel);
  auto result = run_recovered(request, limits);
  // SQLite checks the time between instructions only, and not after the last one.
  if (result && connection_.is_due())
    result = to_error(nullptr, SQLITE_INTERRUPT, errc::deadline_exceeded);
  connection_.interrupt_at({}, nullptr);
  // An interrupt during preparation does not tell its reason.
  if (!result && code_of(result.error()) == errc::deadline_exceeded && request.cancel.cancelled())
    result = to_error(nullptr, SQLITE_INTERRUPT, errc::cancelled);
  auto took = time_.now() - begin;
  heap_policy::statement_ended(took);
  if (result)
    result->busy_us = static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  return result;
}

caf::expected<executed_read> sqlite_read_store::run_recovered(const read_request& request, const read_limits& limits) {
  auto result = run_current(request, limits);
  if (!result) {
    auto again = connection_.recover_from(result.error());
    if (!again)
      return std::move(again.error());
    if (*again)
      result = run_current(request, limits);
  }
  if (!result && code_of(result.error()) == errc::busy)
    return busy_for(connection_.path(), result.error());
  return result;
}

// Runs on the files at the path, from the beginning to the end.
caf::expected<executed_read> sqlite_read_store::run_current(const read_request& request, const read_limits& limits) {
  for (auto i = 0; i < max_prepare_attempts; ++i) {
    if (auto may = connection_.enter(); !may)
      return std::move(may.error());
    auto result = run_with_memory(request, limits);
    // An interrupt may come after BEGIN has taken effect. The next read would then use the same snapshot.
    if (auto* s = connection_.session(); !result && s && s->db.in_transaction())
      connection_.close();
    auto is_current = connection_.end_use(result ? caf::error{} : result.error());
    if (is_current || time_.now() >= connection_.deadline())
      return result;
  }
  return make_error(errc::busy, "the files of this database keep changing while it is read");
}

// If the reader ended because of one answer, it would lose the other answers, too.
caf::expected<executed_read> sqlite_read_store::run_with_memory(const read_request& request,
                                                                const read_limits& limits) {
  try {
    return run_in_use(request, limits);
  } catch (const std::bad_alloc&) {
    return to_error(nullptr, SQLITE_NOMEM);
  }
}

caf::expected<executed_read> sqlite_read_store::run_in_use(const read_request& request, const read_limits& limits) {
  if (auto opened = connection_.open(limits.timeout); !opened)
    return std::move(opened.error());
  auto result = request.more.empty() ? attempt(request, limits) : attempt_several(request, limits);
  if (auto* used = connection_.session())
    used->statements.drop_if_large();
  if (!result)
    return result;
  report_changes(*result);
  // The next read will hardly need the pages of a large answer, which may use as much memory again.
  if (footprint(result->result) >= large_answer)
    sqlite3_db_release_memory(session().db.handle());
  return result;
}

caf::expected<executed_read> sqlite_read_store::attempt(const read_request& request, const read_limits& limits) {
  for (auto i = 0; i < max_prepare_attempts; ++i) {
    auto found = find(request.query.sql);
    if (!found)
      return std::move(found.error());
    auto& prepared = **found;
    auto failed = false;
    if (!prepared.facts.read_only)
      return make_error(errc::invalid_request, "this statement writes; send it as a write");
    executed_read result;
    {
      execution running{prepared.stmt};
      auto error = bind_parameters(prepared, request.query.params);
      if (!error)
        error = collect(prepared, limits, result.result);
      if (error && (i > 0 || !needs_prepare(error)))
        return error;
      failed = static_cast<bool>(error);
    }
    if (failed) {
      session().statements.erase(request.query.sql);
      continue;
    }
    auto valid = still_valid(prepared);
    if (!valid)
      return std::move(valid.error());
    if (!*valid)
      continue;
    result.reads = prepared.facts.reads;
    return result;
  }
  return make_error(errc::busy, "the schema of this database keeps changing");
}

caf::expected<executed_read> sqlite_read_store::attempt_several(const read_request& request,
                                                                const read_limits& limits) {
  for (auto i = 0; i < max_prepare_attempts; ++i) {
    if (auto begun = session().begin.run(); !begun)
      return std::move(begun.error());
    auto result = read_snapshot(request, limits);
    auto ended = session().commit.run();
    if (!result)
      return std::move(result.error());
    if (!ended)
      return std::move(ended.error());
    if (*result)
      return std::move(**result);
  }
  return make_error(errc::busy, "the schema of this database keeps changing");
}

// Nothing when the analysis of a statement was of another schema than the snapshot's; it is forgotten then.
caf::expected<std::optional<executed_read>> sqlite_read_store::read_snapshot(const read_request& request,
                                                                             const read_limits& limits) {
  executed_read done;
  auto left = limits;
  left.max_bytes = std::min(limits.max_bytes, max_answer_bytes_);
  auto read_one = [&](const statement& query) -> caf::expected<bool> {
    auto found = find_in_snapshot(query.sql);
    if (!found)
      return std::move(found.error());
    auto& prepared = **found;
    if (!prepared.facts.read_only)
      return make_error(errc::invalid_request, "this statement writes; send it as a write");
    read_result rows;
    {
      execution running{prepared.stmt};
      auto error = bind_parameters(prepared, query.params);
      if (!error)
        error = collect(prepared, left, rows);
      if (error && needs_prepare(error)) {
        session().statements.erase(query.sql);
        return false;
      }
      if (error)
        return error;
    }
    // They are in the answer for each statement, also without rows.
    size_t names = 0;
    for (const auto& name : rows.rows->columns())
      names += name.size();
    if (names > left.max_bytes)
      return make_error(errc::too_large, "the names of the columns have more bytes than are left for the answer");
    left.max_bytes -= names;
    auto& result = done.result;
    result.truncated = result.truncated || rows.truncated;
    left.max_rows -= std::min<uint64_t>(left.max_rows, rows.rows->size());
    left.max_bytes -= std::min<uint64_t>(left.max_bytes, rows.rows->footprint());
    if (!result.rows) {
      result.rows = std::move(rows.rows);
      result.first_truncated = rows.truncated;
      done.reads = prepared.facts.reads;
    } else {
      result.more.push_back({std::move(rows.rows), rows.truncated});
    }
    return still_valid(prepared);
  };
  auto number = 1;
  auto read = read_one(request.query);
  for (auto next = request.more.begin(); read && *read && next != request.more.end(); ++next, ++number)
    read = read_one(*next);
  if (read)
    return *read ? std::optional{std::move(done)} : std::nullopt;
  auto reason = describe(read.error());
  reason.message = "statement " + std::to_string(number) + ": " + reason.message;
  return make_error(std::move(reason));
}

caf::expected<cached_statement*> sqlite_read_store::find_in_snapshot(const sql_text& sql) {
  auto* found = session().statements.find(sql);
  return found ? caf::expected<cached_statement*>{found} : connection_.prepare(sql);
}

caf::expected<cached_statement*> sqlite_read_store::find(const sql_text& sql) {
  if (auto* found = session().statements.find(sql))
    return found;
  // One snapshot for all steps, so that the analysis of the statement is valid for one version of the schema.
  auto& s = session();
  auto begun = s.begin.run();
  if (!begun)
    return std::move(begun.error());
  auto result = connection_.prepare(sql);
  auto ended = s.commit.run();
  if (result && !ended)
    return std::move(ended.error());
  return result;
}

// Whether the analysis of `prepared` was still valid when it ran. SQLite prepares a running statement again when the
// schema has changed, and for other reasons, too.
caf::expected<bool> sqlite_read_store::still_valid(cached_statement& prepared) {
  auto count = reprepares(prepared.stmt);
  if (count == prepared.reprepares)
    return true;
  auto version = connection_.schema_version();
  if (!version)
    return std::move(version.error());
  prepared.reprepares = count;
  if (*version == prepared.schema_version)
    return true;
  session().statements.clear();
  return false;
}

caf::error sqlite_read_store::collect(cached_statement& prepared, const read_limits& limits, read_result& result) {
  auto collected = collect_rows(connection_, prepared, limits, max_answer_bytes_, *answers_);
  if (!collected)
    return std::move(collected.error());
  result.rows = std::move(collected->rows);
  result.truncated = collected->truncated;
  return {};
}

caf::expected<std::string> sqlite_read_store::explain(const statement& query) {
  if (auto may = connection_.enter(); !may)
    return std::move(may.error());
  auto plan = connection_.session()
                ? query_plan(session().db, {&query, 1})
                : caf::expected<std::string>{make_error(errc::unavailable, "the database is not open")};
  connection_.end_use({});
  return plan;
}

} // namespace

std::unique_ptr<read_store> make_read_store(std::filesystem::path path, const broker_config& config, const clock& time,
                                            std::function<void()> on_recovery, std::shared_ptr<file_guard> files,
                                            std::shared_ptr<answer_budget> answers) {
  return std::make_unique<sqlite_read_store>(std::move(path), config, time, std::move(on_recovery), std::move(files),
                                             std::move(answers));
}

} // namespace sluice::sqlite
