#pragma once

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

/// Changes to the files of a store by other programs: the steps `files.*` and `store.copy` of scenarios.
namespace sluice::scenario {

/// Executes `{"do": "backup", "db", "as"}`, `{"do": "restore", "db", "from", "how": "rename"
/// "copy"}`, `{"do": "remove", "db", "what": "database"
/// "log"
/// "index"
/// "all"}` or `{"do": "copy", "db"}` in the folder `root`, on the disk that SQLite uses. A copy is inspected and
/// removed: `{"integrity", "last_commit_seq"}`. `errc::io_error` when that fails, `internal` for anything else.
caf::expected<nlohmann::json> change_files(const std::filesystem::path& root, const nlohmann::json& command);

/// The `params` of the method `write` for a step with one statement in `sql`.
nlohmann::json as_write(nlohmann::json fields);

} // namespace sluice::scenario
