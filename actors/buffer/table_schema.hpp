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

/// The conversion of stored values in a column, decided by its declared type.
enum class affinity : uint8_t { blob, text, numeric, integer, real };

/// SQLite's rules for the affinity.
affinity affinity_of(std::string_view declared_type);

/// One column of a table.
struct column_schema {
  /// The value of the column in a row that does not name it: NULL, a constant that is not NULL, or an expression that
  /// may fail or may differ from row to row.
  enum class default_kind : uint8_t { null, constant, computed };

  std::string name;
  sluice::affinity affinity = affinity::blob;
  bool not_null = false;
  default_kind by_default = default_kind::null;
};

/// Columns with unique values: the primary key, or a unique index over all rows.
struct unique_columns {
  /// Places in `table_schema::columns`.
  std::vector<size_t> columns;
  /// Whether texts in it are equal only if their bytes are.
  bool binary = true;
  /// Whether it is the column that SQLite numbers for rows that do not name it.
  bool rowid = false;
};

/// The properties of one table that matter to the write-behind buffer. Immutable.
class table_schema {
public:
  /// The query whose answer `read` takes; all of it is one snapshot.
  static statement query(const std::string& table);

  /// `sql_error` when there is no such table, `invalid_request` when it is a view or a virtual table, `not_authorized`
  /// when it is a ledger's. @param cut whether the answer was truncated
  static caf::expected<table_schema> read(const std::string& table, const rowset& answer, bool cut);

  /// As the schema spells it.
  const std::string& name() const noexcept { return name_; }
  const std::vector<column_schema>& columns() const noexcept { return columns_; }
  const std::vector<unique_columns>& keys() const noexcept { return keys_; }

  /// The index of a column, in any letter case.
  std::optional<size_t> find(std::string_view column) const;

  /// Whether only the columns' own rules decide the outcome of an operation: no trigger, CHECK, foreign key, generated
  /// column, index over an expression or over a part of the rows, STRICT, AUTOINCREMENT.
  bool plain() const noexcept { return plain_; }

  /// Whether operations on other tables may affect this one or its operations: triggers, foreign keys.
  bool keeps_order() const noexcept { return keeps_order_; }

  /// Whether the effect of an operation may depend on other operations of the transaction: deferred foreign keys, and
  /// triggers that query the connection's earlier changes.
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
