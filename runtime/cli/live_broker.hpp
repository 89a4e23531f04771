#pragma once

#include "runtime/client/client.hpp"

namespace sluice::cli {

/// A client of the broker that leads `root` now, for commands about the broker itself: `errc::route_required` when
/// there is none. Starts no broker, and creates no `.sluice/`.
caf::expected<std::unique_ptr<client>> connect_to_broker(const std::filesystem::path& root);

} // namespace sluice::cli
