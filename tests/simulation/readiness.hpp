#pragma once

#include "actors/base/clock.hpp"

#include <caf/resumable.hpp>

#include <deque>
#include <unordered_map>

namespace sluice::simulation {

/// Which actors are ready and have not run since, and for how long. On a machine, a ready thread runs soon; in the
/// simulation only if the dice choose it. Time beyond `tolerance` in which a ready actor does not run is an artefact of
/// the simulation, and not counted against the broker.
class readiness {
public:
  static constexpr std::chrono::milliseconds tolerance{20};

  /// Advances the time from `now` on by `by`, at most `tolerance`, with these actors ready.
  void time_passes(const std::deque<caf::resumable*>& jobs, clock::steady now, std::chrono::milliseconds by);

  /// Whether an actor has to run before more time passes.
  bool is_late(clock::steady now) const noexcept { return !waiting_.empty() && now - since_ >= tolerance / 2; }
  bool waits(caf::resumable* resumable) const { return waiting_.contains(resumable); }

  /// Notes that the actor must not run for now, for a reason that a machine has as well.
  void excuse(caf::resumable* resumable) { waiting_.erase(resumable); }

  /// Called before and after an actor handles a message; `ends` gets the result of `begins`, and whether it has more.
  struct run {
    caf::resumable* actor = nullptr;
    size_t messages_left = 0;
    uint64_t round = 0;
  };
  run begins(caf::resumable* resumable);
  void ends(const run& run, const std::deque<caf::resumable*>& jobs);

  /// Notes that all actors have ended.
  void forget() { waiting_.clear(); }

  /// The time in which the simulation has kept actors from running so far, beyond the tolerance.
  std::chrono::nanoseconds stalled() const noexcept { return stalled_; }

private:
  // The number of messages that each actor had in its mailbox at `since_` and has not taken yet.
  std::unordered_map<caf::resumable*, size_t> waiting_;
  clock::steady since_{};
  uint64_t round_ = 0;
  std::chrono::nanoseconds stalled_{0};
};

} // namespace sluice::simulation
