#pragma once

#include <string>

namespace sluice {

/// The name of the user whom this process runs as, or `uidNUMBER` where it has none. Not safe while another thread
/// asks.
std::string user_name();

} // namespace sluice
