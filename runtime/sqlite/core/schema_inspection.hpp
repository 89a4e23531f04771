#pragma once

#include "messages/statement.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// Looks at the schema of a database on a read-only connection of its own: never writes, never checkpoints, and leaves
/// no new files. Safe from any thread; blocks in the file system. Errors as `connection::open`.
namespace sluice::sqlite {

/// A statement that was prepared and not executed.
struct checked_statement {
  /// Why the database would refuse it; empty if it would not.
  std::string refusal;
  /// Whether it changes neither the file nor the schema. The others are set only without a refusal.
  bool reads_only = false;
  bool changes_schema = false;
  std::vector<std::string> columns;
};

/// For each of `statements`, what the database says about it now.
caf::expected<std::vector<checked_statement>> check_statements(const std::filesystem::path& path,
                                                               std::span<const sql_text> statements);

struct described_column {
  std::string name;
  /// As declared; possibly empty.
  std::string type;
  bool is_nullable = true;
  /// Its place in the primary key, from 1; 0 if it is not part of it.
  int64_t key_place = 0;
  /// The expression behind DEFAULT.
  std::optional<std::string> default_value{};
  bool is_generated = false;
};

struct described_table {
  std::string name;
  /// `table`, `view` or `virtual`.
  std::string kind;
  std::vector<described_column> columns;
};

/// The tables and views in the order of their names, without those of sluice (`_sluice_*`), of SQLite (`sqlite_*`) and
/// the shadow tables of virtual ones; at most `max_tables`. A view that is broken has no columns.
caf::expected<std::vector<described_table>> describe_tables(const std::filesystem::path& path, size_t max_tables);

} // namespace sluice::sqlite
