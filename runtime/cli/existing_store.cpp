#include "runtime/cli/existing_store.hpp"

#include "runtime/cli/request_options.hpp"

#include <nlohmann/json.hpp>

namespace sluice::cli {

bool is_missing(const std::filesystem::path& file) {
  std::error_code failed;
  return std::filesystem::status(file, failed).type() == std::filesystem::file_type::not_found;
}

caf::expected<std::unique_ptr<client>> open_existing(const std::filesystem::path& root, client_options options) {
  std::error_code unreadable;
  if (std::filesystem::is_directory(root, unreadable) && is_missing(root / ".sluice"))
    return make_error(errc::unknown_database, "this folder holds no store: no database in it was used through sluice");
  options.start_broker = false;
  options.fail_on_silence = true;
  options.needs_valid_config = false;
  return open_client(root, std::move(options));
}

caf::expected<nlohmann::json> status_for_agent(client& store) {
  return named_agent().empty() ? store.status() : store.call("status", with_agent(nlohmann::json::object()));
}

} // namespace sluice::cli
