#pragma once

#include "runtime/client/client.hpp"

#include <filesystem>

namespace sluice::cli {

/// Whether the file does not exist; false if that cannot be determined.
bool is_missing(const std::filesystem::path& file);

/// `open_client` for commands that only read: refuses a folder that is no store (`unknown_database`) instead of making
/// it one, and starts no broker.
caf::expected<std::unique_ptr<client>> open_existing(const std::filesystem::path& root, client_options options = {});

/// `client::status`, in the name of SLUICE_AGENT if that is set.
caf::expected<nlohmann::json> status_for_agent(client& store);

} // namespace sluice::cli
