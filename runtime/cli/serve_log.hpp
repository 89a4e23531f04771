#pragma once

#include <string_view>

namespace sluice {

class broker;

} // namespace sluice

/// The log of a running broker, on stderr: one line per event, with time and level. Thread-safe.
namespace sluice::cli {

void log_info(std::string_view text);
void log_warning(std::string_view text);

/// From now on the log goes to the store's log database, too, for as long as there is that broker. What the broker
/// warns of itself comes to stderr alone: the log database has it, or cannot have it.
void log_into(const broker& leader);

} // namespace sluice::cli
