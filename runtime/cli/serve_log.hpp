#pragma once

#include <string_view>

namespace sluice {

class broker;

} // namespace sluice

/// The log of a running broker, on stderr: one line per event, with time and level. Thread-safe.
namespace sluice::cli {

void log_info(std::string_view text);
void log_warning(std::string_view text);

/// From now on the log also goes to the store's log database, until that broker ends. Warnings of the broker itself go
/// to stderr only: the log database has them already, or cannot be written.
void log_into(const broker& leader);

} // namespace sluice::cli
