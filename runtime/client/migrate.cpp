#include "runtime/client/migrate.hpp"

#include "runtime/server/rpc/codec.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace sluice {

caf::expected<read_result> client_migrations::read(read_request request) {
  request.db = db_;
  return store_.read(std::move(request));
}

caf::expected<write_result> client_migrations::apply(const migration_file& file, const migrate_options& options) {
  // The broker reads the text, so that every client records the same.
  nlohmann::json params{{"db", db_}, {"name", file.name}, {"sql", file.text}};
  if (!options.agent.empty())
    params["agent"] = options.agent;
  if (options.deadline.count() > 0)
    params["deadline_ms"] = options.deadline.count();
  auto answer = store_.call("migrate", std::move(params));
  return answer ? rpc::write_result_from_json(*answer) : std::move(answer.error());
}

caf::expected<migrated> migrate(client& store, const std::string& db, const std::filesystem::path& folder,
                                const migrate_options& options) {
  client_migrations target{store, db};
  return migrate(target, folder, options);
}

} // namespace sluice
