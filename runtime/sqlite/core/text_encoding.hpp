#pragma once

#include <caf/error.hpp>

#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

/// Detects text that would be changed on its way into or out of a database whose encoding is UTF-16 (`PRAGMA
/// encoding`), because SQLite converts it silently. A database in UTF-8 stores any bytes. Used by the thread of the
/// connection.
namespace sluice::sqlite {

/// Whether UTF-16 can hold `text` as SQLite converts it: valid UTF-8 without U+FFFE and U+FFFF.
bool fits_utf16(std::string_view text) noexcept;

/// Whether the database stores text as UTF-16. Queries SQLite, so do not call it for every value.
bool stores_utf16(sqlite3* db) noexcept;

/// Whether the current row's value of `column`, which is TEXT, is in UTF-16: false after a conversion.
bool is_in_utf16(sqlite3_stmt* stmt, int column) noexcept;

/// Whether such a value cannot be expressed in UTF-8: it has a surrogate without its other half, or half a unit.
/// @pre `is_in_utf16`
bool has_lone_surrogate(sqlite3_stmt* stmt, int column) noexcept;

/// `errc::invalid_request` for such a value of the column `name`.
caf::error inexact_text(std::string_view name);

} // namespace sluice::sqlite
