#include "actors/cache/read_scheduler.hpp"

#include <utility>

// The WAL of a database restarts only at a moment without readers. Where reads overlap, there is none by itself.
namespace sluice {

void read_scheduler::quiesce(database_context& context, std::chrono::milliseconds time, reply<bool> to, effects& out) {
  auto& queue = queue_of(context);
  if (queue.quiesced && queue.quiesced->to)
    out.quiesced.push_back({std::move(*queue.quiesced->to), false});
  auto until = time_.now() + time;
  queue.quiesced = quiescence{&context, until, std::move(to)};
  expire_at(until, out);
  answer_if_quiet(queue, out);
}

void read_scheduler::resume(database_context& context, effects& out) {
  queue_of(context).quiesced.reset();
  start_queued(context, out);
}

void read_scheduler::answer_if_quiet(database_queue& queue, effects& out) {
  auto& quiesce = *queue.quiesced;
  if (!quiesce.to || !queue.readers.is_quiet())
    return;
  out.quiesced.push_back({std::move(*quiesce.to), true});
  quiesce.to.reset();
}

// Returns the time of the next check.
clock::steady read_scheduler::end_quiescence(clock::steady now, effects& out) {
  auto earliest = clock::steady::max();
  for (auto& [key, queue] : queues_) {
    if (!queue.quiesced)
      continue;
    if (now < queue.quiesced->until) {
      earliest = std::min(earliest, queue.quiesced->until);
      continue;
    }
    auto over = std::exchange(queue.quiesced, std::nullopt);
    if (over->to)
      out.quiesced.push_back({std::move(*over->to), false});
    start_queued(*over->context, out);
  }
  return earliest;
}

} // namespace sluice
