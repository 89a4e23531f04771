#pragma once

struct sqlite3_context;

namespace sluice::sqlite {

/// Lets SQLite's planner use a range of an index for `x LIKE 'abc%'` and `x GLOB 'abc*'` although the function was
/// replaced. Call it from within the function, whose user data must begin with its `pattern_rules`. The planner checks
/// a flag that no function of the interface sets; without it, such a comparison reads the whole table.
///
/// No effect with untested versions of SQLite, or if the memory has another layout.
void mark_for_planner(sqlite3_context* context) noexcept;

} // namespace sluice::sqlite
