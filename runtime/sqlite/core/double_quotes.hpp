#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <string>
#include <string_view>
#include <vector>

/// Text in double quotes. SQLite reads "x" as the text 'x' if there is no column of that name, unless this is switched
/// off. A misspelt column then goes unnoticed, so requests may not use it; but the schemas of existing databases depend
/// on it.
namespace sluice::sqlite {

/// `sql` with each token in double quotes written in backticks, which SQLite takes for a name only.
std::string with_backticks(std::string_view sql);

/// Whether `name` stands in double quotes anywhere in `sql`.
bool mentions_in_double_quotes(std::string_view sql, std::string_view name);

/// The column that SQLite's message says is missing; empty when it says something else.
std::string_view missing_column(std::string_view message) noexcept;

/// Whether a view or trigger has `name` in double quotes, so that it may be a text there.
caf::expected<bool> is_quoted_in_schema(const connection& db, std::string_view name);

/// The tables, indexes, views and triggers that depend on text in double quotes, as "trigger t1", in the order of the
/// schema. Executes no statement of the schema but in a database in memory.
caf::expected<std::vector<std::string>> find_double_quoted_text(const connection& db);

} // namespace sluice::sqlite
