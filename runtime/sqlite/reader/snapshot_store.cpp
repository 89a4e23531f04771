#include "runtime/sqlite/reader/snapshot_store.hpp"

#include "runtime/sqlite/core/binding.hpp"
#include "runtime/sqlite/core/busy_error.hpp"
#include "runtime/sqlite/core/result_code.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <new>
#include <utility>

namespace sluice::sqlite {

namespace {

caf::error lifetime_is_over() {
  return make_error(errc::deadline_exceeded,
                    "the lifetime of this snapshot is over; take another one, with a longer lifetime if necessary");
}

caf::error snapshot_is_gone() {
  return make_error(errc::file_replaced,
                    "the database file was replaced while this snapshot was open, and its state is "
                    "gone with it: take another snapshot");
}

} // namespace

snapshot_store::snapshot_store(const std::filesystem::path& path, const broker_config& config, clock::steady end,
                               const clock& time, std::function<void()> on_recovery, std::shared_ptr<file_guard> files,
                               std::shared_ptr<answer_budget> answers)
  : time_(time), end_(end), answers_(given_or_own(std::move(answers), config)),
    max_answer_bytes_(config.max_answer_bytes), patience_(config.busy_timeout),
    connection_(path, config, time, std::move(on_recovery), std::move(files)) {}

// Closed in order, as cursors are.
snapshot_store::~snapshot_store() { connection_.close_idle(); }

caf::expected<void> snapshot_store::begin() {
  connection_.interrupt_at(end_, &never_);
  auto result = begin_current();
  if (!result) {
    auto again = connection_.recover_from(result.error());
    if (!again)
      return std::move(again.error());
    if (*again)
      result = begin_current();
  }
  connection_.interrupt_at({}, nullptr);
  if (!result && code_of(result.error()) == errc::busy)
    return busy_for(connection_.path(), result.error());
  return result;
}

caf::expected<void> snapshot_store::begin_current() {
  for (auto i = 0; i < max_prepare_attempts; ++i) {
    if (auto may = connection_.enter(); !may)
      return may;
    auto result = begin_in_use();
    auto is_current = connection_.end_use(result ? caf::error{} : result.error());
    if (is_current)
      return result;
    connection_.close_idle();
    if (time_.now() >= end_)
      return lifetime_is_over();
  }
  return make_error(errc::busy, "the files of this database keep changing while it is read");
}

caf::expected<void> snapshot_store::begin_in_use() {
  if (auto opened = connection_.open(patience_); !opened)
    return opened;
  if (auto begun = connection_.session()->begin.run(); !begun)
    return begun;
  // SQLite takes the snapshot when the transaction reads first.
  return connection_.session()->touch_schema.run();
}

caf::expected<statement_rows> snapshot_store::query(const statement& query, const read_limits& limits) {
  auto now = time_.now();
  if (now >= end_)
    return lifetime_is_over();
  if (auto may = connection_.enter(); !may)
    return std::move(may.error());
  connection_.interrupt_at(std::min(end_, now + limits.timeout), &never_);
  auto result = query_in_use(query, limits);
  // SQLite checks the time between instructions only, and not after the last one.
  if (result && connection_.is_due())
    result = to_error(nullptr, SQLITE_INTERRUPT, errc::deadline_exceeded);
  connection_.interrupt_at({}, nullptr);
  if (!connection_.end_use(result ? caf::error{} : result.error())) {
    connection_.close_idle();
    return snapshot_is_gone();
  }
  return result;
}

// As for reads: an exception for lack of memory loses only this answer.
caf::expected<statement_rows> snapshot_store::query_in_use(const statement& query, const read_limits& limits) {
  // The guard has taken the connection, because the path leads to other files; or an error has spoilt it.
  if (!connection_.session() || !connection_.session()->db.in_transaction())
    return snapshot_is_gone();
  try {
    auto is_outdated = false;
    auto result = execute(query, limits, is_outdated);
    if (!is_outdated)
      return result;
    connection_.session()->statements.erase(query.sql);
    return execute(query, limits, is_outdated);
  } catch (const std::bad_alloc&) {
    return to_error(nullptr, SQLITE_NOMEM);
  }
}

caf::expected<statement_rows> snapshot_store::execute(const statement& query, const read_limits& limits,
                                                      bool& is_outdated) {
  auto* known = connection_.session()->statements.find(query.sql);
  auto found = known ? caf::expected<cached_statement*>{known} : connection_.prepare(query.sql);
  if (!found)
    return std::move(found.error());
  auto& prepared = **found;
  if (!prepared.facts.read_only)
    return make_error(errc::invalid_request, "this statement writes, and a snapshot is only for reading");
  execution running{prepared.stmt};
  if (auto error = bind_parameters(prepared, query.params))
    return error;
  auto result = collect_rows(connection_, prepared, limits, max_answer_bytes_, *answers_);
  is_outdated = !result && needs_prepare(result.error());
  return result;
}

} // namespace sluice::sqlite
