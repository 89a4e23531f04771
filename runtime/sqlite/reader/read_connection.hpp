#pragma once

#include "actors/base/clock.hpp"
#include "messages/read.hpp"
#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/sqlite/files/read_only_place.hpp"
#include "runtime/sqlite/reader/read_session.hpp"
#include "runtime/store/config.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

/// The part that reads and cursors share.
namespace sluice::sqlite {

/// One read-only connection to the database file at a path, under the rules of `file_guard`: it is used only between
/// `enter` and `end_use`, and may be gone at the next `enter`. Used by one thread at a time.
class read_connection final : private file_guard::user {
public:
  /// `time` and `files` as in `make_read_store`.
  read_connection(std::filesystem::path path, const broker_config& config, const clock& time,
                  std::function<void()> on_recovery, std::shared_ptr<file_guard> files);
  ~read_connection() override { files_->part(*this); }

  /// From now on `deadline` and `cancel` interrupt the execution; null means that nothing does. `cancel` outlives
  /// that.
  void interrupt_at(clock::steady deadline, const cancel_token* cancel) noexcept {
    deadline_ = deadline;
    cancel_ = cancel;
  }
  bool is_due() const { return cancel_ && (cancel_->cancelled() || time_.now() >= deadline_); }
  clock::steady deadline() const noexcept { return deadline_; }

  /// As `file_guard::enter`, for a request.
  caf::expected<void> enter() {
    files_->begin_request();
    return files_->enter(*this);
  }

  /// Ends the use. Closes the connection if `error`, the result of the use, spoils it. False when the rows are invalid
  /// because the path leads to other files.
  bool end_use(const caf::error& error) noexcept;

  /// The open connection; null if there is none. @pre in use
  read_session* session() const noexcept { return session_.get(); }

  /// Opens the file if it is not open. Waits for that or a lock no longer than `lock_timeout`. @pre in use
  caf::expected<void> open(std::chrono::milliseconds lock_timeout);

  /// @pre in use
  void close() noexcept;

  /// As `file_guard::close_idle`. @pre not in use
  void close_idle() noexcept { files_->close_idle(*this); }

  /// Prepares `sql`, with the version of the schema for which it was analyzed. @pre in a transaction
  caf::expected<cached_statement*> prepare(const sql_text& sql);
  caf::expected<int64_t> schema_version();

  /// Whether another program has committed since this connection last reported that, and the rows may include the
  /// commit.
  /// @pre in use
  bool sees_external_commit();
  bool take_replaced() noexcept { return files_->take_replaced(); }

  /// The error for a step that has ended with `code`.
  caf::error failed(int code) const;

  /// If `error` may be caused by the unfinished transaction of a killed program, rolls that back with a connection for
  /// writing. True when the caller should try again.
  caf::expected<bool> recover_from(const caf::error& error) const;

  const std::filesystem::path& path() const noexcept { return path_; }

private:
  sqlite3* handle() const noexcept override { return session_ ? session_->db.handle() : nullptr; }
  std::shared_ptr<void> release() noexcept override { return std::shared_ptr<read_session>{std::move(session_)}; }
  bool is_writer() const noexcept override { return false; }

  caf::expected<void> connect();
  static int on_progress(void* self) noexcept;

  const std::filesystem::path path_;
  const clock& time_;
  const std::function<void()> on_recovery_;
  connection_options options_;
  const std::shared_ptr<file_guard> files_;
  const uint64_t max_value_bytes_;
  const std::chrono::milliseconds busy_timeout_;
  // Whether the connection waits for locks for a shorter time than the default.
  bool hurried_ = false;
  // The stamp of a file that is read as immutable.
  std::optional<database_stamp> unchanged_;
  std::unique_ptr<read_session> session_;
  uint64_t external_commits_ = 0;
  clock::steady deadline_{};
  const cancel_token* cancel_ = nullptr;
};

/// Appends the current row of `prepared` to `to`, whose share of `budget` grows with it. False when the rows would then
/// exceed `max_bytes`; the rows are unchanged then, and after an error.
caf::expected<bool> append_row(cached_statement& prepared, uint64_t max_bytes, const answer_budget& budget,
                               budgeted_rows& to);

/// The rows of `prepared`, which is bound, within the limits and `max_answer_bytes`; they take their bytes from
/// `budget` as long as they exist. Errors as `read_connection::failed` and `append_row`.
caf::expected<statement_rows> collect_rows(const read_connection& connection, cached_statement& prepared,
                                           const read_limits& limits, uint64_t max_answer_bytes, answer_budget& budget);

} // namespace sluice::sqlite
