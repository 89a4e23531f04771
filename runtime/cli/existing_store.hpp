#pragma once

#include "runtime/client/client.hpp"

#include <filesystem>

namespace sluice::cli {

/// Whether there is no such file; false for one that cannot be looked up.
bool is_missing(const std::filesystem::path& file);

/// `open_client` for commands that only look: a folder that was never a store is not made one, but refused
/// (`unknown_database`), and a broker is not started for them.
caf::expected<std::unique_ptr<client>> open_existing(const std::filesystem::path& root, client_options options = {});

} // namespace sluice::cli
