#pragma once

#include "runtime/launcher/quick_command.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sluice::launcher {

/// What a command prints, and its exit status.
struct command_output {
  std::string out;
  std::string err;
  int status = 0;
};

/// The output for the answer `line`, as of the whole program. Nothing when that has more to do: the answer is in
/// another form, or another broker is to be asked.
std::optional<command_output> output_for(const quick_command& command, std::string_view line, bool for_terminal);

} // namespace sluice::launcher
