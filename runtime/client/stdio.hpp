#pragma once

#include "runtime/client/proxy_handler.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <functional>
#include <string_view>

namespace sluice {

/// Speaks JSON-RPC and MCP, one document per line, on stdin and stdout, as a client of the leader of the store `root`,
/// until stdin ends and every request has been answered. Nothing else is written to stdout. `warn` is called with
/// messages for people, as `client_options::warn`. Errors as `open_client`; `invalid_request` for an agent's name that
/// is invalid.
caf::expected<void> serve_stdio(const std::filesystem::path& root, std::function<void(std::string_view)> warn,
                                bridge_rights rights = {});

} // namespace sluice
