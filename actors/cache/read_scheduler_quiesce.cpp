#include "actors/cache/read_scheduler.hpp"

#include <utility>

// The log of a database begins anew only in a moment without readers, which does not come by itself where reads
// overlap.
namespace sluice {

void read_scheduler::quiesce(database_context& context, std::chrono::milliseconds time, reply<bool> to, effects& out) {
  auto& own = queue_of(context);
  if (own.quiesced && own.quiesced->to)
    out.quiesced.push_back({std::move(*own.quiesced->to), false});
  auto until = time_.now() + time;
  own.quiesced = quiescence{&context, until, std::move(to)};
  expire_at(until, out);
  tell_if_quiet(own, out);
}

void read_scheduler::resume(database_context& context, effects& out) {
  queue_of(context).quiesced.reset();
  start_queued(context, out);
}

void read_scheduler::tell_if_quiet(database_queue& own, effects& out) {
  auto& quiesce = *own.quiesced;
  if (!quiesce.to || !own.readers.is_quiet())
    return;
  out.quiesced.push_back({std::move(*quiesce.to), true});
  quiesce.to.reset();
}

// Returns when it has to be looked at again.
clock::steady read_scheduler::end_quiescence(clock::steady now, effects& out) {
  auto earliest = clock::steady::max();
  for (auto& [key, own] : queues_) {
    if (!own.quiesced)
      continue;
    if (now < own.quiesced->until) {
      earliest = std::min(earliest, own.quiesced->until);
      continue;
    }
    auto over = std::exchange(own.quiesced, std::nullopt);
    if (over->to)
      out.quiesced.push_back({std::move(*over->to), false});
    start_queued(*over->context, out);
  }
  return earliest;
}

} // namespace sluice
