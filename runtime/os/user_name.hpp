#pragma once

#include <string>

namespace sluice {

/// The name of the user of this process, or `uidNUMBER` if it has none. Not thread-safe.
std::string user_name();

} // namespace sluice
