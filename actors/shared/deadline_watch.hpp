#pragma once

#include "actors/base/clock.hpp"
#include "actors/shared/actor_registry.hpp"

#include <memory>

namespace sluice {

/// The behavior of the deadline watch, which has no state. Do not spawn it where SQLite may block it.
deadline_watch_actor::behavior_type deadline_watch(deadline_watch_actor::pointer self,
                                                   std::shared_ptr<actor_registry> actors,
                                                   std::shared_ptr<const clock> time);

/// Makes the watch check the queue of the database `db` at the time `at`. For any thread.
void watch_deadline(const actor_registry& actors, const clock& time, const std::string& db, clock::steady at);

} // namespace sluice
