#pragma once

#include <string_view>

/// The log of a running broker, on stderr: one line per event, with time and level. Thread-safe.
namespace sluice::cli {

void log_info(std::string_view text);
void log_warning(std::string_view text);

} // namespace sluice::cli
