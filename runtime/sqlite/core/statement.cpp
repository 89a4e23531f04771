#include "runtime/sqlite/core/statement.hpp"

#include "actors/base/sql_tokens.hpp"
#include "actors/base/utf8_text.hpp"
#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/core/text_encoding.hpp"

#include <sqlite3.h>

namespace sluice::sqlite {

void prepared_statement::finalizer::operator()(sqlite3_stmt* stmt) const noexcept { sqlite3_finalize(stmt); }

caf::expected<prepared_statement> prepared_statement::prepare(const connection& db, std::string_view sql) {
  if (sql.find('\0') != std::string_view::npos)
    return make_error(errc::invalid_request,
                      "the SQL holds a zero byte, where SQLite would end it; give such text as a parameter");
  if (!is_utf8(sql))
    return make_error(errc::invalid_request, "the SQL is not UTF-8 text");
  if (sql.size() > static_cast<size_t>(sqlite3_limit(db.handle(), SQLITE_LIMIT_SQL_LENGTH, -1)))
    return make_error(errc::too_large, "the SQL is longer than SQLite's limit");
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  auto code =
    sqlite3_prepare_v3(db.handle(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, &tail);
  prepared_statement result;
  result.handle_.reset(raw);
  if (code != SQLITE_OK)
    return to_error(db.handle(), code);
  if (!raw)
    return make_error(errc::invalid_request, "the SQL holds no statement");
  if (!skip_to_statement(sql.substr(static_cast<size_t>(tail - sql.data()))).empty())
    return make_error(errc::invalid_request,
                      "the SQL holds more than one statement; send a list with one statement per entry");
  return result;
}

void prepared_statement::note(int code) noexcept {
  if (code != SQLITE_OK && bind_error_ == SQLITE_OK)
    bind_error_ = code;
}

void prepared_statement::bind(int index, int64_t number) noexcept { note(sqlite3_bind_int64(handle(), index, number)); }

void prepared_statement::bind_null(int index) noexcept { note(sqlite3_bind_null(handle(), index)); }

void prepared_statement::bind_real(int index, double number) noexcept {
  note(sqlite3_bind_double(handle(), index, number));
}

void prepared_statement::bind_text(int index, std::string_view text) noexcept {
  borrows_ = true;
  // A null pointer would bind NULL.
  note(sqlite3_bind_text64(handle(), index, text.data() ? text.data() : "", text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void prepared_statement::bind_blob(int index, std::string_view bytes) noexcept {
  borrows_ = true;
  note(sqlite3_bind_blob64(handle(), index, bytes.data() ? bytes.data() : "", bytes.size(), SQLITE_STATIC));
}

void prepared_statement::bind(int index, const value& cell) noexcept {
  switch (cell.kind()) {
  case value_kind::null: return bind_null(index);
  case value_kind::integer: return bind(index, *cell.integer());
  case value_kind::real: return bind_real(index, *cell.real());
  case value_kind::text: return bind_text(index, *cell.text());
  case value_kind::blob: return bind_blob(index, *cell.blob_bytes());
  }
}

int prepared_statement::step_code() noexcept { return bind_error_ == SQLITE_OK ? sqlite3_step(handle()) : bind_error_; }

caf::expected<bool> prepared_statement::step() {
  auto code = step_code();
  if (code == SQLITE_ROW)
    return true;
  if (code == SQLITE_DONE)
    return false;
  return to_error(sqlite3_db_handle(handle()), code);
}

caf::expected<void> prepared_statement::run() {
  for (;;) {
    auto row = step();
    if (row && *row)
      continue;
    reset();
    if (!row)
      return std::move(row.error());
    return caf::unit;
  }
}

void prepared_statement::reset() noexcept {
  sqlite3_reset(handle());
  if (borrows_)
    sqlite3_clear_bindings(handle());
  borrows_ = false;
  encoding_ = encoding::unknown;
  inexact_text_ = false;
  bind_error_ = SQLITE_OK;
}

int prepared_statement::column_count() const noexcept { return sqlite3_column_count(handle()); }

int64_t prepared_statement::integer(int column) const noexcept { return sqlite3_column_int64(handle(), column); }

double prepared_statement::real(int column) const noexcept { return sqlite3_column_double(handle(), column); }

std::string_view prepared_statement::text(int column) const noexcept {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle(), column));
  if (!bytes)
    return {};
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(handle(), column))};
}

std::string_view prepared_statement::blob(int column) const noexcept {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(handle(), column));
  if (!bytes)
    return {};
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(handle(), column))};
}

bool prepared_statement::is_null(int column) const noexcept {
  return sqlite3_column_type(handle(), column) == SQLITE_NULL;
}

value prepared_statement::column(int column) const {
  switch (sqlite3_column_type(handle(), column)) {
  case SQLITE_INTEGER: return integer(column);
  case SQLITE_FLOAT: return real(column);
  case SQLITE_TEXT: return text(column);
  case SQLITE_BLOB: return sluice::blob{std::string{blob(column)}};
  default: return {};
  }
}

// After a conversion a constant stays converted in the following rows, so that its encoding is no longer that of the
// database.
void prepared_statement::detect_encoding(int column) noexcept {
  auto in_utf16 = is_in_utf16(handle(), column);
  if (encoding_ == encoding::unknown)
    encoding_ = in_utf16 ? encoding::utf16 : encoding::utf8;
  inexact_text_ = inexact_text_ || (in_utf16 && has_lone_surrogate(handle(), column));
}

size_t prepared_statement::column_footprint(int column) noexcept {
  auto type = sqlite3_column_type(handle(), column);
  if (type == SQLITE_TEXT && encoding_ != encoding::utf8)
    detect_encoding(column);
  auto sized = type == SQLITE_TEXT || type == SQLITE_BLOB;
  return sizeof(value) + (sized ? static_cast<size_t>(sqlite3_column_bytes(handle(), column)) : 0);
}

rowset::column_names prepared_statement::column_names() const {
  rowset::column_names result;
  auto count = column_count();
  result.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const auto* name = sqlite3_column_name(handle(), i);
    result.emplace_back(name ? name : "");
  }
  return result;
}

caf::expected<void> prepare_all(const connection& db, std::initializer_list<own_statement> statements) {
  for (auto [to, sql] : statements) {
    auto stmt = prepared_statement::prepare(db, sql);
    if (!stmt)
      return std::move(stmt.error());
    *to = std::move(*stmt);
  }
  return caf::unit;
}

caf::expected<int64_t> read_number(const connection& db, std::string_view sql) {
  auto stmt = prepared_statement::prepare(db, sql);
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return stmt->integer(0);
}

} // namespace sluice::sqlite
