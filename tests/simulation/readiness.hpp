#pragma once

#include "actors/base/clock.hpp"

#include <caf/resumable.hpp>

#include <deque>
#include <unordered_map>

namespace sluice::simulation {

/// Which actors have something to do and have not been run since, and for how long. On a machine, a thread that can run
/// is run soon; in the simulation only if the dice say so. Time in which an actor is kept from running for longer than
/// `tolerance` is the simulation's own, and says nothing of the broker.
class readiness {
public:
  static constexpr std::chrono::milliseconds tolerance{20};

  /// Time passes from `now` on: by `by` at most `tolerance`, with these actors ready.
  void time_passes(const std::deque<caf::resumable*>& jobs, clock::steady now, std::chrono::milliseconds by);

  /// Whether an actor has to run before more time passes.
  bool is_late(clock::steady now) const noexcept { return !waiting_.empty() && now - since_ >= tolerance / 2; }
  bool waits(caf::resumable* resumable) const { return waiting_.contains(resumable); }

  /// It is not to be run for now, for a reason that a machine has as well.
  void excuse(caf::resumable* resumable) { waiting_.erase(resumable); }

  /// An actor takes a message; then it has, or has not, more of them. What `begins` returns is for `ends`.
  struct run {
    caf::resumable* actor = nullptr;
    size_t messages_left = 0;
    uint64_t round = 0;
  };
  run begins(caf::resumable* resumable);
  void ends(const run& run, const std::deque<caf::resumable*>& jobs);

  /// All actors have ended.
  void forget() { waiting_.clear(); }

  /// How long the simulation has kept actors from running so far, beyond the tolerance.
  std::chrono::nanoseconds stalled() const noexcept { return stalled_; }

private:
  // How many messages each had in its mailbox at `since_` that it has not taken yet.
  std::unordered_map<caf::resumable*, size_t> waiting_;
  clock::steady since_{};
  uint64_t round_ = 0;
  std::chrono::nanoseconds stalled_{0};
};

} // namespace sluice::simulation
