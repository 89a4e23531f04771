#pragma once

#include "runtime/descriptor.hpp"
#include "runtime/store_root.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <optional>

namespace sluice {

/// Connects to the socket at `path` and makes sure that it is a process of this user that answers there. Nothing when
/// nobody answers: there is no socket, it is a dead one, or too many are waiting at it. `errc::not_authorized` when it
/// is not this user's, `io_error` when the process is out of descriptors and the like. Does not block.
caf::expected<std::optional<descriptor>> connect_to(const std::filesystem::path& path);

/// Connects to the first place of `leader_sockets` at which anybody answers, and asks for nothing. Errors as
/// `connect_to`.
caf::expected<std::optional<descriptor>> connect_to_leader(const store_root& root);

} // namespace sluice
