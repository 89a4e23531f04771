#pragma once

#include "messages/rowset.hpp"
#include "messages/value.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>

struct sqlite3_stmt;

namespace sluice::sqlite {

/// A prepared statement. Owns the handle; move-only; used by the thread that uses its connection, and destroyed before
/// it.
///
/// Values are bound without copying: they must not change until `reset`. A binding that fails makes the next `step`
/// fail.
class prepared_statement {
public:
  prepared_statement() = default;

  /// Prepares exactly one statement. `errc::invalid_request` when `sql` holds none, or more than one, or is not UTF-8
  /// text; otherwise the error of SQLite (`to_error`).
  static caf::expected<prepared_statement> prepare(const connection& db, std::string_view sql);

  explicit operator bool() const noexcept { return handle_ != nullptr; }
  sqlite3_stmt* handle() const noexcept { return handle_.get(); }

  /// Binds to the parameter `index`, from 1.
  void bind(int index, int64_t number) noexcept;
  void bind_null(int index) noexcept;
  void bind_real(int index, double number) noexcept;
  void bind_text(int index, std::string_view text) noexcept;
  void bind_blob(int index, std::string_view bytes) noexcept;
  void bind(int index, const value& cell) noexcept;

  /// Goes to the next row; false when there is none.
  caf::expected<bool> step();

  /// As `step`, with SQLite's result code: SQLITE_ROW, SQLITE_DONE or an extended error code.
  int step_code() noexcept;

  /// Steps to the end and resets.
  caf::expected<void> run();

  /// Ends the execution and clears the bindings. Cheap when there is nothing to do.
  void reset() noexcept;

  /// The columns of the current row, from 0. Views are valid until the next `step` or `reset`.
  int column_count() const noexcept;
  int64_t integer(int column) const noexcept;
  double real(int column) const noexcept;
  std::string_view text(int column) const noexcept;
  std::string_view blob(int column) const noexcept;
  bool is_null(int column) const noexcept;
  value column(int column) const;
  /// The bytes that `column(i)` would count for, without a copy. Call it before `text(i)` and `column(i)`, which
  /// convert UTF-16.
  size_t column_footprint(int column) noexcept;

  /// Whether a text whose footprint was computed in this execution cannot be expressed in UTF-8: `column` would change
  /// it.
  bool has_inexact_text() const noexcept { return inexact_text_; }

  /// The names of the columns, in order.
  rowset::column_names column_names() const;

private:
  struct finalizer {
    void operator()(sqlite3_stmt* stmt) const noexcept;
  };

  void note(int code) noexcept;
  void detect_encoding(int column) noexcept;

  std::unique_ptr<sqlite3_stmt, finalizer> handle_;
  int bind_error_ = 0;
  bool borrows_ = false;
  // For this execution: the encoding of text in the database, determined by the first text before a conversion.
  enum class encoding : uint8_t { unknown, utf8, utf16 };
  encoding encoding_ = encoding::unknown;
  bool inexact_text_ = false;
};

/// A statement of the broker, and its destination.
struct own_statement {
  prepared_statement* to;
  std::string_view sql;
};

/// Prepares all statements; stops at the first error.
caf::expected<void> prepare_all(const connection& db, std::initializer_list<own_statement> statements);

/// The first column of the first row of `sql`, a query of the broker that has a row.
caf::expected<int64_t> read_number(const connection& db, std::string_view sql);

} // namespace sluice::sqlite
