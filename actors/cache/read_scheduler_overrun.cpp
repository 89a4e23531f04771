#include "actors/cache/read_scheduler.hpp"

#include <utility>

// Tiny queries wait at one reader, because they finish before another one is awake. If one of them is not tiny after
// all, those behind it are taken back.
namespace sluice {

namespace {

// Much longer than eight tiny queries take, and much shorter than the time limit on the reader that is reserved for
// short queries.
constexpr std::chrono::milliseconds overrun_interval{20};

} // namespace

void read_scheduler::watch(database_queue& queue, effects& out) {
  if (std::exchange(queue.is_watched, true))
    return;
  watched_.push_back(&queue);
  if (next_overrun_check_ != clock::steady::max())
    return;
  next_overrun_check_ = time_.now() + overrun_interval;
  call_expire(next_overrun_check_, out);
}

void read_scheduler::take_back(clock::steady now, effects& out) {
  next_overrun_check_ = clock::steady::max();
  std::vector<database_context*> to_start;
  std::vector<database_queue*> left;
  for (auto* queue : std::exchange(watched_, {})) {
    for (auto id : queue->readers.overrun(queue->queued > 0))
      if (auto found = flights_.find(id); found != flights_.end()) {
        to_start.push_back(found->second.context);
        take_back(id);
      }
    queue->is_watched = queue->readers.has_waiting();
    if (queue->is_watched)
      left.push_back(queue);
  }
  watched_ = std::move(left);
  if (!watched_.empty()) {
    next_overrun_check_ = now + overrun_interval;
    call_expire(next_overrun_check_, out);
  }
  for (auto* context : to_start)
    start_queued(*context, out);
}

// The reader receives a message not to run the query, but still answers under its id, so the query waits under another
// id. If the reader has begun meanwhile, the query runs twice, which is harmless for a read.
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

// True when the answer belongs to a query that was taken back.
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
