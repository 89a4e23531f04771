#include "tests/simulation/readiness.hpp"

#include <caf/scheduled_actor.hpp>

#include <algorithm>

namespace sluice::simulation {

namespace {

size_t messages_of(caf::resumable* resumable) {
  auto* actor = dynamic_cast<caf::scheduled_actor*>(resumable);
  return actor ? std::max<size_t>(1, actor->mailbox().size()) : 1;
}

} // namespace

void readiness::time_passes(const std::deque<caf::resumable*>& jobs, clock::steady now, std::chrono::milliseconds by) {
  if (waiting_.empty()) {
    ++round_;
    since_ = now;
    for (auto* job : jobs)
      waiting_.emplace(job, messages_of(job));
  }
  if (waiting_.empty())
    return;
  auto late = std::chrono::nanoseconds{now + by - since_} - tolerance;
  stalled_ += std::clamp(late, std::chrono::nanoseconds{0}, std::chrono::nanoseconds{by});
}

readiness::run readiness::begins(caf::resumable* resumable) {
  auto found = waiting_.find(resumable);
  if (found == waiting_.end())
    return {resumable, 0, round_};
  run result{resumable, found->second - 1, round_};
  waiting_.erase(found);
  return result;
}

void readiness::ends(const run& run, const std::deque<caf::resumable*>& jobs) {
  if (run.messages_left > 0 && run.round == round_ && std::find(jobs.begin(), jobs.end(), run.actor) != jobs.end())
    waiting_.emplace(run.actor, run.messages_left);
}

} // namespace sluice::simulation
