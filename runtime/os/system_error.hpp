#pragma once

#include "messages/error.hpp"

#include <string>

namespace sluice {

/// The error "cannot ACTION: REASON" for a file or folder of the broker, with an `action` such as "create .sluice/".
/// `code` is the `errno`; returns `errc::read_only`, `disk_full` or `io_error`.
caf::error file_error(const std::string& action, int code);

} // namespace sluice
