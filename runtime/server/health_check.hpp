#pragma once

#include "actors/base/clock.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

/// Reports whether writes are possible, from a check that is at most one second old. One check runs at a time, so that
/// clients without a token cannot keep the disk busy. Used by one thread.
class health_check {
public:
  /// The reason why a write is impossible, else nothing.
  using result = std::optional<std::string>;
  using then = std::function<void(const result&)>;

  /// The maximum age of a check whose result is used.
  static constexpr std::chrono::seconds max_age{1};

  /// @param start_check starts a check, and calls its argument once, later, on the same thread
  explicit health_check(std::function<void(std::function<void(result)>)> start_check)
    : start_check_(std::move(start_check)) {}

  /// Calls `done` once: at once, or when the running check is over. @param now on a steady clock
  void ask(clock::steady now, then done);

private:
  std::function<void(std::function<void(result)>)> start_check_;
  std::vector<then> waiting_;
  result last_;
  // When the last check began.
  std::optional<clock::steady> checked_at_;
};

} // namespace sluice
