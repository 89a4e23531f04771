#pragma once

#include "runtime/client/client.hpp"

namespace sluice::cli {

/// A way to the broker that leads `root` now, for commands that are about the broker itself: `errc::route_required`
/// when there is none. Never starts one, and does not make a folder a store.
caf::expected<std::unique_ptr<client>> connect_to_broker(const std::filesystem::path& root);

} // namespace sluice::cli
