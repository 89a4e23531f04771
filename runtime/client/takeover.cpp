#include "runtime/client/takeover.hpp"

#include "runtime/client/client.hpp"
#include "runtime/server/endpoint.hpp"

#include <nlohmann/json.hpp>

#include <thread>

namespace sluice {

namespace {

using std::chrono::steady_clock;

// Shorter than the pauses of clients, which would start the next leader.
constexpr std::chrono::milliseconds pause{1};

bool is_same(const broker_info& a, const broker_info& b) { return a.pid == b.pid && a.started_us == b.started_us; }

// `errc::route_required` when no broker of this store answers, at any possible place.
caf::expected<nlohmann::json> request_shutdown(const store_root& root, const std::string& agent) {
  caf::error error = make_error(errc::route_required, "no broker of this store answers");
  for (const auto& socket : leader_sockets(root)) {
    client_options options;
    options.endpoint = socket.path;
    options.require_broker = true;
    options.fail_on_silence = true;
    options.needs_valid_config = false;
    auto way = open_client(root.path(), std::move(options));
    if (way)
      return (*way)->call("shutdown", agent.empty() ? nlohmann::json::object() : nlohmann::json{{"agent", agent}});
    if (auto code = code_of(way.error()); code != errc::route_required && code != errc::wrong_store)
      error = std::move(way.error());
  }
  return error;
}

} // namespace

caf::expected<store_lock> take_over(const store_root& root, std::chrono::milliseconds budget) {
  broker_info asked;
  for (auto give_up = steady_clock::now() + budget; steady_clock::now() < give_up; std::this_thread::sleep_for(pause)) {
    auto lock = store_lock::try_acquire(root);
    if (!lock)
      return std::move(lock.error());
    if (*lock)
      return std::move(**lock);
    auto leader = published_info(root);
    if (!leader || !leader->transient || is_same(*leader, asked))
      continue;
    // The leader may have ended by itself meanwhile.
    static_cast<void>(request_shutdown(root, {}));
    asked = std::move(*leader);
  }
  return store_lock::acquire(root, std::chrono::milliseconds{0});
}

caf::expected<bool> stop_leader(const store_root& root, std::chrono::milliseconds timeout, const std::string& agent) {
  auto leader = published_info(root);
  if (!leader)
    return false;
  if (auto asked = request_shutdown(root, agent); !asked) {
    if (code_of(asked.error()) == errc::route_required)
      return false;
    return std::move(asked.error());
  }
  for (auto give_up = steady_clock::now() + timeout; steady_clock::now() < give_up;
       std::this_thread::sleep_for(pause)) {
    auto now = published_info(root);
    if (now && is_same(*now, *leader))
      continue;
    if (now)
      return true;
    // It has removed `broker.json`, but holds the lock until its files are closed.
    if (auto lock = store_lock::try_acquire(root); lock && *lock)
      return true;
  }
  return make_error(errc::busy, "the broker is still there; it may be waiting for a long request");
}

} // namespace sluice
