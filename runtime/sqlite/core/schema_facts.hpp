#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace sluice::sqlite {

/// The meaning of a name that a statement reads.
enum class relation : uint8_t {
  /// A table whose content changes only by statements that write it.
  table,
  /// A view or a common table expression: the tables that it reads are reported under their own names.
  derived,
  /// A full-text or R-tree table; it is written together with its shadow tables.
  indexed,
  /// A table-valued function of its arguments.
  pure_function,
  /// SQLite's list of the schema.
  schema,
  /// Any relation whose content may change without a write that the broker detects.
  opaque,
};

/// Answers questions about names from the current schema of one connection. Used by the connection's thread.
class schema_facts {
public:
  /// `db` outlives this.
  explicit schema_facts(const connection& db) : db_(db) {}

  caf::expected<relation> classify(std::string_view name);

  /// Whether every function of that name has the same result for the same arguments on the same data. The date and time
  /// functions do not: they may read the clock.
  caf::expected<bool> deterministic(std::string_view function);

  /// The shadow tables of the virtual table `name`; empty when it is not one.
  caf::expected<std::vector<std::string>> shadow_tables(std::string_view name);

  /// Whether `name` is a virtual table of this database.
  caf::expected<bool> is_virtual(std::string_view name);

  /// The table whose content, or one of whose indexes, begins at this page of the file; empty when there is none.
  caf::expected<std::string> table_at(int64_t root_page);

private:
  caf::expected<std::string> definition(std::string_view name);
  caf::expected<bool> is_module(std::string_view name);
  caf::expected<void> load_functions();

  const connection& db_;
  std::unordered_set<std::string> deterministic_functions_;
};

} // namespace sluice::sqlite
