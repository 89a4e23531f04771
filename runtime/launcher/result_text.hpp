#pragma once

#include "runtime/launcher/quick_command.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sluice::launcher {

/// The output of a command, and its exit status.
struct command_output {
  std::string out;
  std::string err;
  int status = 0;
};

/// Formats the answer `line` exactly as the main program does. Returns nothing when the main program must take over:
/// the answer has another form, or another broker must be asked.
std::optional<command_output> output_for(const quick_command& command, std::string_view line, bool for_terminal);

} // namespace sluice::launcher
