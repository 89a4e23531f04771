#include "runtime/sqlite/reader/cursor_store.hpp"

#include "runtime/sqlite/core/binding.hpp"
#include "runtime/sqlite/core/busy_error.hpp"
#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/reader/read_connection.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <new>
#include <utility>

namespace sluice::sqlite {

namespace {

constexpr uint64_t max_page_cache = 4ULL << 20;
// After this time a page of a slow query ends with the rows found so far, so that its caller need not wait for a full
// one.
constexpr std::chrono::milliseconds longest_filling{250};

broker_config with_small_cache(broker_config config) {
  config.page_cache_bytes = std::min(config.page_cache_bytes, max_page_cache);
  return config;
}

class sqlite_cursor_store final : public cursor_store {
public:
  sqlite_cursor_store(std::filesystem::path path, statement query, const broker_config& config, const clock& time,
                      std::function<void()> on_recovery, std::shared_ptr<file_guard> files,
                      std::shared_ptr<answer_budget> answers)
    : time_(time), answers_(given_or_own(std::move(answers), config)), max_row_bytes_(config.max_answer_bytes),
      query_(std::move(query)),
      connection_(std::move(path), with_small_cache(config), time, std::move(on_recovery), std::move(files)) {}

  // Closed in order, so that a later commit of another program is detected.
  ~sqlite_cursor_store() override { connection_.close_idle(); }

  caf::expected<cursor_rows> next(const read_limits& limits, const cancel_token& cancel) override;

private:
  caf::expected<cursor_rows> next_recovered(const read_limits& limits);
  caf::expected<cursor_rows> next_current(const read_limits& limits);
  caf::expected<cursor_rows> next_with_memory(const read_limits& limits);
  caf::expected<cursor_rows> next_in_use(const read_limits& limits);
  caf::error begin(const read_limits& limits);
  caf::expected<cursor_rows> collect(const read_limits& limits);
  caf::error too_large() const;
  void forget() noexcept {
    running_ = nullptr;
    has_row_ = false;
  }
  // Ends the snapshot and its lock as early as possible.
  void end() noexcept {
    forget();
    connection_.close_idle();
  }

