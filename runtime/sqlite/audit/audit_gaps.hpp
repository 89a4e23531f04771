#pragma once

#include "runtime/sqlite/core/statement.hpp"

#include <cstdint>
#include <functional>
#include <optional>

namespace sluice::sqlite {

/// What `walk_readable` calls.
struct row_visitor {
  /// For each row that can be read; false ends the walk.
  std::function<bool(const prepared_statement& row)> on_row;
  /// For each run of rows that cannot be read, with the key of the next one that can, if there is one.
  std::function<void(std::optional<int64_t> next)> on_gap = [](std::optional<int64_t>) {};
};

/// Steps through the rows that `select` finds from the key `from` on, and goes around pages that cannot be read. The
/// statement has the rows whose key is at least its parameter 1, in the order of the key, which is its first column.
/// @return the first error code, SQLITE_OK when there was none
int walk_readable(prepared_statement& select, int64_t from, const row_visitor& visitor);

} // namespace sluice::sqlite
