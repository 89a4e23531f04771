#pragma once

#include "runtime/lab/scenario/line_link.hpp"
#include "runtime/os/descriptor.hpp"

#include <filesystem>
#include <functional>
#include <thread>

namespace sluice::scenario {

/// A connection to the socket of the broker that serves the store. `errc::unavailable` when no broker answers; does not
/// block.
caf::expected<descriptor> connect_to_broker(const std::filesystem::path& store);

/// One subscription, on a connection of its own, because clients of the library cannot subscribe. Ends with its
/// destruction.
class listener {
public:
  using handler = std::function<void(nlohmann::json)>;

  /// `on_notification` is called by a thread of the listener, in the order of notifications.
  listener(std::filesystem::path root, handler on_notification)
    : root_(std::move(root)), on_notification_(std::move(on_notification)) {}
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;
  ~listener();

  /// Calls `subscribe`; once. Blocks.
  caf::expected<nlohmann::json> begin(const nlohmann::json& params);

private:
  void listen();

  std::filesystem::path root_;
  handler on_notification_;
  line_link link_;
  descriptor stop_;
  descriptor stopped_;
  std::thread thread_;
};

} // namespace sluice::scenario
