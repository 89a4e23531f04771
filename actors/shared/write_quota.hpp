#pragma once

#include "actors/base/clock.hpp"
#include "messages/error.hpp"
#include "messages/status.hpp"
#include "messages/write.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sluice {

/// The bounds of one database's queue. One agent may use a quarter of it, one process on a socket half of it.
struct write_quota_limits {
  uint64_t max_requests = 10'000;
  uint64_t max_bytes = 64ULL << 20;
  /// The maximum number of agent names under which one process may have queued requests.
  uint64_t max_agents_per_process = 256;
};

/// Holds the tickets of all requests that wait for a writer or are executed by it, refuses requests that exceed the
/// bounds, and answers requests whose time is over. Callers use it in their own thread before they send, because a
/// mailbox has no bound and a busy writer could not refuse at once. Thread-safe.
///
/// Each writer has one of its own; the queued requests of a dead writer are dropped with it.
class write_quota {
public:
  /// The time after its deadline at which a request is answered from here. If its writer comes to it, it answers at the
  /// deadline.
  static constexpr std::chrono::milliseconds grace{100};

  explicit write_quota(write_quota_limits limits) : limits_(limits) {}

  struct verdict {
    /// The error when the request was not admitted (`too_large`, `overloaded`); nothing when it was.
    std::optional<failure> refused;
    /// When to call `expire` because of this request; nothing if an earlier call is scheduled.
    std::optional<clock::steady> expire_at;
  };

  /// Admits a request that must be answered until `deadline`, and gives it a ticket.
  verdict admit(write_request& request, clock::steady deadline);

  /// An admitted request has been answered. Idempotent.
  void release(ticket& ticket);

  /// Answers the requests whose time is over (`deadline_exceeded`). Returns when to call it next; nothing if that call
  /// is already scheduled, or nothing waits.
  std::optional<clock::steady> expire(clock::steady now);

  /// When to call `expire` next, as its last call or `admit` has returned; nothing if not at all.
  std::optional<clock::steady> next_expiry() const;

  /// Ends the request with this id if `may_cancel` is true for its ticket: a waiting request is answered `cancelled`, a
  /// running one is interrupted and undone by its writer. False when there is none.
  template <class Predicate> bool cancel(const std::string& request_id, Predicate may_cancel) {
    auto found = false;
    for (const auto& ticket : tickets())
      if (ticket->info().request_id == request_id && may_cancel(*ticket))
        found |= cancel(*ticket);
    return found;
  }

  /// The broker ends: every request is answered by `until`. Running requests are then interrupted, waiting ones refused
  /// (`unavailable`). Returns when to call `expire`.
  clock::steady drain(clock::steady until);

  /// `count` requests were served in `elapsed`; improves the estimate for `retry_after_ms`.
  void served(uint64_t count, std::chrono::nanoseconds elapsed);

  struct usage {
    uint64_t requests = 0;
    uint64_t bytes = 0;
  };

  usage queued() const;
  uint64_t refused() const;

  /// Adds waiting and running requests; `db` is the name of the database.
  void list_running(const std::string& db, clock::steady now, std::vector<running_request>& out) const;

  /// The tickets of all requests that have not been released.
  std::vector<std::shared_ptr<ticket>> tickets() const;

private:
  struct process {
    usage used;
    // The number of queued requests of each of its agents.
    std::map<std::string, uint64_t, std::less<>> agents;
  };

  static bool cancel(ticket& ticket);
  std::optional<failure> refuse(const write_request& request, uint64_t bytes);
  std::optional<failure> refuse_process(const write_request& request, uint64_t bytes);
  failure overloaded(std::string message) const;
  void count(const ticket& ticket);
  void discount(const ticket& ticket);
  clock::steady due(const ticket& ticket) const noexcept;

  const write_quota_limits limits_;
  mutable std::mutex mutex_;
  usage total_;
  std::unordered_map<std::string, usage> agents_;
  // By user and process id; callers inside this process have no entry.
  std::map<std::pair<uint32_t, uint32_t>, process> processes_;
  std::vector<std::shared_ptr<ticket>> tickets_;
  // When `expire` will be called; `max` if no call is scheduled.
  clock::steady next_expiry_ = clock::steady::max();
  clock::steady drained_at_ = clock::steady::max();
  uint64_t refused_ = 0;
  double ns_per_request_ = 100'000;
};

} // namespace sluice
