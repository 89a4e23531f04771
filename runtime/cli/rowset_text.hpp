#pragma once

#include "messages/rowset.hpp"
#include "runtime/cli/table.hpp"

#include <string>

namespace sluice::cli {

/// Rows as an aligned table: columns of numbers to the right, NULL as NULL (a text of that spelling in quotes), blobs
/// as `x'...'`, shortened.
std::string as_table(const rowset& rows);

/// Rows as CSV (RFC 4180) with a header line: NULL as nothing, an empty text as `""`, blobs as `x'...'` in full and
/// without quotes, text byte by byte, in quotes where it could be taken for something else. With `for_terminal` text is
/// escaped as in a table, and lines end as a terminal's do.
std::string as_csv(const rowset& rows, bool for_terminal);

/// The parts of `as_table` and `as_csv`, for rows that arrive page by page: an empty table with the columns of `like`,
/// whose rows determine which columns are numeric; its rows; the header line of CSV, and its other lines.
table empty_table(const rowset& like);
void add_rows(const rowset& rows, table& to);
std::string csv_heading(const rowset& rows, bool for_terminal);
std::string csv_rows(const rowset& rows, bool for_terminal);

} // namespace sluice::cli
