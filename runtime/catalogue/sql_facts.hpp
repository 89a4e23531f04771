#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What the text of an SQL statement shows without a schema. Pure functions, safe from any thread.
namespace sluice {

/// The names of the parameters of `sql`, without the prefix (`:`, `@` or `$`), each once and in the order of the text.
/// A parameter without a name is given as it is written (`?` or `?5`), and one in SQLite's Tcl form with all of it
/// (`a::b`, `a(1)`).
std::vector<std::string> parameters_in(std::string_view sql);

enum class sql_effect : uint8_t {
  /// SELECT, VALUES, EXPLAIN, and PRAGMA without a new value.
  reads,
  /// INSERT, UPDATE, DELETE and REPLACE.
  changes_rows,
  /// Everything else that changes the file: its schema, its settings.
  changes_database,
  /// BEGIN, COMMIT, ATTACH and others that a request may not hold, because it is a transaction.
  controls_connection,
  /// No statement of SQLite begins like this.
  unknown,
};

/// What `sql` does, by its first keyword; of a WITH, by the one behind its last common table expression.
sql_effect effect_of(std::string_view sql);

/// Whether `sql` is an INSERT that replaces and updates nothing, or a CREATE. False if it might be more.
bool only_adds(std::string_view sql);

/// Whether `sql` reads, or has a RETURNING clause.
bool gives_rows(std::string_view sql);

/// Whether `sql` is a CREATE TRIGGER whose body lacks its END.
bool is_unfinished_trigger(std::string_view sql);

/// Why the text of `sql` shows that it cannot be a statement of `what` ("an operation"), which is one transaction;
/// empty if nothing in it does. Without a schema: SQLite has the last word when it is prepared.
std::string why_no_statement(std::string_view sql, std::string_view what);

/// Whether `token`, the last one of a text, is a quoted text or name without its closing quote.
bool is_unclosed(std::string_view token) noexcept;

} // namespace sluice
