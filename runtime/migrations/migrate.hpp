#pragma once

#include "messages/read.hpp"
#include "runtime/migrations/migration_plan.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

/// Applies the migrations in a folder to a database, wherever its broker is. runtime/broker/migrate.hpp and
/// runtime/client/migrate.hpp have the functions for programs.
namespace sluice {

struct migrate_options {
  std::string agent{};
  /// For each migration; zero means the configured default for writes.
  std::chrono::milliseconds deadline{0};
  /// Called before and after each migration; `done` is null before.
  std::function<void(const migration_file& file, const write_result* done)> progress{};
};

/// One database, as `migrate` sees it.
class migration_target {
public:
  virtual ~migration_target() = default;
  virtual caf::expected<read_result> read(read_request request) = 0;
  /// Applies a migration; the answer is `replayed` if it was applied before.
  virtual caf::expected<write_result> apply(const migration_file& file, const migrate_options& options) = 0;
};

struct migrated {
  struct step {
    uint64_t number = 0;
    std::string name;
    uint64_t commit_seq = 0;
    /// Another process has applied it meanwhile.
    bool by_another = false;
  };
  /// Those that were pending, in order.
  std::vector<step> steps;
  /// The number of those that had been applied before.
  size_t before = 0;
};

/// The files in `folder` beside the rows of the database, which need not exist yet. Errors as `read_migration_folder`
/// and of reads.
caf::expected<std::vector<planned_migration>>
plan_migrations(migration_target& target, const std::filesystem::path& folder, const migrate_options& options = {});

/// Applies the pending migrations of `folder`, each completely or not at all, in the order of their numbers. Stops at
/// the first that fails; those before it stay applied. Nothing is applied if `refusal_of` the plan has an error. Every
/// error names the file. It may be called again after any error, and goes on behind the last migration that was
/// applied; several processes may call it at once.
caf::expected<migrated> migrate(migration_target& target, const std::filesystem::path& folder,
                                const migrate_options& options = {});

} // namespace sluice
