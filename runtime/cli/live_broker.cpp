#include "runtime/cli/live_broker.hpp"

#include "runtime/cli/existing_store.hpp"

namespace sluice::cli {

caf::expected<std::unique_ptr<client>> connect_to_broker(const std::filesystem::path& root) {
  client_options options;
  options.start_broker = false;
  options.require_broker = true;
  return open_existing(root, std::move(options));
}

} // namespace sluice::cli
