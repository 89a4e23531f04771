#pragma once

#include "runtime/sqlite/core/statement.hpp"

#include <cstdint>
#include <functional>
#include <optional>

namespace sluice::sqlite {

/// The callbacks of `walk_readable`.
struct row_visitor {
  /// Called for each readable row; false ends the walk.
  std::function<bool(const prepared_statement& row)> on_row;
  /// Called for each run of unreadable rows, with the key of the next readable one, if there is one.
  std::function<void(std::optional<int64_t> next)> on_gap = [](std::optional<int64_t>) {};
};

/// Steps through the rows of `select` from the key `from` on, and skips unreadable pages. The statement selects the
/// rows whose key is at least its parameter 1, in the order of the key, which is its first column.
/// @return the first error code, or SQLITE_OK
int walk_readable(prepared_statement& select, int64_t from, const row_visitor& visitor);

} // namespace sluice::sqlite
