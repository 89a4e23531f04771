#pragma once

#include "actors/buffer/table_schema.hpp"
#include "messages/buffer.hpp"

#include <caf/expected.hpp>

#include <optional>

namespace sluice {

/// An operation that has been checked against its table: names are spelled as in the schema, columns sorted by name.
struct checked_operation {
  buffer_put put;
  /// Whether the database cannot refuse it, and it may change places with free operations on other rows: then it may
  /// be merged with others on its row, and nobody can tell.
  bool is_mergeable = false;
  /// Whether it has to be written in a request of its own.
  bool needs_own_batch = false;
  /// Whether it keeps its place among the operations on other tables, too.
  bool keeps_order = false;
  /// Its place in the journal; 0 without one.
  uint64_t seq = 0;
};

/// `invalid_request` names what is wrong: a column that does not exist, columns that are no key, NULL in a key, a value
/// that SQLite cannot store, values that the operation does not take.
caf::expected<checked_operation> check(const table_schema& shape, buffer_put put);

/// A key like that of an operation, checked and spelled in the same way.
struct checked_key {
  row_key row;
  /// Whether the row is the same exactly when its values are equal as they stand.
  bool canonical = false;
  /// As for an operation.
  bool keeps_order = false;
};

caf::expected<checked_key> check(const table_schema& shape, row_key row);

/// What is read back after `cell` was stored in the column; nothing when only SQLite knows.
std::optional<value> as_stored(const column_schema& column, const value& cell);

} // namespace sluice
