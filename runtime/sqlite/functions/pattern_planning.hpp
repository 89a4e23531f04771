#pragma once

struct sqlite3_context;

namespace sluice::sqlite {

/// Lets SQLite's planner look for a range of an index for `x LIKE 'abc%'` and `x GLOB 'abc*'` though the function is
/// ours. To be called from within the function, whose user data begin with its `pattern_rules`. The planner asks for a
/// flag that no call of the interface sets; without it, such a comparison reads the whole table.
///
/// Does nothing with versions of SQLite that it was not tried with, or when the memory is not laid out as it is there.
void mark_for_planner(sqlite3_context* context) noexcept;

} // namespace sluice::sqlite
