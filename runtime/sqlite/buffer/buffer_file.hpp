#pragma once

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/file_watch.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

namespace sluice::sqlite {

/// The write-behind buffer's file, opened when it is first needed, and again after a failure that spoiled the
/// connection. Errors as `open_buffer_store` has them.
class buffer_file {
public:
  struct statements {
    prepared_statement begin, commit, append, forget_operation, add_batch, claim, find_batch, release,
      forget_operations, forget_batch, keep, forget_rejected;
  };

  struct content {
    connection db;
    statements sql{};
  };

  buffer_file(std::filesystem::path path, synchronous_mode synchronous)
    : path_(std::move(path)), synchronous_(synchronous), files_(path_) {}

  /// Whether the file does not exist, so that a read need not create one.
  bool is_missing() const;

  /// The open file, created when it is missing. Valid until the next call.
  caf::expected<content*> open();

  /// Sets the function that is called for a file that replaces an open one that was moved or deleted, before any other
  /// use of it; with true, when it is the same file, cut short by another program.
  void on_replaced(std::function<caf::error(content&, bool)> restore) { restore_ = std::move(restore); }

  /// Calls `work` with the open file in a transaction, which is rolled back when `work` returns an error. When the
  /// commit fails, the transaction has not taken effect, or the error's outcome is `unknown`; in that case this process
  /// changes nothing else in the file before it has determined the outcome.
  template <class F> caf::error atomically(F work) {
    auto file = open();
    if (!file)
      return std::move(file.error());
    auto& sql = (*file)->sql;
    if (auto begun = sql.begin.run(); !begun)
      return give_up(std::move(begun.error()));
    if (caf::error error = work(**file))
      return give_up(std::move(error));
    if (auto done = sql.commit.run(); !done)
      return commit_failed(std::move(done.error()));
    files_.note_bytes();
    return caf::none;
  }

  /// As `atomically`, with an fsync even if the setting does not require it.
  template <class F> caf::error durably(F work) {
    auto file = open();
    if (!file)
      return std::move(file.error());
    auto waits = synchronous_ == synchronous_mode::full;
    if (auto done = waits ? caf::unit : (*file)->db.exec("PRAGMA synchronous = FULL"); !done)
      return give_up(std::move(done.error()));
    auto error = atomically(std::move(work));
    // This cannot fail; if it did, later commits would only wait longer than necessary.
    if (content_ && !waits)
      static_cast<void>(content_->db.exec("PRAGMA synchronous = NORMAL"));
    return error;
  }

  /// Cleans up after `error`, and returns it.
  caf::error give_up(caf::error error);

  /// The newest place in the journal, so that no place is reused if the file is deleted.
  int64_t last_place = 0;

private:
  caf::expected<content> open_anew() const;
  caf::error commit_failed(caf::error error);
  caf::error resolve_failed_commit();
  void remove_cut_log();

  std::filesystem::path path_;
  synchronous_mode synchronous_;
  file_watch files_;
  std::function<caf::error(content&, bool)> restore_;
  bool replaced_ = false;
  bool cut_short_ = false;
  std::optional<content> content_;
  // A failed transaction may be complete in the log, where the next connection would find it.
  bool wal_may_hold_commit_ = false;
};

/// Runs a statement that needs no answer.
caf::error run(prepared_statement& statement);

/// Runs a statement that answers with one number, or with nothing.
caf::expected<std::optional<int64_t>> run_for_number(prepared_statement& statement);

/// Passes every row of `statement` to `f`, until `f` returns an error.
template <class F> caf::error for_each_row(caf::expected<prepared_statement> statement, F f) {
  if (!statement)
    return std::move(statement.error());
  for (;;) {
    auto more = statement->step();
    if (!more)
      return std::move(more.error());
    if (!*more)
      return caf::none;
    if (caf::error error = f(*statement))
      return error;
  }
}

/// Stores `content` as an unreadable row; `message` describes it.
caf::error keep_unreadable_row(buffer_file::content& file, std::string_view message, std::string_view content);

} // namespace sluice::sqlite
