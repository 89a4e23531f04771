#pragma once

#include "actors/base/clock.hpp"
#include "actors/base/retry_policy.hpp"
#include "actors/shared/retry_counters.hpp"
#include "messages/error.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>

namespace sluice {

/// The settings of `retry`; the defaults use the clock and the threads of this machine.
struct retry_options {
  /// The clock for deadlines and counters.
  const clock* time = nullptr;
  /// Waits for the duration; if empty, the calling thread sleeps.
  std::function<void(std::chrono::milliseconds)> sleep{};
  /// The seed of the jitter; random if not given. Equal seeds give equal pauses.
  std::optional<uint64_t> seed{};
  /// Counts the results: counters of the host, or those of the broker (`broker::retries`), which its status shows.
  retry_counters* counters = nullptr;
};

/// The result of a call that returns a result code of SQLite.
struct retried_code {
  /// The result code of the last call.
  int code = 0;
  /// The number of calls.
  uint64_t attempts = 0;
  /// The time from the first call until success or giving up; 0 if the first call succeeded.
  std::chrono::milliseconds waited{0};
};

/// Whether a result code of SQLite, extended or not, says that another connection has the lock: SQLITE_BUSY,
/// SQLITE_LOCKED and their extended codes.
constexpr bool is_lock_error(int code) noexcept {
  auto primary = code & 0xff;
  return primary == 5 || primary == 6;
}

/// Whether a failed call says that another connection has the lock: `errc::busy`.
inline bool is_lock_error(const caf::error& error) { return code_of(error) == errc::busy; }

/// One series of tries; `retry` uses it, and so can hosts that cannot make their call in one function. Not
/// synchronized.
class retry_series {
public:
  retry_series(const retry_policy& policy, retry_options options);

  /// The call failed because another connection had the lock. Waits and returns true if it should be repeated; false
  /// when the tries or the time are used up.
  bool refused();

  /// The call found no lock, whatever its result was.
  void got_through();

  /// Calls made.
  uint64_t attempts() const noexcept { return attempts_; }

  /// The time from the first call until the end of the series; 0 if it never waited.
  std::chrono::milliseconds waited() const noexcept { return waited_; }

private:
  std::chrono::milliseconds elapsed() const;

  const retry_policy policy_;
  const retry_options options_;
  const clock& time_;
  const clock::steady begun_;
  backoff pauses_;
  uint64_t attempts_ = 0;
  std::chrono::milliseconds waited_{0};
};

namespace detail {

template <class T> struct is_expected : std::false_type {};
template <class T> struct is_expected<caf::expected<T>> : std::true_type {};

// The last error, with the number of attempts and the wait.
caf::error given_up(const caf::error& last, const retry_series& tries);

} // namespace detail

/// Calls `call` and, as long as it fails because another connection has the lock, calls it again after a pause; returns
/// any other failure. A failed call must leave nothing behind: begin a new transaction in each try.
///
/// `call` takes no argument and returns a `caf::expected<T>` (a lock error is `errc::busy`) or a result code of SQLite
/// (identified by its primary code). The result is that of the last call: for an expected that was given up, its error
/// has `attempts` and `waited_ms` filled in; for a code, it is a `retried_code`.
///
/// Blocks its thread while it waits: in an actor, use `retry_series` or leave retries to the broker, whose writers
/// retry themselves. An exception of the call ends the tries.
template <class Call> auto retry(const retry_policy& policy, Call&& call, retry_options options = {}) {
  using answer = std::invoke_result_t<Call&>;
  static_assert(detail::is_expected<answer>::value || std::is_same_v<answer, int>,
                "a call answers with a caf::expected or with a result code of SQLite");
  retry_series tries{policy, std::move(options)};
  for (;;) {
    auto result = call();
    if constexpr (std::is_same_v<answer, int>) {
      if (!is_lock_error(result))
        tries.got_through();
      else if (tries.refused())
        continue;
      return retried_code{result, tries.attempts(), tries.waited()};
    } else {
      if (result || !is_lock_error(result.error())) {
        tries.got_through();
        return result;
      }
      if (!tries.refused())
        return answer{detail::given_up(result.error(), tries)};
    }
  }
}

} // namespace sluice
