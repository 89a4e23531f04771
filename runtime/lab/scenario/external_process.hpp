#pragma once

#include "runtime/lab/scenario/backend.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace sluice::scenario {

/// Acts without the broker: opens the databases of a store with SQLite itself. Used by one thread.
class external_process {
public:
  /// @param root the folder of the store
  explicit external_process(std::filesystem::path root) : root_(std::move(root)) {}

  /// Executes `{"do":"execute","db","sql":[...]}`, `{"do":"lock","db"}` or `{"do":"unlock","db"}`, waiting for a lock
  /// for half a minute; or a command of `change_files`.
  caf::expected<nlohmann::json> execute(const nlohmann::json& command);

private:
  caf::expected<sqlite::connection> open(const std::string& db) const;
  caf::expected<nlohmann::json> execute(const std::string& db, const nlohmann::json& statements) const;
  caf::expected<nlohmann::json> lock(const std::string& db);
  caf::expected<nlohmann::json> unlock(const std::string& db);

  std::filesystem::path root_;
  std::map<std::string, sqlite::connection> locked_;
};

/// Creates the databases of a setup in an external process that runs the commands of `execute`. Nothing on success.
std::optional<setup_error>
make_databases(const setup& wanted, const std::function<caf::expected<nlohmann::json>(const nlohmann::json&)>& execute);

/// The main function of an external process: executes commands from stdin, in the form of `line_link::ask`, until stdin
/// ends, and answers on stdout.
void run_external_process(const std::filesystem::path& root);

} // namespace sluice::scenario
