#include "actors/cache/read_scheduler.hpp"

#include <utility>

// Tiny queries wait at one reader, since they are done before another one is awake. Those behind one that is not tiny
// after all are taken back.
namespace sluice {

namespace {

// Far more than eight tiny queries take, and far less than a query may run for on the reader that is kept for short
// ones.
constexpr std::chrono::milliseconds look_interval{20};

} // namespace

void read_scheduler::watch(database_queue& own, effects& out) {
  if (std::exchange(own.is_watched, true))
    return;
  watched_.push_back(&own);
  if (next_look_ != clock::steady::max())
    return;
  next_look_ = time_.now() + look_interval;
  call_expire(next_look_, out);
}

void read_scheduler::take_back(clock::steady now, effects& out) {
  next_look_ = clock::steady::max();
  std::vector<database_context*> to_start;
  std::vector<database_queue*> left;
  for (auto* own : std::exchange(watched_, {})) {
    for (auto id : own->readers.overrun(own->queued > 0))
      if (auto found = flights_.find(id); found != flights_.end()) {
        to_start.push_back(found->second.context);
        take_back(id);
      }
    own->is_watched = own->readers.has_waiting();
    if (own->is_watched)
      left.push_back(own);
  }
  watched_ = std::move(left);
  if (!watched_.empty()) {
    next_look_ = now + look_interval;
    call_expire(next_look_, out);
  }
  for (auto* context : to_start)
    start_queued(*context, out);
}

// Its reader is asked not to run it, but answers under its number nevertheless, and so it waits under another one. If
// it has begun meanwhile it runs twice, which a read may.
void read_scheduler::take_back(uint64_t id) {
  auto flight = *take(id);
  taken_back_[id] = {flight.context, flight.reader};
  flight.interrupt.cancel();
  flight.interrupt = {};
  flight.reader = nullptr;
  flight.started = flight.is_limited = flight.first_left = false;
  if (flight.waiters.empty())
    return;
  auto next = next_flight_++;
  auto& added = flights_[next] = std::move(flight);
  if (added.joinable)
    joinable_.emplace(added.hash, next);
  enqueue(next, added);
}

// True when the reader has answered for what it does not have any more.
bool read_scheduler::was_taken_back(uint64_t id, effects& out) {
  auto found = taken_back_.find(id);
  if (found == taken_back_.end())
    return false;
  auto [context, reader] = found->second;
  taken_back_.erase(found);
  queue_of(*context).readers.finished(*reader, id);
  start_queued(*context, out);
  return true;
}

} // namespace sluice
