#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <string_view>

namespace sluice::sqlite {

/// Whether the form of a statement bounds its work: the program that SQLite has compiled runs from beginning to end
/// without loops, triggers, virtual tables and other programs. It then reads and writes a few rows, each found by a
/// key, whatever the tables contain. False when that is not known.
///
/// Reads the program from SQLite (EXPLAIN, https://sqlite.org/opcode.html); costs about as much as preparing the
/// statement. @pre `sql` is one statement and no PRAGMA, which acts when it is prepared
bool is_bounded_by_its_form(const connection& db, std::string_view sql);

} // namespace sluice::sqlite
