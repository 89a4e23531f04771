#include "runtime/children.hpp"

#include "actors/audit.hpp"
#include "actors/cache.hpp"
#include "actors/reader.hpp"
#include "actors/writer.hpp"
#include "runtime/sqlite/audit_store.hpp"
#include "runtime/sqlite/ledger.hpp"
#include "runtime/sqlite/read_store.hpp"
#include "runtime/sqlite/write_store.hpp"

#include <random>

namespace sluice {

namespace {

uint64_t random_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

writer_settings settings_of(const broker_config& cfg) {
  writer_settings x;
  x.group.max_requests = cfg.group_max_requests;
  x.group.max_time = cfg.group_max_time;
  x.group.default_deadline = cfg.write_deadline;
  x.group.retry = {cfg.retry_attempts, cfg.retry_base, cfg.retry_factor, cfg.retry_cap, cfg.retry_jitter};
  x.checkpoint_wal_bytes = cfg.checkpoint_wal_bytes;
  x.idle_after = cfg.idle_after;
  x.key_retention = cfg.key_retention;
  return x;
}

writer_actor spawn_writer(broker_core& core, database_slot& slot, std::shared_ptr<admission> queue) {
  auto path = core.root.path_of(slot.name());
  // Until the first write, the file tells which commit is the newest.
  if (auto seq = sqlite::last_commit_seq(path))
    slot.versions().start_at(*seq);
  auto parts = std::make_shared<writer_parts>();
  parts->store = sqlite::make_write_store(path, core.config);
  parts->slot = &slot;
  parts->queue = std::move(queue);
  parts->actors = core.actors;
  parts->time = &core.time;
  parts->settings = settings_of(core.config);
  parts->seed = random_seed();
  return core.system->spawn<caf::detached>(writer, std::move(parts));
}

reader_actor spawn_reader(broker_core& core, database_slot& slot) {
  auto store = sqlite::make_read_store(core.root.path_of(slot.name()), core.config);
  return core.system->spawn<caf::detached>(reader, std::make_shared<std::unique_ptr<read_store>>(std::move(store)));
}

cache_actor spawn_cache(broker_core& core) {
  cache_parts parts;
  parts.hits = core.hits;
  parts.actors = core.actors;
  parts.time = &core.time;
  parts.max_queued = core.config.queue_max_requests;
  parts.seed = random_seed();
  parts.misses = core.misses;
  parts.joined = core.joined;
  return core.system->spawn(cache, std::move(parts));
}

audit_actor spawn_audit(broker_core& core) {
  auto open = [&core] { return sqlite::open_audit_store(core.root, core.config); };
  return core.system->spawn<caf::detached>(audit, audit_store_opener{open});
}

} // namespace

child_factories real_children(broker_core& core) {
  return {
    [&core](database_slot& slot, std::shared_ptr<admission> queue) {
      return spawn_writer(core, slot, std::move(queue));
    },
    [&core](database_slot& slot) { return spawn_reader(core, slot); },
    [&core] { return spawn_cache(core); },
    [&core] { return spawn_audit(core); },
  };
}

} // namespace sluice
