#pragma once

#include "runtime/broker/broker.hpp"
#include "runtime/migrations/migrate.hpp"

namespace sluice {

/// A database of a broker in this process.
class database_migrations final : public migration_target {
public:
  explicit database_migrations(database db) : db_(std::move(db)) {}
  caf::expected<read_result> read(read_request request) override;
  caf::expected<write_result> apply(const migration_file& file, const migrate_options& options) override;

private:
  database db_;
};

/// Applies the pending migrations in `folder` to `db`, and waits; for plain threads.
caf::expected<migrated> migrate(const database& db, const std::filesystem::path& folder,
                                const migrate_options& options = {});

} // namespace sluice
