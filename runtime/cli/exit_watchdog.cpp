#include "runtime/cli/exit_watchdog.hpp"

#include "actors/shared/database_context.hpp"
#include "runtime/broker/broker.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/serve_log.hpp"

#include <caf/actor_cast.hpp>
#include <fmt/format.h>

#include <system_error>
#include <unistd.h>

namespace sluice::cli {

namespace {

bool is_alive(const caf::weak_actor_ptr& actor) {
  auto held = caf::actor_cast<caf::strong_actor_ptr>(actor);
  return held && !held->get()->getf(caf::abstract_actor::is_terminated_flag);
}

std::string text_of(const running_request& request) {
  return fmt::format("request {} of agent {}: {}", request.request_id, request.agent, request.sql.substr(0, 200));
}

} // namespace

exit_watchdog::exit_watchdog(const broker& leader, exit_limits limits)
  : leader_(leader), writes_(leader.running_writes()) {
  for (const auto* context : leader.actors().contexts())
    for (const auto& reader : context->readers())
      readers_.push_back({context->name(), caf::actor_cast<caf::weak_actor_ptr>(reader)});
  try {
    thread_ = std::thread{[this, limits] { run(limits); }};
  } catch (const std::system_error&) {
    log_warning("cannot start the exit watchdog: this process waits for its statements without a limit");
  }
}

exit_watchdog::~exit_watchdog() {
  {
    std::lock_guard guard{mutex_};
    has_ended_ = true;
  }
  ended_.notify_all();
  if (thread_.joinable())
    thread_.join();
}

bool exit_watchdog::ends_before(std::chrono::steady_clock::time_point limit) {
  std::unique_lock guard{mutex_};
  return ended_.wait_until(guard, limit, [this] { return has_ended_; });
}

// A reader ends, and a write leaves its queue, as soon as its statement has been interrupted.
std::vector<std::string> exit_watchdog::stuck_statements() const {
  std::vector<std::string> result;
  for (const auto& db : leader_.status().databases) {
    if (db.queued == 0)
      continue;
    result.push_back(fmt::format("a write to {} does not end", db.name));
    for (const auto& write : writes_)
      if (write.db == db.name && write.is_running)
        result.back() += "; executed when the broker was stopped: " + text_of(write);
  }
  for (const auto& reader : readers_)
    if (is_alive(reader.actor))
      result.push_back(fmt::format("a read of {} does not end", reader.db));
  return result;
}

void exit_watchdog::run(const exit_limits& limits) {
  if (ends_before(begin_ + limits.stuck))
    return;
  auto stuck = stuck_statements();
  if (stuck.empty() && ends_before(begin_ + limits.total))
    return;
  for (const auto& text : stuck)
    log_warning(text);
  log_warning("the broker does not end by itself; this process ends now, and acknowledged writes are on disk");
  _exit(failed);
}

} // namespace sluice::cli
