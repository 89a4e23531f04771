#pragma once

#include "runtime/sqlite/core/statement.hpp"

#include <cstdint>
#include <optional>

namespace sluice::sqlite {

/// The number of the first record behind `bad`, which cannot be read, that can be; nothing when there is none. `select`
/// selects the records from the number in its parameter 1 on, in order, their number first; it is reset.
std::optional<int64_t> readable_after(prepared_statement& select, int64_t bad);

} // namespace sluice::sqlite
