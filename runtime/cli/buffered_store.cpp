#include "runtime/cli/buffered_store.hpp"

#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/live_broker.hpp"

namespace sluice::cli {

caf::expected<std::unique_ptr<client>> open_buffered(const std::filesystem::path& root) {
  auto live = connect_to_broker(root);
  if (live || code_of(live.error()) != errc::route_required)
    return live;
  // This file contains everything that a broker leaves behind.
  std::error_code unreadable;
  if (!std::filesystem::exists(root / ".sluice" / "buffer.db", unreadable))
    return std::unique_ptr<client>{};
  return open_existing(root);
}

} // namespace sluice::cli
