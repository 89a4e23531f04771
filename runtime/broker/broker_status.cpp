#include "actors/shared/deadline_watch.hpp"
#include "runtime/broker/broker.hpp"
#include "runtime/broker/broker_core.hpp"

// What a broker has under way, and how it stands.
namespace sluice {

broker_status broker::status() const {
  broker_status x;
  x.root = core_->root.path().string();
  for (auto* context : core_->actors->contexts())
    x.databases.push_back(context->status(core_->time));
  core_->hits->describe(x.cache);
  x.cache.misses = *core_->misses;
  x.cache.joined = *core_->joined;
  x.uptime_ms = static_cast<uint64_t>(
    std::chrono::duration_cast<std::chrono::milliseconds>(core_->time.now() - core_->started).count());
  x.audit = core_->stats->audit.get();
  x.audit.pending += core_->actors->audit_records().size();
  x.buffer = core_->stats->buffer.get().at(core_->time.now());
  x.log = core_->stats->log.get();
  core_->log->describe(x.log);
  x.host_retry = core_->stats->host_retries.snapshot(core_->time);
  x.slow = core_->stats->slow.slowest();
  x.slow_warnings = core_->stats->slow.warnings();
  x.restarts = core_->actors->restarts;
  return x;
}

std::vector<running_request> broker::running_writes() const {
  std::vector<running_request> result;
  auto now = core_->time.now();
  for (auto* context : core_->actors->contexts())
    if (auto route = context->last_route())
      route->queue->list_running(context->name(), now, result);
  return result;
}

caf::expected<std::vector<running_request>> broker::running_reads() const {
  return core_->ask<std::vector<running_request>>(core_->actors->cache(), running_atom{});
}

const answer_budget& broker::answers() const noexcept { return *core_->answers; }

void broker::drain() const {
  constexpr std::chrono::milliseconds drain_time{4'000};
  auto end = core_->time.now() + drain_time;
  for (auto* context : core_->actors->contexts())
    if (auto route = context->last_route())
      watch_deadline(*core_->actors, core_->time, context->name(), route->queue->drain(end));
  if (auto cache = core_->actors->cache())
    caf::anon_send(cache, drain_atom{}, static_cast<uint64_t>(drain_time.count()));
  if (auto cursors = core_->actors->cursors())
    caf::anon_send(cursors, drain_atom{});
}

bool broker::cancel_write(const std::string& request_id, const std::function<bool(const ticket&)>& may_cancel) const {
  auto found = false;
  for (auto* context : core_->actors->contexts())
    if (auto route = context->last_route())
      found |= route->queue->cancel(request_id, may_cancel);
  return found;
}

} // namespace sluice
