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

/// Bounds of one database's queue. One agent may use a quarter of it, one process on a socket half of it.
struct write_quota_limits {
  uint64_t max_requests = 10'000;
  uint64_t max_bytes = 64ULL << 20;
  /// Under how many names of agents one process may have requests in the queue at a time.
  uint64_t max_agents_per_process = 256;
};

/// Holds the tickets of all that waits for a writer or is executed by it, refuses what would pass the bounds, and
/// answers what is not answered in time. Callers ask in their own thread before they send, because a mailbox has no
/// bound and a busy writer could not refuse at once. Thread-safe.
///
/// Each writer has one of its own; what a dead writer had queued is forgotten together with its admission.
class write_quota {
public:
  /// How long after its deadline a request is answered from here. Its writer, if it comes to it, does so at the
  /// deadline.
  static constexpr std::chrono::milliseconds grace{100};

  explicit write_quota(write_quota_limits limits) : limits_(limits) {}

  struct verdict {
    /// Why the request was not taken in (`too_large`, `overloaded`); nothing when it was.
    std::optional<failure> refused;
    /// When `expire` has to be called on its account; nothing if it will be called before.
    std::optional<clock::steady> expire_at;
  };

  /// Takes a request in that is to be answered until `deadline`, and gives it its ticket.
  verdict admit(write_request& request, clock::steady deadline);

  /// A request taken in has been answered. Twice is once.
  void release(ticket& ticket);

  /// Answers what should have been answered by now (`deadline_exceeded`). Returns when to be called next; nothing if
  /// that has been arranged already, or there is nothing to wait for.
  std::optional<clock::steady> expire(clock::steady now);

  /// When `expire` has to be called next, as its last call or `admit` has returned; nothing if not at all.
  std::optional<clock::steady> next_expiry() const;

  /// Ends the request with this id, if `may_cancel` of its ticket: a waiting one is answered `cancelled`, a running one
  /// is interrupted, and undone by its writer. False when there is none.
  template <class Predicate> bool cancel(const std::string& request_id, Predicate may_cancel) {
    auto found = false;
    for (const auto& ticket : tickets())
      if (ticket->info().request_id == request_id && may_cancel(*ticket))
        found |= cancel(*ticket);
    return found;
  }

  /// The broker ends: every request is answered by `until`. Running ones are then interrupted, waiting ones refused
  /// (`unavailable`). Returns when to call `expire`.
  clock::steady drain(clock::steady until);

  /// `count` requests were served in `elapsed`; makes the advice of `retry_after_ms` better.
  void served(uint64_t count, std::chrono::nanoseconds elapsed);

  struct usage {
    uint64_t requests = 0;
    uint64_t bytes = 0;
  };

  usage queued() const;
  uint64_t refused() const;

  /// Adds what waits and what is executed; `db` is the name of the database.
  void list_running(const std::string& db, clock::steady now, std::vector<running_request>& out) const;

  /// Of all requests that have not been released.
  std::vector<std::shared_ptr<ticket>> tickets() const;

private:
  struct process {
    usage used;
    // How many requests each of its agents has in the queue.
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
  // By user and process id; callers inside this process are in none.
  std::map<std::pair<uint32_t, uint32_t>, process> processes_;
  std::vector<std::shared_ptr<ticket>> tickets_;
  // When `expire` will be called; `max` if no call is scheduled.
  clock::steady next_expiry_ = clock::steady::max();
  clock::steady drained_at_ = clock::steady::max();
  uint64_t refused_ = 0;
  double ns_per_request_ = 100'000;
};

} // namespace sluice
