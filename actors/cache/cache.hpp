#pragma once

#include "actors/base/clock.hpp"
#include "actors/cache/read_scheduler.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/actor_stats.hpp"
#include "actors/shared/result_cache.hpp"
#include "messages/interfaces.hpp"

#include <memory>
#include <unordered_map>

namespace sluice {

/// What the cache actor works with; all of it outlives the actor.
struct cache_dependencies {
  std::shared_ptr<result_cache> hits;
  std::shared_ptr<actor_registry> actors;
  const clock* time = nullptr;
  bounds_of_database bounds = [](const std::string&) { return database_bounds{}; };
  uint64_t seed = 0;
  /// Reads of all databases that may take as long as they like, at the same time.
  uint64_t max_long_reads = UINT64_MAX;
  /// The pauses of reads that find their database locked.
  retry_policy retry;
  /// Shared with `status`: reads that ran a query, and reads that shared another's.
  std::shared_ptr<std::atomic<uint64_t>> misses;
  std::shared_ptr<std::atomic<uint64_t>> joined;
  std::shared_ptr<actor_stats> stats = std::make_shared<actor_stats>();
};

struct cache_state {
  explicit cache_state(cache_actor::pointer me) : self(me) {}

  void start(cache_dependencies x);
  void read(read_request& request, reply<read_result> to);
  void invalidate(const invalidation& x);
  void add_reader(const std::string& db, reader_actor reader);
  void apply(read_scheduler::effects out);
  void tick();
  void sweep();
  void schedule_tick();
  void report();
  void close();

  cache_actor::pointer self;
  cache_dependencies parts;
  std::unique_ptr<read_scheduler> scheduler;
  audit_batch records;
  bool tick_scheduled = false;
  bool sweep_due = false;
  clock::steady swept_at{};
  static inline const char* name = "cache";
};

/// The behavior of the cache actor.
cache_actor::behavior_type cache(cache_actor::stateful_pointer<cache_state> self, cache_dependencies parts);

} // namespace sluice
