#pragma once

#include "runtime/cli/commands.hpp"

namespace sluice::cli {

/// `sluice buffer put` and `sluice buffer get`: one row by its key. @param buffer the command they belong to
void declare_buffer_row(CLI::App& buffer, action& chosen);

} // namespace sluice::cli
