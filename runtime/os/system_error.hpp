#pragma once

#include "messages/error.hpp"

#include <string>

namespace sluice {

/// Why `object`, a file or folder of ours, could not be made: `code` is the `errno`. `errc::read_only`, `disk_full` or
/// `io_error`.
caf::error cannot_make(const std::string& object, int code);

} // namespace sluice
