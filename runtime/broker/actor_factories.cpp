#include "runtime/broker/actor_factories.hpp"

#include "actors/audit/audit.hpp"
#include "actors/buffer/buffer.hpp"
#include "actors/cache/cache.hpp"
#include "actors/cursors/cursor_reader.hpp"
#include "actors/cursors/cursors.hpp"
#include "actors/log/log.hpp"
#include "actors/reader/reader.hpp"
#include "actors/shared/deadline_watch.hpp"
#include "actors/writer/writer.hpp"
#include "runtime/broker/pooled_actor.hpp"
#include "runtime/sqlite/audit/audit_anchor.hpp"
#include "runtime/sqlite/audit/audit_mending.hpp"
#include "runtime/sqlite/buffer/buffer_store.hpp"
#include "runtime/sqlite/files/damaged_files.hpp"
#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/sqlite/files/journal_recovery.hpp"
#include "runtime/sqlite/ledger/ledger.hpp"
#include "runtime/sqlite/log/log_file.hpp"
#include "runtime/sqlite/reader/cursor_store.hpp"
#include "runtime/sqlite/reader/read_store.hpp"
#include "runtime/sqlite/writer/write_store.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace sluice {

namespace {

// Spawns on the pool, because the agents of the host may block every thread of the host's scheduler.
template <class Behavior, class... Parts>
auto spawn_child(broker_core& core, blocking_work kind, Behavior behavior, Parts&&... parts) {
  return core.pool ? spawn_pooled(*core.system, core.pool, kind, behavior, std::forward<Parts>(parts)...)
                   : core.system->spawn(behavior, std::forward<Parts>(parts)...);
}

// The maximum size of a log, as a multiple of the size at which it is checkpointed.
constexpr uint64_t log_bound = 16;

retry_policy pauses_of(const broker_config& cfg) {
  return {cfg.retry_attempts, cfg.retry_base, cfg.retry_factor, cfg.retry_cap, cfg.retry_jitter};
}

writer_settings settings_of(const broker_config& cfg) {
  writer_settings settings;
  settings.group.max_requests = cfg.group_max_requests;
  settings.group.max_time = cfg.group_max_time;
  settings.group.default_deadline = cfg.write_deadline;
  settings.group.retry = pauses_of(cfg);
  settings.checkpoint_wal_bytes = cfg.checkpoint_wal_bytes;
  settings.max_log_bytes = log_bound * cfg.checkpoint_wal_bytes;
  // Reads that wait for this time still have as much time left to run.
  settings.quiesce_time = cfg.read_timeout / 2;
  settings.idle_after = cfg.idle_after;
  settings.close_idle_after = cfg.close_idle_after;
  if (cfg.ledger_retention.count() > 0 || cfg.ledger_max_bytes > 0)
    settings.prune_every = std::chrono::minutes{1};
  return settings;
}

// The pages of cursors and long reads leave two of the readers' threads to short reads, if there are enough threads.
size_t threads_for_pages(const blocking_pool& pool) { return std::max<size_t>(1, pool.max_threads() / 4); }

size_t threads_for_long_reads(const blocking_pool& pool) {
  constexpr size_t for_writers = 2;
  constexpr size_t for_short_reads = 2;
  auto others = threads_for_pages(pool) + for_writers + for_short_reads;
  return pool.max_threads() > others ? pool.max_threads() - others : 1;
}

std::function<bool()> is_to_be_closed(broker_core& core, const std::string& db) {
  return [files = core.files_of(db)] { return files->is_to_be_closed(); };
}

writer_actor spawn_writer(broker_core& core, database_context& context, std::shared_ptr<write_quota> queue) {
  auto path = core.root.path_of(context.name());
  auto files = core.files_of(context.name());
  files->expect_file();
  // Until the first write, readers get the newest commit from the file.
  if (auto seq = sqlite::last_commit_seq(path))
    context.versions().start_at(*seq);
  auto config = core.config.for_database(context.name());
  auto parts = std::make_shared<writer_dependencies>();
  parts->store = sqlite::make_write_store(path, config, core.time, context.known_ledger(), std::move(files),
                                          core.answers, sqlite::anchor_key_path(core.root.audit_path()));
  parts->context = &context;
  parts->queue = std::move(queue);
  parts->actors = core.actors;
  parts->time = &core.time;
  parts->settings = settings_of(config);
  parts->seed = core.env.seed();
  parts->is_to_be_closed = is_to_be_closed(core, context.name());
  parts->warn = [&core](const std::string& text) {
    core.log->push(log_level::warning, "files", text, {});
    core.warn(text);
  };
  parts->stats = core.stats;
  return spawn_child(core, blocking_work::write, writer, std::move(parts));
}

} // namespace

