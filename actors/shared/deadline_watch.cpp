#include "actors/shared/deadline_watch.hpp"

#include <algorithm>

namespace sluice {

namespace {

std::chrono::milliseconds until(clock::steady at, const clock& time) {
  return std::max(std::chrono::milliseconds{0}, std::chrono::ceil<std::chrono::milliseconds>(at - time.now()));
}

} // namespace

deadline_watch_actor::behavior_type deadline_watch(deadline_watch_actor::pointer self,
                                                   std::shared_ptr<actor_registry> actors,
                                                   std::shared_ptr<const clock> time) {
  return {
    [self, actors = std::move(actors), time = std::move(time)](caf::tick_atom, const std::string& db) {
      auto route = actors->context(db).last_route();
      if (!route)
        return;
      if (auto next = route->queue->expire(time->now()))
        self->delayed_send(self, until(*next, *time), caf::tick_atom_v, db);
    },
  };
}

void watch_deadline(const actor_registry& actors, const clock& time, const std::string& db, clock::steady at) {
  if (auto watch = actors.deadlines())
    caf::delayed_anon_send(watch, until(at, time), caf::tick_atom_v, db);
}

} // namespace sluice
