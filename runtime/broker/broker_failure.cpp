#include "runtime/broker/broker_core.hpp"

#include <algorithm>
#include <thread>

// The threads of a broker, and its failure when its supervisor has ended.
namespace sluice {

void broker_core::make_pool() {
  blocking_pool_settings settings;
  constexpr size_t least = 16;
  settings.threads = config.blocking_threads > 0 ? config.blocking_threads
                                                 : std::max(least, size_t{4} * std::thread::hardware_concurrency());
  pool = std::make_shared<blocking_pool>(*system, std::move(settings));
}

void broker_core::stop_pool() {
  if (pool)
    pool->stop();
}

// Only the supervisor can restart the others or end them in order. This process, or another one, must lead the store
// anew.
void broker_core::supervisor_ended() {
  auto error = make_failure(
    errc::unavailable, "the supervisor of this broker has failed; the broker ends, and another one can lead the store");
  std::function<void(const failure&)> callback;
  {
    std::lock_guard guard{mutex_};
    if (state_ != state::open)
      return;
    failure_ = error;
    callback = on_failure_;
  }
  for (auto* context : actors->contexts())
    context->close(error, false);
  end_children();
  warn(error.message);
  if (callback)
    callback(error);
}

void broker_core::end_children() {
  auto end = [](const auto& actor) {
    if (actor)
      caf::anon_send_exit(actor, caf::exit_reason::kill);
  };
  for (auto* context : actors->contexts()) {
    for (const auto& reader : context->take_readers())
      end(reader);
    if (auto route = context->last_route())
      end(route->writer);
  }
  end(actors->buffer());
  end(actors->cache());
  end(actors->audit());
  end(actors->log());
}

std::optional<failure> broker_core::why_failed() const {
  std::lock_guard guard{mutex_};
  return failure_;
}

void broker_core::on_failure(std::function<void(const failure&)> callback) {
  std::optional<failure> error;
  {
    std::lock_guard guard{mutex_};
    on_failure_ = callback;
    error = failure_;
  }
  if (error && callback)
    callback(*error);
}

} // namespace sluice
