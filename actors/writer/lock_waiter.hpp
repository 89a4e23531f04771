#pragma once

#include "actors/base/clock.hpp"
#include "actors/base/retry_policy.hpp"
#include "messages/error.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

namespace sluice {

/// The state of one waiting request.
struct lock_wait {
  clock::steady deadline{};
  /// The number of refusals while the request waited for the lock.
  uint64_t refusals = 0;
};

/// The wait of a group's requests for the write lock of the database, which another process holds: when to try again,
/// which requests give up, and how long each was kept waiting. It takes no lock itself.
///
/// A wait begins with `ask` and ends with `end`, or with a refusal after which no request waits. Another refusal begins
/// a pause, which ends with `end_pause`.
///
/// Owned and called by one `group_commit`; uses no CAF. Not synchronized.
class lock_waiter {
public:
  lock_waiter(retry_policy policy, uint64_t seed) : policy_(policy), backoff_(policy, seed) {}

  /// Whether there is a pause, during which the writer must not try to get the lock.
  bool is_pausing() const noexcept { return is_pausing_; }

  /// The length of the pause, from its beginning, and its end. @pre `is_pausing`
  std::chrono::milliseconds pause() const noexcept;
  clock::steady retry_at() const noexcept;

  /// Call it before an attempt to get the lock: begins a wait, unless one has begun already.
  void ask(clock::steady now) noexcept;

  /// The lock was refused. If a request goes on waiting, a pause begins: longer each time, and not longer than until
  /// the first deadline.
  /// @param waiting requests that need the lock; counts the refusal for each
  /// @returns those that give up because their deadline has passed, or because retries are off
  std::vector<lock_wait*> refused(const failure& why, std::span<lock_wait* const> waiting, clock::steady now);

  /// Ends the pause, to try again or because the waiting requests are refused. @returns whether there was one
  bool end_pause() noexcept;

  /// The wait is over: the group got the lock, or an error other than a refusal came.
  /// @param until when it was over for the requests, at the latest now
  void end(clock::steady until) noexcept;

  /// The length of the current wait so far. @pre `ask` was called, and since then not `end`
  std::chrono::milliseconds waited(clock::steady now) const noexcept;

  /// The part of a request's wait, which ends now, that was for the lock: the time after `received` in the current
  /// wait, or else in the last one. Zero below a millisecond, which BEGIN may take although the lock is free.
  std::chrono::nanoseconds time_locked_out(clock::steady received, clock::steady now) const noexcept;

  /// The error for a request that gives up: `busy`, with the message of the last refusal, the number of refusals, and
  /// the time since the request was received. @pre the lock was refused
  failure error_of(const lock_wait& request, clock::steady received, clock::steady now) const;

private:
  const retry_policy policy_;
  backoff backoff_;

  bool is_pausing_ = false;
  std::chrono::milliseconds pause_{0};
  clock::steady retry_at_{};
  // The last refusal.
  failure refusal_;
  // The start of the current wait; the epoch when there is none.
  clock::steady since_{};
  // The last wait that has ended.
  clock::steady last_since_{};
  clock::steady last_until_{};
};

} // namespace sluice