void note_recovery(broker_core& core, const std::string& db) {
  core.warn("a program was killed while it wrote " + db + "; its unfinished transaction was rolled back");
  audit_batch batch;
  auto& record = batch.records.emplace_back();
  record.ts_us = wall_us(core.time);
  record.db = db;
  record.type = request_type::journal_recovery;
  record.status = "ok";
  core.actors->audit_records().push(std::move(batch));
}

namespace {

// Called before the ledger is read: a log of another file that lies here must not be used, and a read-only connection
// cannot read while there is a rollback journal. Does not wait for locks: readers try again.
void prepare(broker_core& core, const std::string& db) {
  auto path = core.root.path_of(db);
  if (std::error_code ignored; !std::filesystem::exists(path, ignored) || !core.files_of(db)->check_place())
    return;
  auto recovered = sqlite::recover_journal(path, std::chrono::milliseconds{0});
  if (recovered && *recovered)
    note_recovery(core, db);
}

} // namespace

void notify_writer_of_close(database_context& context, bool is_early) {
  if (auto route = context.last_route(); route && route->writer)
    caf::anon_send(route->writer, close_idle_atom{}, is_early ? any_group : uint64_t{0});
}

namespace {

reader_actor spawn_reader(broker_core& core, database_context& context) {
  auto config = core.config.for_database(context.name());
  auto parts = std::make_shared<reader_dependencies>();
  auto on_recovery = [&core, db = context.name()] { note_recovery(core, db); };
  parts->store = sqlite::make_read_store(core.root.path_of(context.name()), config, core.time, on_recovery,
                                         core.files_of(context.name()), core.answers);
  parts->time = &core.time;
  parts->stats = core.stats;
  parts->close_idle_after = config.close_idle_after;
  parts->is_to_be_closed = is_to_be_closed(core, context.name());
  parts->on_idle_closed = [&context, is_early = parts->is_to_be_closed] {
    notify_writer_of_close(context, is_early());
  };
  return spawn_child(core, blocking_work::read, reader, std::move(parts));
}

} // namespace

void close_early(actor_registry& actors, const std::string& db) {
  auto& context = actors.opened(db);
  auto readers = context.readers();
  for (const auto& reader : readers)
    caf::anon_send(reader, close_idle_atom{});
  if (readers.empty())
    notify_writer_of_close(context, true);
}

