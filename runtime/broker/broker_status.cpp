#include "actors/shared/deadline_watch.hpp"
#include "runtime/broker/broker.hpp"
#include "runtime/broker/broker_core.hpp"

// The requests under way and the status of a broker.
namespace sluice {

broker_status broker::status() const {
  broker_status status;
  status.root = core_->root.path().string();
  for (auto* context : core_->actors->contexts())
    status.databases.push_back(context->status(core_->time));
  core_->hits->describe(status.cache);
  status.cache.misses = *core_->misses;
  status.cache.joined = *core_->joined;
  status.uptime_ms = static_cast<uint64_t>(
    std::chrono::duration_cast<std::chrono::milliseconds>(core_->time.now() - core_->started).count());
  status.audit = core_->stats->audit.get();
  status.audit.pending += core_->actors->audit_records().size();
  status.buffer = core_->stats->buffer.get().at(core_->time.now());
  status.log = core_->stats->log.get();
  core_->log->describe(status.log);
  status.host_retry = core_->stats->host_retries.snapshot(core_->time);
  status.slow = core_->stats->slow.slowest();
  status.slow_warnings = core_->stats->slow.warnings();
  status.restarts = core_->actors->restarts;
  return status;
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

live_policy& broker::policy() const noexcept { return core_->policy; }

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
