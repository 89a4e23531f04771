#pragma once

#include "actors/log/log_queue.hpp"

#include <memory>
#include <string_view>

namespace sluice {

/// A handle for the log database of a store. It may outlive the broker: entries are then dropped, and counted. Cheap to
/// copy; safe to use from any thread and any actor.
class logger {
public:
  explicit logger(std::shared_ptr<log_queue> queue) : queue_(std::move(queue)) {}

  /// Takes an entry with the current time, and returns at once; another thread writes it a moment later
  /// (`log_interval_ms`). Never fails. Messages are truncated at `log_max_message` characters, names at 256.
  /// @param source the part of the program that logs
  /// @param agent the agent that it works for; empty if none
  void log(log_level level, std::string_view source, std::string_view message,
           std::string_view agent = {}) const noexcept {
    queue_->push(level, source, message, agent);
  }

  /// The number of entries that did not get into the file so far, because there was no room, or no broker any more.
  uint64_t dropped() const {
    log_status status;
    queue_->describe(status);
    return status.dropped;
  }

private:
  std::shared_ptr<log_queue> queue_;
};

} // namespace sluice
