#pragma once

#include "runtime/os/descriptor.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <optional>

namespace sluice {

/// Connects to the socket at `path` and makes sure that it is a process of this user that answers there. Nothing when
/// nobody answers: there is no socket, it is a dead one, or too many are waiting at it. `errc::not_authorized` when it
/// is not this user's, `io_error` when the process is out of descriptors and the like. Does not block.
caf::expected<std::optional<descriptor>> connect_to(const std::filesystem::path& path);

} // namespace sluice
