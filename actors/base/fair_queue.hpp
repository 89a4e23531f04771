#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace sluice {

/// Requests that wait, served by turns: each agent gets as much time as the others, and its own requests keep their
/// order.
///
/// Start-time fair queueing (Goyal, Vin, Cheng: "Start-time fair queueing", 1996), with the time that a request has
/// taken in place of a packet's length: it is known only afterwards, and charged then. The agent whose next request
/// starts first in virtual time comes next. An agent that comes new starts at the virtual time of what is served, and
/// so gathers no credit while it asks for nothing.
///
/// Owned by one actor. Not synchronized.
template <class Item> class fair_queue {
public:
  void push(const std::string& agent, Item x) {
    auto& own = lanes_[agent];
    own.queue.push_back(std::move(x));
    ++size_;
    if (own.queue.size() > 1)
      return;
    own.start = std::max(own.start, now_);
    own.since = ++places_;
    make_ready(own);
  }

  /// The next one to be served among the agents for which `may_come` is true; nothing when there is none.
  template <class Predicate> std::optional<Item> pop_if(Predicate may_come) {
    auto found =
      std::find_if(ready_.begin(), ready_.end(), [&](const auto& x) { return may_come(*std::get<2>(x)->agent); });
    if (found == ready_.end())
      return std::nullopt;
    auto& own = *std::get<2>(*found);
    ready_.erase(found);
    now_ = std::max(now_, own.start);
    std::optional<Item> result{std::move(own.queue.front())};
    own.queue.pop_front();
    --size_;
    own.since = ++places_;
    if (!own.queue.empty())
      make_ready(own);
    return result;
  }

  /// What `pop` would give; null when nothing waits.
  const Item* peek() const noexcept { return ready_.empty() ? nullptr : &std::get<2>(*ready_.begin())->queue.front(); }

  std::optional<Item> pop() {
    return pop_if([](const std::string&) { return true; });
  }

  /// A request of `agent` has taken this long.
  void charge(const std::string& agent, std::chrono::nanoseconds time) {
    auto& own = lanes_[agent];
    auto waits = ready_.erase(place_of(own)) > 0;
    own.start = std::max(own.start, now_) + time;
    if (waits)
      make_ready(own);
  }

  bool empty() const noexcept { return size_ == 0; }
  size_t size() const noexcept { return size_; }

  /// Forgets what agents were charged. @pre empty
  void forget() {
    lanes_.clear();
    now_ = std::chrono::nanoseconds{0};
  }

private:
  struct lane {
    std::deque<Item> queue;
    // The virtual time at which its next request starts, and when it came into its place.
    std::chrono::nanoseconds start{0};
    uint64_t since = 0;
    const std::string* agent = nullptr;
  };

  using place = std::tuple<std::chrono::nanoseconds, uint64_t, lane*>;

  // A map, whose nodes stay where they are.
  class lane_map {
  public:
    lane& operator[](const std::string& agent) {
      auto& [name, own] = *lanes_.try_emplace(agent).first;
      own.agent = &name;
      return own;
    }
    void clear() { lanes_.clear(); }

  private:
    std::map<std::string, lane> lanes_;
  };

  static place place_of(lane& x) { return {x.start, x.since, &x}; }
  void make_ready(lane& x) { ready_.insert(place_of(x)); }

  lane_map lanes_;
  // Those in which something waits, in the order of their turns.
  std::set<place> ready_;
  std::chrono::nanoseconds now_{0};
  uint64_t places_ = 0;
  size_t size_ = 0;
};

} // namespace sluice
