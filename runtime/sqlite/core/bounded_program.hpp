#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <string_view>

namespace sluice::sqlite {

/// Whether the work of a statement is bounded by its form: the program that SQLite has made of it runs from its
/// beginning to its end, without loops, triggers, virtual tables and other programs. So it reads and writes a few rows,
/// each found by a key, whatever is in the tables. False when that is not known.
///
/// Asks SQLite for the program (EXPLAIN, https://sqlite.org/opcode.html); costs about as much as preparing the
/// statement. @pre `sql` is one statement and no PRAGMA, which acts when it is prepared
bool is_bounded_by_its_form(const connection& db, std::string_view sql);

} // namespace sluice::sqlite
