#pragma once

#include "runtime/os/descriptor.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <optional>

namespace sluice {

/// Connects to the socket at `path` and checks that its peer is a process of this user. Nothing when the connection is
/// not accepted: there is no socket, no process listens at it, or its queue is full. `errc::not_authorized` when it
/// belongs to another user, `io_error` when the process has no free descriptor, or the system refuses for a similar
/// reason. Does not block.
caf::expected<std::optional<descriptor>> connect_to(const std::filesystem::path& path);

} // namespace sluice
