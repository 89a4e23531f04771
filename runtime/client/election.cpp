#include "runtime/client/election.hpp"

#include "actors/base/retry_policy.hpp"
#include "runtime/client/connect.hpp"
#include "runtime/client/greeting.hpp"
#include "runtime/client/start_broker.hpp"
#include "runtime/server/endpoint.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <unistd.h>

namespace sluice {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr retry_policy pauses{.base = milliseconds{2}, .cap = milliseconds{40}};
constexpr int max_deaths = 3;
constexpr milliseconds longest_silence{2'000};

// One search; each step has a result, fails, or returns nothing and the search continues.
class search {
public:
  explicit search(const election_options& options) : options_(options) {}

  // Returns nothing when no broker answers.
  caf::expected<std::optional<discovery_result>> connect() {
    if (options_.root && !options_.root->is_in_place())
      return store_root::not_in_place();
    if (!options_.endpoint.empty())
      return connect({options_.endpoint, options_.root && is_own_socket(*options_.root, options_.endpoint)});
    for (const auto& socket : leader_sockets(*options_.root)) {
      auto found = connect(socket);
      if (!found && code_of(found.error()) == errc::wrong_store)
        continue;
      if (!found || *found)
        return found;
    }
    return std::optional<discovery_result>{};
  }

  // No broker answered. Returns nothing when a process leads nevertheless, or leads by now; then connect again.
  caf::expected<std::optional<discovery_result>> elect() {
    conflict_ = {};
    auto lock = store_lock::try_acquire(*options_.root, &conflict_);
    if (!lock)
      return std::move(lock.error());
    started_ = false;
    // An existing front door answers soon; without one, waiting in this process would never end.
    if (!*lock && conflict_.is_here && !published_info(*options_.root))
      return leads_already();
    if (!*lock)
      return std::optional<discovery_result>{};
    if (!options_.start)
      return std::optional<discovery_result>{discovery_result{{}, std::move(*lock), {}}};
    auto program = broker_program(options_.program);
    if (program.empty())
      return std::optional<discovery_result>{discovery_result{
        {}, std::move(*lock), "the sluice program is not found; put it into PATH, or set SLUICE_PROGRAM"}};
    auto start = start_broker(program, *options_.root, **lock, options_.start_timeout);
    if (start.result != broker_start::state::not_started)
      lock->reset();
    return judge(std::move(start), std::move(*lock));
  }

  // Whether a broker has just been started, so that the search can connect at once.
  bool started() const noexcept { return started_; }

  caf::error no_leader_found(uint32_t tries, steady_clock::duration spent) const {
    auto waited = std::chrono::duration_cast<milliseconds>(spent);
    if (options_.endpoint.empty() && conflict_.by_claim)
      return busy_with(conflict_, tries, waited);
    failure_details tried{.attempts = tries, .waited_ms = static_cast<uint32_t>(waited.count())};
    if (!options_.endpoint.empty())
      return make_error(errc::unavailable, "no broker answers at the endpoint", tried);
    auto pid =
      conflict_.pid > 0 ? " (pid " + std::to_string(conflict_.pid) + ", as its lock file says)" : std::string{};
    return make_error(errc::busy,
                      "another process leads this store" + pid
                        + ", and does not serve others; end it, or open a front door in it",
                      tried);
  }

private:
  // At the store's own socket the first request names the store. At any other socket the client checks first, because
  // older brokers would ignore the name.
  caf::expected<std::optional<discovery_result>> connect(const leader_socket& socket) const {
    auto connection = connect_to(socket.path);
    if (!connection)
      return std::move(connection.error());
    if (!*connection)
      return std::optional<discovery_result>{};
    if (options_.root && (!socket.is_own || !options_.endpoint.empty())) {
      auto is_right = confirm_root((*connection)->get(), options_.root->identity(), socket.is_own,
                                   steady_clock::now() + longest_silence);
      if (!is_right && code_of(is_right.error()) == errc::unavailable)
        return std::optional<discovery_result>{};
      // The process is running, so no other process can lead.
      if (!is_right && code_of(is_right.error()) == errc::deadline_exceeded && options_.endpoint.empty())
        return make_error(errc::unavailable, describe(is_right.error()).message);
      if (!is_right)
        return std::move(is_right.error());
    }
    return std::optional<discovery_result>{discovery_result{std::move(**connection), {}, {}}};
  }

  caf::error leads_already() const {
    if (conflict_.by_claim)
      return busy_with(conflict_, 1, milliseconds{0});
    return make_error(
      errc::busy,
      "this process (pid " + std::to_string(getpid())
        + ") leads this store itself, and has no front door for clients; use its broker, or open a front door",
      {.attempts = 1});
  }

  caf::expected<std::optional<discovery_result>> judge(broker_start start, std::optional<store_lock> lock) {
    using state = broker_start::state;
    started_ = start.result == state::ready;
    if (started_ || start.result == state::silent || (start.result == state::died && ++deaths_ < max_deaths))
      return std::optional<discovery_result>{};
    return std::optional<discovery_result>{discovery_result{{}, std::move(lock), std::move(start.reason)}};
  }

  const election_options& options_;
  lock_conflict conflict_;
  bool started_ = false;
  int deaths_ = 0;
};

} // namespace

caf::expected<discovery_result> find_leader(const election_options& options, steady_clock::time_point limit,
                                            const std::atomic<bool>* stopped) {
  search attempt{options};
  std::optional<backoff> pause;
  auto start = steady_clock::now();
  for (uint32_t tries = 1;; ++tries) {
    auto found = attempt.connect();
    if (found && !*found && options.endpoint.empty())
      found = attempt.elect();
    if (!found)
      return std::move(found.error());
    if (*found)
      return std::move(**found);
    if (attempt.started())
      continue;
    auto now = steady_clock::now();
    if (now >= limit || (stopped && *stopped))
      return attempt.no_leader_found(tries, now - start);
    if (!pause)
      pause.emplace(pauses, std::random_device{}());
    std::this_thread::sleep_for(std::min<steady_clock::duration>(pause->pause(tries), limit - now));
  }
}

caf::expected<discovery_result> repeated_election::find(steady_clock::time_point limit,
                                                        const std::atomic<bool>* stopped) {
  auto found = find_leader(options_, limit, stopped);
  if (!found || found->connection)
    return found;
  if (reason_.empty())
    reason_ = found->reason;
  found->reason = reason_;
  options_.start = options_.start && reason_.empty();
  return found;
}

} // namespace sluice
