#include "tests/simulation/readiness.hpp"

#include <caf/scheduled_actor.hpp>

#include <algorithm>

namespace sluice::simulation {

namespace {

size_t messages_of(caf::resumable* x) {
  auto* actor = dynamic_cast<caf::scheduled_actor*>(x);
  return actor ? std::max<size_t>(1, actor->mailbox().size()) : 1;
}

} // namespace

void readiness::time_passes(const std::deque<caf::resumable*>& jobs, clock::steady now, std::chrono::milliseconds by) {
  if (waiting_.empty()) {
    ++round_;
    since_ = now;
    for (auto* x : jobs)
      waiting_.emplace(x, messages_of(x));
  }
  if (waiting_.empty())
    return;
  auto late = std::chrono::nanoseconds{now + by - since_} - tolerance;
  stalled_ += std::clamp(late, std::chrono::nanoseconds{0}, std::chrono::nanoseconds{by});
}

readiness::run readiness::begins(caf::resumable* x) {
  auto found = waiting_.find(x);
  if (found == waiting_.end())
    return {x, 0, round_};
  run result{x, found->second - 1, round_};
  waiting_.erase(found);
  return result;
}

void readiness::ends(const run& x, const std::deque<caf::resumable*>& jobs) {
  if (x.messages_left > 0 && x.round == round_ && std::find(jobs.begin(), jobs.end(), x.actor) != jobs.end())
    waiting_.emplace(x.actor, x.messages_left);
}

} // namespace sluice::simulation
