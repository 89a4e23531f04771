#pragma once

#include "actors/writer/write_store.hpp"
#include "runtime/sqlite/core/answer_budget.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement_cache.hpp"
#include "runtime/sqlite/writer/write_tracker.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <string>

namespace sluice::sqlite {

/// The bounds on the result of one request, and on the values that it computes.
struct request_limits {
  uint64_t max_rows = 10'000;
  uint64_t max_bytes = 8ULL << 20;
  uint64_t max_value_bytes = 16ULL << 20;
};

/// Executes the statements of write requests inside the open transaction of a connection. Used by the connection's
/// thread.
class request_runner {
public:
  /// `db` and `time` outlive this. Installs the connection's progress handler and its functions, before anything else
  /// is prepared. Values are bounded while a request runs; the ledger has other bounds. The rows that the requests of a
  /// transaction return take their bytes from `answers` until it ends.
  request_runner(connection& db, request_limits limits, std::shared_ptr<answer_budget> answers, const clock& time);
  ~request_runner();
  request_runner(const request_runner&) = delete;
  request_runner& operator=(const request_runner&) = delete;

  /// Executes all statements of the request or none; interrupts them at `deadline`, and refuses the request if they end
  /// later. After an error the transaction is in its previous state, or no longer open: `connection::in_transaction`
  /// tells. @pre a transaction is open
  caf::expected<executed_write> run(const write_request& request, clock::steady deadline);

  /// Prepared statements no longer match the schema: another program changed it, or a change of the broker was undone.
  void forget_statements() noexcept;

  /// The transaction ended without effect.
  void undone() noexcept;

  /// The transaction took effect.
  void committed() noexcept {
    schema_in_doubt_ = false;
    returned_.shrink_to(0);
    returned_bytes_ = 0;
  }

  /// Whether the connection should be closed after the last failure.
  bool spoilt() const noexcept { return spoilt_; }

private:
  struct attempt;

  // Whether the running statement must stop.
  bool is_due() const {
    return (ticket_ && ticket_->interrupted()) || (deadline_ != clock::steady::max() && time_.now() >= deadline_);
  }
  static int on_progress(void* self) noexcept;

  caf::error run_all(const write_request& request, attempt& now);
  caf::error run_unenforced(const write_request& request, attempt& now);
  caf::expected<cached_statement*> prepare(const sql_text& sql);
  caf::error run_one(const statement& statement, attempt& now);
  bool is_bounded(cached_statement& prepared) const;
  caf::error execute(cached_statement& prepared, attempt& now, statement_result& out);
  caf::error collect_row(cached_statement& prepared, attempt& now, statement_result& out);
  caf::error execute_drop(cached_statement& prepared, attempt& now, statement_result& out);
  static caf::error check_changes(const statement& statement, const statement_result& out);
  caf::error check_created(const std::string& object);
  caf::error finish(attempt& now);
  void enforce_keys(bool enforces) noexcept;
  caf::error failed(int code);
  void undo(attempt& now) noexcept;
  bool command(prepared_statement& stmt) noexcept;
  int64_t schema_version();

  connection& db_;
  const clock& time_;
  request_limits limits_;
  // Of the running request.
  uint64_t max_rows_ = limits_.max_rows;
  std::shared_ptr<answer_budget> answers_;
  // The share of the transaction.
  answer_budget::share returned_;
  uint64_t returned_bytes_ = 0;
  statement_analyzer analyzer_;
  statement_cache statements_;
  write_tracker tracker_;
  caf::expected<void> functions_{caf::unit};
  prepared_statement savepoint_;
  prepared_statement release_;
  prepared_statement rollback_to_;
  prepared_statement rollback_;
  prepared_statement schema_version_;
  clock::steady deadline_ = clock::steady::max();
  const ticket* ticket_ = nullptr;
  bool schema_in_doubt_ = false;
  bool spoilt_ = false;
};

} // namespace sluice::sqlite