namespace {

cursor_reader_actor spawn_cursor_reader(broker_core& core, const std::string& db, const statement& query) {
  auto parts = std::make_shared<cursor_reader_dependencies>();
  parts->store = sqlite::make_cursor_store(
    core.root.path_of(db), query, core.config.for_database(db), core.time, [&core, db] { note_recovery(core, db); },
    core.files_of(db), core.answers);
  parts->on_closed = [&context = core.actors->context(db)] { notify_writer_of_close(context, false); };
  return spawn_child(core, blocking_work::read, cursor_reader, std::move(parts));
}

cache_actor spawn_cache(broker_core& core) {
  cache_dependencies parts;
  parts.hits = core.hits;
  parts.actors = core.actors;
  parts.time = &core.time;
  parts.bounds = core.bounds();
  parts.seed = core.env.seed();
  parts.retry = pauses_of(core.config);
  if (core.pool)
    parts.max_long_reads = threads_for_long_reads(*core.pool);
  parts.misses = core.misses;
  parts.joined = core.joined;
  parts.stats = core.stats;
  return spawn_child(core, blocking_work::coordination, cache, std::move(parts));
}

audit_actor spawn_audit(broker_core& core) {
  auto report = [&core](const std::string& text) {
    core.stats->audit.change([](audit_status& x) { ++x.files_set_aside; });
    core.log->push(log_level::error, "audit", text);
    core.warn(text);
  };
  auto open = [&core, report] {
    return sqlite::open_mended_audit_store(core.root, core.config, core.time, core.registry(), report);
  };
  return spawn_child(core, blocking_work::service, audit,
                     audit_dependencies{open, core.actors, core.stats, &core.time, core.config.audit_retention,
                                        core.config.audit_max_bytes});
}

buffer_actor spawn_buffer(broker_core& core) {
  const auto& config = core.config;
  auto parts = std::make_shared<buffer_dependencies>();
  parts->store = sqlite::open_buffer_store(core.root, config);
  parts->actors = core.actors;
  parts->time = &core.time;
  parts->stats = core.stats;
  parts->settings.interval = config.buffer_interval;
  parts->settings.batch = config.buffer_batch;
  parts->settings.max_pending = config.buffer_max_pending;
  parts->settings.max_bytes = config.queue_max_bytes;
  parts->settings.write_deadline = config.write_deadline;
  for (const auto& table : config.buffer_tables)
    parts->settings.tables.push_back({table.db, table.table, table.interval, table.priority});
  parts->journal = config.buffer_journal;
  parts->reads = {config.read_max_rows, config.read_max_bytes, config.read_timeout};
  parts->seed = core.env.seed();
  parts->report = [&core](log_level level, const std::string& text) {
    core.log->push(level, "buffer", text);
    core.warn(text);
  };
  return spawn_child(core, blocking_work::service, buffer, std::move(parts));
}

log_actor spawn_log(broker_core& core) {
  auto path = core.root.logs_path();
  auto parts = std::make_shared<log_dependencies>();
  parts->queue = core.log;
  parts->store = sqlite::make_log_store(path);
  parts->move_damaged_file = [&core, path] { return sqlite::move_damaged_file(path, wall_us(core.time)); };
  parts->warn = [&core](std::string_view text) { core.warn(text); };
  parts->stats = core.stats;
  parts->time = &core.time;
  parts->retention = core.config.log_retention;
  return spawn_child(core, blocking_work::service, log, std::move(parts));
}

} // namespace

child_factories real_children(broker_core& core) {
  child_factories result{
    [&core](database_context& context, std::shared_ptr<write_quota> queue) {
      return spawn_writer(core, context, std::move(queue));
    },
    [&core](database_context& context) { return spawn_reader(core, context); },
    [&core] { return spawn_cache(core); },
    [&core] { return spawn_audit(core); },
  };
  result.buffer = [&core] { return spawn_buffer(core); };
  result.prepare = [&core](const std::string& db) { prepare(core, db); };
  result.log = [&core] { return spawn_log(core); };
  result.deadlines = [&core] {
    return spawn_child(core, blocking_work::coordination, deadline_watch, core.actors, core.env.time);
  };
  return result;
}

cursors_actor spawn_cursors(broker_core& core) {
  cursors_dependencies parts;
  parts.spawn_reader = [&core](const std::string& db, const statement& query) {
    return spawn_cursor_reader(core, db, query);
  };
  parts.actors = core.actors;
  parts.time = &core.time;
  parts.limits.max_open = core.config.max_cursors;
  parts.limits.max_per_agent = core.config.max_agent_cursors;
  parts.limits.idle = core.config.cursor_idle;
  parts.limits.lifetime = core.config.cursor_lifetime;
  // The other threads are reserved for reads that are answered at once.
  parts.limits.max_pages_at_once = core.pool ? threads_for_pages(*core.pool) : 1;
  parts.seed = core.pool ? core.env.seed() : 0;
  return core.pool ? spawn_child(core, blocking_work::coordination, cursors, std::move(parts))
                   : core.system->spawn<caf::lazy_init>(cursors, std::move(parts));
}

supervisor_actor spawn_supervisor(broker_core& core, supervisor_dependencies parts) {
  return spawn_child(core, blocking_work::service, supervisor, std::move(parts));
}

} // namespace sluice
