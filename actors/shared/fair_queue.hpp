#pragma once

#include "actors/shared/requester.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace sluice {

/// One level of a `fair_queue`: lanes, and the order of those with waiting items. Not synchronized.
template <class Key, class Content> class fair_lanes {
public:
  struct lane {
    Content content{};
    // The virtual time at which its next request starts, and when the lane was inserted.
    std::chrono::nanoseconds start{0};
    uint64_t since = 0;
    bool is_waiting = false;
    const Key* key = nullptr;
  };

  using place = std::tuple<std::chrono::nanoseconds, uint64_t, lane*>;

  fair_lanes() = default;
  // Lanes are referred to by the addresses of map nodes, which move with their map.
  fair_lanes(fair_lanes&&) = default;
  fair_lanes& operator=(fair_lanes&&) = default;

  /// The lane of `key`, created if missing. Valid until the lane of another key is requested.
  lane& at(const Key& key) {
    auto found = lanes_.find(key);
    if (found == lanes_.end()) {
      sweep_if_many();
      found = lanes_.try_emplace(key).first;
      found->second.key = &found->first;
    }
    return found->second;
  }

  /// Lanes with waiting items, in the order of their turns.
  const std::set<place>& waiting() const noexcept { return waiting_; }

  /// An empty lane has received an item.
  void enter(lane& lane) {
    lane.start = std::max(lane.start, now_);
    lane.since = ++places_;
    insert(lane);
  }

  /// The lane was served. @param goes_on whether it has further items
  void serve(lane& lane, bool goes_on) {
    erase(lane);
    now_ = std::max(now_, lane.start);
    lane.since = ++places_;
    if (goes_on)
      insert(lane);
  }

  /// Charges `lane` for a service that took `time`.
  void charge(lane& lane, std::chrono::nanoseconds time) {
    auto waits = lane.is_waiting;
    erase(lane);
    lane.start = std::max(lane.start, now_) + time;
    if (waits)
      insert(lane);
  }

  /// The number of lanes, including empty ones that are kept for their charges.
  size_t size() const noexcept { return lanes_.size(); }

  /// @pre nothing waits
  void clear() {
    assert(waiting_.empty());
    lanes_.clear();
    now_ = std::chrono::nanoseconds{0};
  }

private:
  static place place_of(lane& lane) { return {lane.start, lane.since, &lane}; }

  void insert(lane& lane) {
    lane.is_waiting = true;
    waiting_.insert(place_of(lane));
  }

  void erase(lane& lane) {
    if (std::exchange(lane.is_waiting, false))
      waiting_.erase(place_of(lane));
  }

  // Otherwise the lanes of names that never return would stay while anything waits. When there are many, their charges
  // are dropped.
  void sweep_if_many() {
    if (lanes_.size() < sweep_at_)
      return;
    std::erase_if(lanes_, [](const auto& x) { return !x.second.is_waiting; });
    sweep_at_ = std::max(least_swept, 2 * lanes_.size());
  }

  static constexpr size_t least_swept = 4'096;

  std::map<Key, lane> lanes_;
  std::set<place> waiting_;
  std::chrono::nanoseconds now_{0};
  uint64_t places_ = 0;
  size_t sweep_at_ = least_swept;
};

/// Waiting requests, served by turns: each process gets as much time as the others, within a process each of its
/// agents, and the requests of an agent keep their order.
///
/// Start-time fair queueing on both levels (Goyal, Vin, Cheng: "Start-time fair queueing", 1996), with the time that a
/// request has taken instead of a packet's length: it is known only afterwards, and charged then. The process whose
/// next request starts first in virtual time comes next, and within it the agent of which this is true. New processes
/// and agents start at the virtual time of the request that is being served, so they accumulate no credit while they
/// are idle.
///
/// Owned by one actor. Not synchronized.
template <class Item> class fair_queue {
public:
  void push(const requester& from, Item item) {
    auto& process = processes_.at(from.process);
    auto& agent = process.content.at(from.agent);
    agent.content.push_back(std::move(item));
    ++size_;
    if (!agent.is_waiting)
      process.content.enter(agent);
    if (!process.is_waiting)
      processes_.enter(process);
  }

  /// The next item among the processes for which `process_may` is true, and among those of their agents for which
  /// `agent_may` is; nothing when there is none.
  template <class ProcessPredicate, class AgentPredicate>
  std::optional<Item> pop_if(ProcessPredicate process_may, AgentPredicate agent_may) {
    for (const auto& place : processes_.waiting()) {
      auto& process = *std::get<2>(place);
      if (!process_may(*process.key))
        continue;
      for (const auto& inner : process.content.waiting())
        if (auto& agent = *std::get<2>(inner); agent_may(*process.key, *agent.key))
          return take(process, agent);
    }
    return std::nullopt;
  }

  /// The next result of `pop`; null when nothing waits.
  const Item* peek() const noexcept {
    return empty() ? nullptr : &first_of(first_of(processes_).content).content.front();
  }

  std::optional<Item> pop() {
    if (empty())
      return std::nullopt;
    auto& process = first_of(processes_);
    return take(process, first_of(process.content));
  }

  /// A request of this requester has taken this long.
  void charge(const requester& from, std::chrono::nanoseconds time) {
    auto& process = processes_.at(from.process);
    processes_.charge(process, time);
    process.content.charge(process.content.at(from.agent), time);
  }

  bool empty() const noexcept { return size_ == 0; }
  size_t size() const noexcept { return size_; }

  /// The number of agents of the process that are remembered.
  size_t known_agents(uint64_t process) { return processes_.at(process).content.size(); }

  /// Drops the charges of processes and agents. @pre empty
  void forget() {
    assert(empty());
    processes_.clear();
  }

private:
  using agents = fair_lanes<std::string, std::deque<Item>>;
  using processes = fair_lanes<uint64_t, agents>;

  template <class Lanes> static auto& first_of(const Lanes& lanes) { return *std::get<2>(*lanes.waiting().begin()); }

  std::optional<Item> take(typename processes::lane& process, typename agents::lane& agent) {
    std::optional<Item> result{std::move(agent.content.front())};
    agent.content.pop_front();
    --size_;
    process.content.serve(agent, !agent.content.empty());
    processes_.serve(process, !process.content.waiting().empty());
    return result;
  }

  processes processes_;
  size_t size_ = 0;
};

} // namespace sluice
