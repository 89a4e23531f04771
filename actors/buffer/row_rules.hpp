#pragma once

#include "actors/buffer/table_schema.hpp"
#include "messages/buffer.hpp"

#include <caf/expected.hpp>

#include <optional>

namespace sluice {

/// An operation that was checked against its table: names are spelled as in the schema, columns sorted by name.
struct checked_operation {
  buffer_put put;
  /// Whether the database cannot refuse it, and it may change places with mergeable operations on other rows. Merging
  /// it with others on its row then makes no difference.
  bool is_mergeable = false;
  /// Whether it must be written in a request of its own.
  bool needs_own_batch = false;
  /// Whether its order relative to operations on other tables must be kept.
  bool keeps_order = false;
  /// The place of the operation in the journal; 0 without a journal.
  uint64_t seq = 0;
};

/// `invalid_request` names the error: a column that does not exist, columns that are not a key, NULL in a key, a value
/// that SQLite cannot store, values that the operation does not take.
caf::expected<checked_operation> check(const table_schema& shape, buffer_put put);

/// A key like that of an operation, checked and spelled in the same way.
struct checked_key {
  row_key row;
  /// Whether two keys name the same row exactly when their values are equal.
  bool canonical = false;
  /// As in an operation.
  bool keeps_order = false;
};

caf::expected<checked_key> check(const table_schema& shape, row_key row);

/// The value that a read returns after `cell` was stored in the column; nothing when it cannot be predicted.
std::optional<value> as_stored(const column_schema& column, const value& cell);

} // namespace sluice
