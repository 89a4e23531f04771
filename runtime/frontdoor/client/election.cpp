#include "runtime/frontdoor/client/election.hpp"

#include "actors/retry_policy.hpp"
#include "runtime/frontdoor/client/connect.hpp"
#include "runtime/frontdoor/client/start_broker.hpp"
#include "runtime/frontdoor/endpoint.hpp"

#include <algorithm>
#include <random>
#include <thread>

namespace sluice {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr retry_policy pauses{.base = milliseconds{2}, .cap = milliseconds{40}};
constexpr int max_deaths = 3;

// One search; each step finds a route, fails, or says that it is worth going on.
class search {
public:
  explicit search(const election& how) : how_(how) {}

  // Nothing when nobody answers.
  caf::expected<std::optional<route>> connect() {
    auto path = how_.endpoint;
    if (path.empty()) {
      auto socket = leader_socket(*how_.root);
      // Then a broker cannot have a socket, and is going to say so.
      if (!socket)
        return std::optional<route>{};
      path = std::move(*socket);
    }
    auto connection = connect_to(path);
    if (!connection)
      return std::move(connection.error());
    if (!*connection)
      return std::optional<route>{};
    return std::optional<route>{route{std::move(**connection), {}, {}}};
  }

  // Nobody answered. Nothing when somebody leads all the same, or leads by now; then connect again.
  caf::expected<std::optional<route>> elect() {
    auto lock = store_lock::try_acquire(*how_.root);
    if (!lock)
      return std::move(lock.error());
    started_ = false;
    if (!*lock)
      return std::optional<route>{};
    if (!how_.start)
      return std::optional<route>{route{{}, std::move(*lock), {}}};
    auto program = broker_program(how_.program);
    if (program.empty())
      return std::optional<route>{route{{}, std::move(*lock), "the sluice program is not found"}};
    auto start = start_broker(program, *how_.root, **lock, how_.patience);
    if (start.became != broker_start::fate::not_started)
      lock->reset();
    return judge(std::move(start), std::move(*lock));
  }

  // Whether a broker has just been started, so that it can be asked at once.
  bool started() const noexcept { return started_; }

private:
  caf::expected<std::optional<route>> judge(broker_start start, std::optional<store_lock> lock) {
    using fate = broker_start::fate;
    started_ = start.became == fate::ready;
    if (started_ || start.became == fate::silent || (start.became == fate::died && ++deaths_ < max_deaths))
      return std::optional<route>{};
    return std::optional<route>{route{{}, std::move(lock), std::move(start.reason)}};
  }

  const election& how_;
  bool started_ = false;
  int deaths_ = 0;
};

caf::error nobody_found(const election& how, uint32_t tries, steady_clock::duration spent) {
  failure x;
  x.attempts = tries;
  x.waited_ms = static_cast<uint32_t>(std::chrono::duration_cast<milliseconds>(spent).count());
  x.code = how.endpoint.empty() ? errc::busy : errc::unavailable;
  x.message = how.endpoint.empty() ? "another process leads this store, and does not serve others"
                                   : "no broker answers at the endpoint";
  return make_error(std::move(x));
}

} // namespace

caf::expected<route> find_leader(const election& how, steady_clock::time_point limit,
                                 const std::atomic<bool>* stopped) {
  search x{how};
  std::optional<backoff> pause;
  auto start = steady_clock::now();
  for (uint32_t tries = 1;; ++tries) {
    auto found = x.connect();
    if (found && !*found && how.endpoint.empty())
      found = x.elect();
    if (!found)
      return std::move(found.error());
    if (*found)
      return std::move(**found);
    if (x.started())
      continue;
    auto now = steady_clock::now();
    if (now >= limit || (stopped && *stopped))
      return nobody_found(how, tries, now - start);
    if (!pause)
      pause.emplace(pauses, std::random_device{}());
    std::this_thread::sleep_for(std::min<steady_clock::duration>(pause->pause(tries), limit - now));
  }
}

} // namespace sluice
