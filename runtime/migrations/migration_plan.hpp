#pragma once

#include "runtime/migrations/migration_file.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// The files of a folder beside the rows of a database.
namespace sluice {

/// A row of `migrations_table`.
struct applied_migration {
  uint64_t number = 0;
  /// The file as it was named.
  std::string name;
  std::string hash;
  /// Microseconds since the Unix epoch.
  int64_t applied_us = 0;
  std::string agent;
  uint64_t commit_seq = 0;
};

/// Reads the migrations in `folder`, in the order of their numbers. `errc::invalid_request` if there is no such folder;
/// for a symbolic link; for an `.sql` file without a number, and for two files with one number; `too_large` and
/// `io_error` as `read_sql_folder`. Their texts are not checked. Blocks in the file system.
caf::expected<std::vector<migration_file>> read_migration_folder(const std::filesystem::path& folder);

enum class migration_state : uint8_t {
  applied,
  pending,
  /// Applied, and its file has another content now.
  changed,
  /// Applied, and there is no file of its number any more.
  missing,
  /// Not applied, but one with a higher number was.
  skipped,
};

/// `applied`, `pending`, ...
std::string_view to_string(migration_state state) noexcept;

/// One number, which has a file, a row, or both.
struct planned_migration {
  uint64_t number = 0;
  migration_state state = migration_state::pending;
  /// Empty name if there is none.
  migration_file file;
  /// Of the text of the file; empty if there is none.
  std::string file_hash;
  /// Number 0 if there is none.
  applied_migration row;

  /// The file, or as it was named.
  const std::string& name() const noexcept { return file.name.empty() ? row.name : file.name; }
};

/// Compares the files with the rows; one entry per number, in ascending order.
std::vector<planned_migration> plan_migrations(std::vector<migration_file> files, std::vector<applied_migration> rows);

/// Why nothing of the plan may be applied; nothing if it may. `errc::conflict` that names file and number of the first
/// entry that is neither applied nor pending; else what `prepare_migration` says about the first pending one.
caf::error refusal_of(const std::vector<planned_migration>& plan);

} // namespace sluice
