#pragma once

#include <deque>
#include <functional>
#include <utility>

namespace sluice {

/// A queue for long work, of which a few items run at a time. If the client of an item has gone when its turn comes,
/// the item is not started, so that clients that disconnect cost little. Used by one thread.
class turns {
public:
  /// Begins the work; the work calls its argument once when it has ended.
  using work = std::function<void(std::function<void()> ended)>;

  explicit turns(size_t most) : most_(most) {}

  /// Begins `work` at once, or after others have ended if `is_wanted` still returns true. This outlives the work.
  void take(std::function<bool()> is_wanted, work work) {
    waiting_.emplace_back(std::move(is_wanted), std::move(work));
    begin();
  }

private:
  void begin() {
    while (running_ < most_ && !waiting_.empty()) {
      auto [is_wanted, work] = std::move(waiting_.front());
      waiting_.pop_front();
      if (!is_wanted())
        continue;
      ++running_;
      work([this] {
        --running_;
        begin();
      });
    }
  }

  const size_t most_;
  size_t running_ = 0;
  std::deque<std::pair<std::function<bool()>, work>> waiting_;
};

} // namespace sluice
