#pragma once

#include "runtime/lab/scenario/backend.hpp"
#include "runtime/lab/scenario/step.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sluice::scenario {

/// A scenario as its file defines it: agents, faults and expectations (docs/guides/scenarios.md). Plain data.
struct definition {
  std::string name;
  std::string about;
  setup backend;
  std::vector<step> steps;
};

/// The error in an invalid scenario file.
struct wrong_file {
  place at;
  std::string text;
};

/// The agent of steps that name no agent.
inline constexpr std::string_view default_agent = "someone";

/// Reads a scenario completely, so that no error in its form appears later. Never throws.
std::variant<definition, wrong_file> parse_scenario(const std::string& text);

/// Reads a scenario from a file. A file that cannot be read gives an error without a position.
std::variant<definition, wrong_file> read_scenario(const std::filesystem::path& file);

} // namespace sluice::scenario