  const clock& time_;
  const std::shared_ptr<answer_budget> answers_;
  const uint64_t max_row_bytes_;
  // The parameters of the statement, which SQLite does not copy.
  const statement query_;
  read_connection connection_;
  // The query under way, of the connection's session; null before it has begun.
  cached_statement* running_ = nullptr;
  // The query is at a row that is in no page yet.
  bool has_row_ = false;
  bool has_answered_ = false;
  bool is_over_ = false;
};

caf::error replaced() {
  return make_error(errc::file_replaced,
                    "the database file was replaced while this cursor read it, and the rows to come "
                    "are gone with it: run the query again");
}

caf::expected<cursor_rows> sqlite_cursor_store::next(const read_limits& limits, const cancel_token& cancel) {
  if (cancel.cancelled())
    return to_error(nullptr, SQLITE_INTERRUPT, errc::cancelled);
  if (is_over_)
    return cursor_rows{std::make_shared<const rowset>(), true};
  connection_.interrupt_at(time_.now() + limits.timeout, &cancel);
  auto result = next_recovered(limits);
  // As for reads: SQLite does not check the time after the last instruction.
  if (result && connection_.is_due())
    result = to_error(nullptr, SQLITE_INTERRUPT, errc::deadline_exceeded);
  connection_.interrupt_at({}, nullptr);
  if (!result && code_of(result.error()) == errc::deadline_exceeded && cancel.cancelled())
    result = to_error(nullptr, SQLITE_INTERRUPT, errc::cancelled);
  has_answered_ = has_answered_ || result;
  is_over_ = result && result->is_last;
  return result;
}

caf::expected<cursor_rows> sqlite_cursor_store::next_recovered(const read_limits& limits) {
  auto result = next_current(limits);
  if (!result && !has_answered_) {
    auto again = connection_.recover_from(result.error());
    if (!again)
      return std::move(again.error());
    if (*again)
      result = next_current(limits);
  }
  if (!result && code_of(result.error()) == errc::busy)
    return busy_for(connection_.path(), result.error());
  return result;
}

caf::expected<cursor_rows> sqlite_cursor_store::next_current(const read_limits& limits) {
  for (auto i = 0; i < max_prepare_attempts; ++i) {
    if (auto may = connection_.enter(); !may)
      return std::move(may.error());
    auto result = next_with_memory(limits);
    auto is_current = connection_.end_use(result ? caf::error{} : result.error());
    auto is_kept = result ? !result->is_last : code_of(result.error()) == errc::overloaded;
    if (!is_current || !is_kept)
      end();
    if (is_current)
      return result;
    if (has_answered_)
      return replaced();
    if (time_.now() >= connection_.deadline())
      break;
  }
  return make_error(errc::busy, "the files of this database keep changing while it is read");
}

// As for reads: an exception for lack of memory loses only this answer.
caf::expected<cursor_rows> sqlite_cursor_store::next_with_memory(const read_limits& limits) {
  try {
    return next_in_use(limits);
  } catch (const std::bad_alloc&) {
    return to_error(nullptr, SQLITE_NOMEM);
  }
}

caf::expected<cursor_rows> sqlite_cursor_store::next_in_use(const read_limits& limits) {
  if (!connection_.session()) {
    // The guard has taken the connection, because the path leads to other files.
    if (has_answered_)
      return replaced();
    forget();
  }
  if (!running_)
    if (auto error = begin(limits))
      return error;
  return collect(limits);
}

// One transaction from the check of the schema to the last row, so that all rows have one version of the schema.
caf::error sqlite_cursor_store::begin(const read_limits& limits) {
  if (auto opened = connection_.open(limits.timeout); !opened)
    return std::move(opened.error());
  if (auto begun = connection_.session()->begin.run(); !begun)
    return std::move(begun.error());
  auto found = connection_.prepare(query_.sql);
  if (!found)
    return std::move(found.error());
  if (!(*found)->facts.read_only)
    return make_error(errc::invalid_request, "this statement writes; send it as a write");
  if (auto error = bind_parameters(**found, query_.params))
    return error;
  running_ = *found;
  return {};
}

caf::expected<cursor_rows> sqlite_cursor_store::collect(const read_limits& limits) {
  auto& running = *running_;
  auto page = std::make_shared<budgeted_rows>(answers_->open(), rowset{running.columns});
  auto full_at = time_.now() + std::min(longest_filling, limits.timeout / 2);
  auto is_last = false;
  do {
    if (!has_row_) {
      auto code = running.stmt.step_code();
      is_last = code == SQLITE_DONE;
      if (is_last)
        break;
      if (code != SQLITE_ROW)
        return connection_.failed(code);
      has_row_ = true;
    }
    auto is_first = page->rows.empty();
    auto is_taken = append_row(running, is_first ? max_row_bytes_ : limits.max_bytes, *answers_, *page);
    if (is_first && !is_taken)
      return std::move(is_taken.error());
    if (is_first && !*is_taken)
      return too_large();
    // A row without room in this page may fit into the next one.
    if (!is_taken || !*is_taken)
      break;
    has_row_ = false;
  } while (page->rows.size() < limits.max_rows && time_.now() < full_at);
  page->share.shrink_to(page->rows.footprint());
  return cursor_rows{std::shared_ptr<const rowset>{page, &page->rows}, is_last};
}

caf::error sqlite_cursor_store::too_large() const {
  return make_error(errc::too_large, "a row of this query takes more than the " + std::to_string(max_row_bytes_)
                                       + " bytes of an answer (max_answer_bytes): ask for parts of it, with substr()");
}

} // namespace

std::unique_ptr<cursor_store> make_cursor_store(std::filesystem::path path, statement query,
                                                const broker_config& config, const clock& time,
                                                std::function<void()> on_recovery, std::shared_ptr<file_guard> files,
                                                std::shared_ptr<answer_budget> answers) {
  return std::make_unique<sqlite_cursor_store>(std::move(path), std::move(query), config, time, std::move(on_recovery),
                                               std::move(files), std::move(answers));
}

} // namespace sluice::sqlite
