#pragma once

#include "messages/cancel_token.hpp"
#include "messages/read.hpp"
#include "runtime/sqlite/reader/read_connection.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <functional>
#include <memory>

namespace sluice::sqlite {

/// One read transaction on a read-only connection of its own, for any number of queries. Used by one thread. The
/// destructor ends the transaction and closes the connection.
class snapshot_store {
public:
  /// `time`, `on_recovery`, `files` and `answers` as in `make_read_store`. Every query is interrupted at `end`.
  snapshot_store(const std::filesystem::path& path, const broker_config& config, clock::steady end, const clock& time,
                 std::function<void()> on_recovery, std::shared_ptr<file_guard> files,
                 std::shared_ptr<answer_budget> answers);
  snapshot_store(const snapshot_store&) = delete;
  snapshot_store& operator=(const snapshot_store&) = delete;
  ~snapshot_store();

  /// Opens the file and begins the transaction: later queries see the commits until now. Errors as `read_store::run`.
  caf::expected<void> begin();

  /// Errors as `snapshot::query`. @pre `begin` has succeeded
  caf::expected<statement_rows> query(const statement& query, const read_limits& limits);

private:
  caf::expected<void> begin_current();
  caf::expected<void> begin_in_use();
  caf::expected<statement_rows> query_in_use(const statement& query, const read_limits& limits);
  caf::expected<statement_rows> execute(const statement& query, const read_limits& limits, bool& is_outdated);

  const clock& time_;
  const clock::steady end_;
  const std::shared_ptr<answer_budget> answers_;
  const uint64_t max_answer_bytes_;
  const std::chrono::milliseconds patience_;
  // The progress handler needs one; only the time ends queries.
  const cancel_token never_ = cancel_token::make();
  read_connection connection_;
};

} // namespace sluice::sqlite
