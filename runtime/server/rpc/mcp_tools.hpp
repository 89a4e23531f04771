#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

/// What the Model Context Protocol's clients see of us, apart from the protocol itself. Pure functions.
namespace sluice::rpc {

/// A tool and the method behind it.
struct mcp_tool {
  std::string name;
  std::string method;
  /// As `tools/list` shows it.
  nlohmann::json definition;

  /// Whether calls are made as some agent and can be cancelled.
  bool is_request() const { return method != "status"; }

  /// Whether `inputSchema` has an argument of this name.
  bool takes(const std::string& argument) const;
  /// Whether that argument is a whole number.
  bool takes_integer(const std::string& argument) const;
};

/// All of them.
const std::vector<mcp_tool>& mcp_tools();

/// Null when there is no such tool.
const mcp_tool* find_mcp_tool(std::string_view name);

/// What `initialize` tells the model.
extern const std::string_view mcp_instructions;

/// A failure as a model needs it: code, message, outcome, and what to do about it.
std::string advice_on(const failure& x);

} // namespace sluice::rpc
