#pragma once

#include "actors/base/clock.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

/// Answers whether writes are possible, from a check that is at most a second old. One check is under way at a time, so
/// that clients without a token cannot keep the disk busy. Used by one thread.
class health_check {
public:
  /// The reason if a write could not be done, else nothing.
  using result = std::optional<std::string>;
  using then = std::function<void(const result&)>;

  static constexpr std::chrono::seconds good_for{1};

  /// @param look starts a check, and calls its argument once, later, on the same thread
  explicit health_check(std::function<void(std::function<void(result)>)> look) : look_(std::move(look)) {}

  /// Calls `done` once: at once, or when the check under way is over. @param now on a steady clock
  void ask(clock::steady now, then done);

private:
  std::function<void(std::function<void(result)>)> look_;
  std::vector<then> waiting_;
  result last_;
  // When the last check began.
  std::optional<clock::steady> looked_at_;
};

} // namespace sluice
