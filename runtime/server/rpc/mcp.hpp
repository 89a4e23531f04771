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
  /// Whether methods that are not MCP's are passed to the inner handler; otherwise they are refused as unknown.
  bool pass_through = false;
  /// Whether only tools that change nothing are listed, and calls of others are refused.
  bool read_only = false;
  /// Whether every call is in the name `agent`: an `agent` argument and the client's own name have no effect.
  bool is_bound = false;
};

/// Whether this revision of the protocol, such as `2025-06-18`, is supported.
bool speaks_mcp(std::string_view version);

/// The Model Context Protocol (modelcontextprotocol.io) in front of `methods`, for one client: `initialize`, `ping`,
/// `notifications/*`, `tools/list` and `tools/call`, whose tools call the inner `read` and `write`. A tool that fails
/// is a result with `isError`, as the specification requires; an unknown tool or invalid arguments are errors.
std::unique_ptr<handler> make_mcp(std::unique_ptr<handler> methods, mcp_settings settings);

} // namespace sluice::rpc
