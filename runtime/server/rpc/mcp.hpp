#pragma once

#include "runtime/server/rpc/handler.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace sluice::rpc {

struct mcp_settings {
  std::string version;
  /// The agent of calls without an `agent` argument; the client's name from `initialize` replaces it.
  std::string agent = "mcp";
  /// Whether methods that are none of MCP's go through to the handler behind; refused as unknown otherwise.
  bool pass_through = false;
};

/// Whether this is a revision of the protocol that we speak, as `2025-06-18`.
bool speaks_mcp(std::string_view version);

/// The Model Context Protocol (modelcontextprotocol.io) in front of `methods`, for one client: `initialize`, `ping`,
/// `notifications/*`, `tools/list` and `tools/call`, whose tools are calls of `read` and `write` behind it. A tool that
/// fails is a result with `isError`, as the specification has it; an unknown tool or bad arguments are errors.
std::unique_ptr<handler> make_mcp(std::unique_ptr<handler> methods, mcp_settings settings);

} // namespace sluice::rpc
