#pragma once

#include "messages/interfaces.hpp"
#include "messages/status.hpp"

#include <caf/actor_control_block.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sluice {
class broker;
}

namespace sluice::cli {

/// How long the end of a broker may take, from the event that stops it.
struct exit_limits {
  /// The limit when a statement is still running that was running when the watchdog was created.
  std::chrono::milliseconds stuck{9'000};
  /// The limit in any case.
  std::chrono::milliseconds total{20'000};
};

/// Ends this process with `_exit` and status 1 if the broker does not end in time, because SQLite cannot interrupt
/// every function. By then all requests have been answered, and acknowledged writes are on disk. Before that it logs
/// which statements did not end.
class exit_watchdog {
public:
  /// The limits count from now. `leader` outlives the watchdog, and has not been shut down.
  explicit exit_watchdog(const broker& leader, exit_limits limits = {});
  exit_watchdog(const exit_watchdog&) = delete;
  exit_watchdog& operator=(const exit_watchdog&) = delete;
  /// The broker has ended: stops the watchdog.
  ~exit_watchdog();

private:
  struct reader {
    std::string db;
    caf::weak_actor_ptr actor;
  };

  bool ends_before(std::chrono::steady_clock::time_point limit);
  std::vector<std::string> stuck_statements() const;
  void run(const exit_limits& limits);

  const broker& leader_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  const std::vector<running_request> writes_;
  std::vector<reader> readers_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool has_ended_ = false;
  std::thread thread_;
};

} // namespace sluice::cli
