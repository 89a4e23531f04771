#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace sluice::sqlite {

/// The output that a format of SQLite's `printf` demands beyond its arguments: the sum of its widths and precisions.
/// SQLite fills as much memory for each, though the result has long been too large. `number(i)` is argument `i` as an
/// integer, the format itself being argument 0; for widths and precisions that are given as `*`. Thread-safe.
uint64_t format_cost(const char* format, const std::function<int64_t(size_t)>& number);

} // namespace sluice::sqlite
