#include "runtime/broker/migrate.hpp"

#include <utility>

namespace sluice {

caf::expected<read_result> database_migrations::read(read_request request) { return db_.read(std::move(request)); }

caf::expected<write_result> database_migrations::apply(const migration_file& file, const migrate_options& options) {
  write_request request;
  request.agent = options.agent;
  request.deadline = options.deadline;
  if (auto error = prepare_migration(file.name, file.text, request))
    return error;
  return db_.write(std::move(request));
}

caf::expected<migrated> migrate(const database& db, const std::filesystem::path& folder,
                                const migrate_options& options) {
  database_migrations target{db};
  return migrate(target, folder, options);
}

} // namespace sluice
