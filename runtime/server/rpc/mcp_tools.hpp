#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// The tools that clients of the Model Context Protocol see. Pure functions.
namespace sluice::rpc {

/// A tool and the method behind it.
struct mcp_tool {
  std::string name;
  std::string method;
  /// The definition for `tools/list`.
  nlohmann::json definition;

  /// Whether calls can be cancelled.
  bool is_request() const { return method != "status" && method != "schema"; }

  /// Whether `inputSchema` has an argument of this name.
  bool takes(const std::string& argument) const;
};

/// All of them.
const std::vector<mcp_tool>& mcp_tools();

/// Null when there is no such tool.
const mcp_tool* find_mcp_tool(std::string_view name);

/// The instructions for the model in the answer to `initialize`, which name the tools for which `has_tool` is true.
std::string mcp_instructions(const std::function<bool(std::string_view)>& has_tool);

/// A failure for a model: code, message, outcome, and remedy.
std::string advice_on(const failure& failed);

} // namespace sluice::rpc
