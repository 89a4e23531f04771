#include "runtime/sqlite/functions/builtin_functions.hpp"

#include <sqlite3.h>

namespace sluice::sqlite {

void builtin_functions::closer::operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
void builtin_functions::closer::operator()(sqlite3_stmt* stmt) const noexcept { sqlite3_finalize(stmt); }

sqlite3_stmt* builtin_functions::statement(const char* name, int count) {
  if (!db_) {
    sqlite3* raw = nullptr;
    auto code = sqlite3_open_v2(":memory:", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    std::unique_ptr<sqlite3, closer> made{raw};
    if (code != SQLITE_OK)
      return nullptr;
    sqlite3_limit(raw, SQLITE_LIMIT_LENGTH, max_bytes_);
    db_ = std::move(made);
  }
  auto& stmt = statements_[{name, count}];
  if (stmt)
    return stmt.get();
  auto sql = "SELECT " + std::string{name} + "(";
  for (auto i = 0; i < count; ++i)
    sql += i > 0 ? ",?" : "?";
  sql += ")";
  sqlite3_stmt* raw = nullptr;
  sqlite3_prepare_v3(db_.get(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  stmt.reset(raw);
  return raw;
}

bool builtin_functions::call(sqlite3_context* context, const char* name, int count, sqlite3_value** arguments) {
  auto* stmt = statement(name, count);
  if (!stmt) {
    sqlite3_result_error_nomem(context);
    return false;
  }
  auto code = SQLITE_OK;
  for (auto i = 0; i < count && code == SQLITE_OK; ++i)
    code = sqlite3_bind_value(stmt, i + 1, arguments[i]);
  if (code == SQLITE_OK)
    code = sqlite3_step(stmt);
  auto has_value = code == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL;
  if (code == SQLITE_ROW) {
    sqlite3_result_value(context, sqlite3_column_value(stmt, 0));
  } else {
    sqlite3_result_error(context, sqlite3_errmsg(db_.get()), -1);
    sqlite3_result_error_code(context, code);
  }
  sqlite3_reset(stmt);
  sqlite3_clear_bindings(stmt);
  return has_value;
}

} // namespace sluice::sqlite
