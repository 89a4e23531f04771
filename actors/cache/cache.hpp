#pragma once

#include "actors/base/clock.hpp"
#include "actors/base/retry_policy.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/actor_stats.hpp"
#include "actors/shared/database_bounds.hpp"
#include "actors/shared/hidden_state.hpp"
#include "actors/shared/result_cache.hpp"
#include "messages/interfaces.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace sluice {

/// The dependencies of the cache actor; all of them outlive it.
struct cache_dependencies {
  std::shared_ptr<result_cache> hits;
  std::shared_ptr<actor_registry> actors;
  const clock* time = nullptr;
  bounds_of_database bounds = [](const std::string&) { return database_bounds{}; };
  uint64_t seed = 0;
  /// The maximum number of concurrent reads of all databases without a time limit of their reader.
  uint64_t max_long_reads = UINT64_MAX;
  /// The pauses of reads that find their database locked.
  retry_policy retry;
  /// Shared with `status`: reads that ran a query, and reads that joined another one's.
  std::shared_ptr<std::atomic<uint64_t>> misses;
  std::shared_ptr<std::atomic<uint64_t>> joined;
  std::shared_ptr<actor_stats> stats = std::make_shared<actor_stats>();
};

struct cache_state;

/// The behavior of the cache actor.
cache_actor::behavior_type cache(cache_actor::stateful_pointer<hidden_state<cache_state>> self,
                                 cache_dependencies parts);

} // namespace sluice
