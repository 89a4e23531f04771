#pragma once

#include "runtime/frontdoor/rpc/port.hpp"

#include <caf/expected.hpp>

#include <filesystem>

namespace sluice {

/// Speaks JSON-RPC and MCP, one document per line, on stdin and stdout, as a client of whoever leads the store `root`,
/// until stdin ends and everything asked has been answered. Nothing else goes to stdout. Errors as `open_client`.
caf::expected<void> serve_stdio(const std::filesystem::path& root);

} // namespace sluice
