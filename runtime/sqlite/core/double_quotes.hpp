#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <string>
#include <string_view>
#include <vector>

/// Text in double quotes. SQLite reads "x" as the text 'x' if there is no column of that name, unless this is disabled.
/// A misspelt column then goes unnoticed, so requests must not use it; but the schemas of existing databases depend on
/// it.
namespace sluice::sqlite {

/// `sql` with the double quotes of each token replaced by backticks, which SQLite accepts for names only.
std::string with_backticks(std::string_view sql);

/// Whether `name` stands in double quotes anywhere in `sql`.
bool mentions_in_double_quotes(std::string_view sql, std::string_view name);

/// The missing column that SQLite's message names; empty for another message.
std::string_view missing_column(std::string_view message) noexcept;

/// Whether a view or trigger contains `name` in double quotes, so that it may mean a text there.
caf::expected<bool> is_quoted_in_schema(const connection& db, std::string_view name);

/// The tables, indexes, views and triggers that depend on text in double quotes, as "trigger t1", in the order of the
/// schema. Executes statements of the schema only in a database in memory.
caf::expected<std::vector<std::string>> find_double_quoted_text(const connection& db);

} // namespace sluice::sqlite
