#pragma once

#include "messages/rowset.hpp"
#include "messages/statement.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// What SQLite turns a value into that is stored in a column, by the column's declared type.
enum class affinity : uint8_t { blob, text, numeric, integer, real };

/// SQLite's rules for it.
affinity affinity_of(std::string_view declared_type);

/// One column of a table.
struct column_schema {
  /// What a row gets that does not name the column: nothing, always the same value that is not NULL, or the value of an
  /// expression that may fail or may differ from row to row.
  enum class default_kind : uint8_t { null, constant, computed };

  std::string name;
  sluice::affinity affinity = affinity::blob;
  bool not_null = false;
  default_kind by_default = default_kind::null;
};

/// Columns of which no two rows have the same values: the primary key, or a unique index over all rows.
struct unique_columns {
  /// Places in `table_schema::columns`.
  std::vector<size_t> columns;
  /// Whether texts in it are equal only when their bytes are.
  bool binary = true;
  /// Whether it is the column that SQLite counts up for rows that do not name it.
  bool rowid = false;
};

/// What the schema says about one table, as far as it matters to the write-behind buffer. Immutable.
class table_schema {
public:
  /// The query whose answer `read` takes; one snapshot of everything.
  static statement query(const std::string& table);

  /// `sql_error` when there is no such table, `invalid_request` when it is a view or a virtual table,
  /// `not_authorized` when it is a ledger's. @param cut whether the answer lacks rows
  static caf::expected<table_schema> read(const std::string& table, const rowset& answer, bool cut);

  /// As the schema spells it.
  const std::string& name() const noexcept { return name_; }
  const std::vector<column_schema>& columns() const noexcept { return columns_; }
  const std::vector<unique_columns>& keys() const noexcept { return keys_; }

  /// The place of a column, however its name is written.
  std::optional<size_t> find(std::string_view column) const;

  /// Whether nothing but the columns' own rules decides what becomes of an operation: no trigger, CHECK, foreign key,
  /// generated column, index over an expression or over a part of the rows, STRICT, AUTOINCREMENT.
  bool plain() const noexcept { return plain_; }

  /// Whether operations on other tables may change this one, or what operations on it do: triggers, foreign keys.
  bool keeps_order() const noexcept { return keeps_order_; }

  /// Whether what an operation does may depend on what else is in the same transaction: deferred foreign keys, and
  /// triggers that ask what the connection did before.
  bool needs_own_batch() const noexcept { return needs_own_batch_; }

private:
  struct builder;

  std::string name_;
  std::vector<column_schema> columns_;
  std::vector<unique_columns> keys_;
  bool plain_ = true;
  bool keeps_order_ = false;
  bool needs_own_batch_ = false;
};

} // namespace sluice
