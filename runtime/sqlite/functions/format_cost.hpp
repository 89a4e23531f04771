#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace sluice::sqlite {

/// The output that a format of SQLite's `printf` requires beyond its arguments: the sum of its widths and precisions.
/// SQLite fills that much memory for each, even when the result is already too large. `number(i)` is argument `i` as an
/// integer, where argument 0 is the format itself; used for widths and precisions that are given as `*`. Thread-safe.
uint64_t format_cost(const char* format, const std::function<int64_t(size_t)>& number);

} // namespace sluice::sqlite
