#pragma once

#include "runtime/client/client.hpp"
#include "runtime/migrations/migrate.hpp"

namespace sluice {

/// A database of a client's store.
class client_migrations final : public migration_target {
public:
  /// `store` outlives this. @param db relative to the store root; need not exist yet
  client_migrations(client& store, std::string db) : store_(store), db_(std::move(db)) {}
  caf::expected<read_result> read(read_request request) override;
  caf::expected<write_result> apply(const migration_file& file, const migrate_options& options) override;

private:
  client& store_;
  std::string db_;
};

/// Applies the pending migrations in `folder` to `db`, which need not exist yet, and waits.
caf::expected<migrated> migrate(client& store, const std::string& db, const std::filesystem::path& folder,
                                const migrate_options& options = {});

} // namespace sluice
