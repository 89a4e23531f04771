#include "runtime/broker/retry.hpp"

#include "runtime/os/machine_clock.hpp"
#include "runtime/os/random_seed.hpp"

#include <algorithm>
#include <limits>
#include <thread>

namespace sluice {

using std::chrono::milliseconds;

retry_series::retry_series(const retry_policy& policy, retry_options options)
  : policy_(policy), options_(std::move(options)), time_(options_.time ? *options_.time : machine_time()),
    begun_(time_.now()), pauses_(policy_, options_.seed ? *options_.seed : random_seed()) {}

bool retry_series::refused() {
  ++attempts_;
  if (options_.counters)
    options_.counters->attempt(time_, true);
  auto left = policy_.deadline.count() > 0 ? policy_.deadline - elapsed() : milliseconds::max();
  if (attempts_ > policy_.attempts || left.count() <= 0) {
    waited_ = elapsed();
    if (options_.counters)
      options_.counters->gave_up(waited_);
    return false;
  }
  // The last try begins when the time is over, as in a writer.
  auto pause = std::min(pauses_.pause(attempts_), left);
  if (options_.sleep)
    options_.sleep(pause);
  else
    std::this_thread::sleep_for(pause);
  if (options_.counters)
    options_.counters->retry();
  return true;
}

void retry_series::got_through() {
  ++attempts_;
  if (options_.counters)
    options_.counters->attempt(time_, false);
  if (attempts_ == 1)
    return;
  waited_ = elapsed();
  if (options_.counters)
    options_.counters->succeeded(1, waited_);
}

milliseconds retry_series::elapsed() const { return std::chrono::duration_cast<milliseconds>(time_.now() - begun_); }

caf::error detail::given_up(const caf::error& last, const retry_series& tries) {
  constexpr auto most = std::numeric_limits<uint32_t>::max();
  auto error = describe(last);
  error.attempts = static_cast<uint32_t>(std::min<uint64_t>(tries.attempts(), most));
  error.waited_ms = static_cast<uint32_t>(std::clamp<int64_t>(tries.waited().count(), 0, most));
  return make_error(std::move(error));
}

} // namespace sluice
