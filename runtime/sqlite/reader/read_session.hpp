#pragma once

#include "runtime/os/open_files.hpp"
#include "runtime/sqlite/core/answer_budget.hpp"
#include "runtime/sqlite/core/double_quotes.hpp"
#include "runtime/sqlite/core/statement_cache.hpp"

#include <sqlite3.h>

#include <cstdint>
#include <utility>

/// Only for read_connection.hpp: the open objects of a reading connection.
namespace sluice::sqlite {

// If the schema changes constantly, a statement is prepared this many times before the database counts as busy.
inline constexpr int max_prepare_attempts = 5;

inline int reprepares(const prepared_statement& stmt) noexcept {
  return sqlite3_stmt_status(stmt.handle(), SQLITE_STMTSTATUS_REPREPARE, 0);
}

// SQLite's counter of the commits of other connections, as this connection has seen them (`data_version`).
inline uint32_t data_version(const connection& db) noexcept {
  unsigned int version = 0;
  sqlite3_file_control(db.handle(), "main", SQLITE_FCNTL_DATA_VERSION, &version);
  return version;
}

// A changed view may contain text in double quotes now, which only a new preparation detects.
inline bool needs_prepare(const caf::error& error) {
  return code_of(error) == errc::sql_error && !missing_column(describe(error).message).empty();
}

// Ends a statement's execution, and with it its snapshot, when the scope is left.
class execution {
public:
  explicit execution(prepared_statement& stmt) : stmt_(stmt) {}
  ~execution() { stmt_.reset(); }
  execution(const execution&) = delete;
  execution& operator=(const execution&) = delete;

private:
  prepared_statement& stmt_;
};

// All objects of one open file; members end in reverse order, the connection last.
struct read_session {
  explicit read_session(connection opened) : db(std::move(opened)), analyzer(db), statements(analyzer) {}

  // Returned when the connection is closed.
  open_files::share descriptors;
  connection db;
  statement_analyzer analyzer;
  statement_cache statements;
  prepared_statement begin;
  prepared_statement commit;
  prepared_statement touch_schema;
  prepared_statement schema_version;
  // If the database is not in WAL mode, `data_version` shows commits of other programs.
  bool is_in_wal_mode = false;
  uint32_t data_version = 0;
};

// Members end in reverse order: the share is given back when the rows are gone.
struct budgeted_rows {
  budgeted_rows(answer_budget::share of, rowset empty) : share(std::move(of)), rows(std::move(empty)) {}

  answer_budget::share share;
  rowset rows;
};

} // namespace sluice::sqlite
