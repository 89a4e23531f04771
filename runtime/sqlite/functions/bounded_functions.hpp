#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <functional>

namespace sluice::sqlite {

/// The bounds of one call of a function.
struct function_limits {
  /// Bytes of a value, as `connection::limit_values` has them.
  uint64_t max_value_bytes = 16ULL << 20;
  /// Comparisons of one call that do not follow from the length of its arguments alone. About half a second.
  uint64_t max_steps = 1ULL << 28;
};

/// Replaces the functions of SQLite that a request could keep busy for hours within one instruction, which nothing can
/// interrupt: `instr`, `replace`, `trim`, `ltrim`, `rtrim`, `like` and `glob` (the operators LIKE and GLOB as well),
/// `printf`, `format`, `json_patch`. Their results equal SQLite's own, so that indexes, generated columns and CHECKs
/// that use them keep their meaning; a call beyond `limits` fails as `errc::too_large`.
///
/// `is_due` returns whether the running statement must end; it is called before long calls, which then fail like an
/// interrupt. Call this before anything is prepared. `errc::unavailable` when memory is lacking.
caf::expected<void> bound_functions(connection& db, const function_limits& limits, std::function<bool()> is_due);

} // namespace sluice::sqlite
