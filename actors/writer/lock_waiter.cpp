#include "actors/writer/lock_waiter.hpp"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

namespace sluice {

namespace {

// A shorter BEGIN is no wait: it takes this long without contention, too.
constexpr std::chrono::milliseconds shortest_lock_wait{1};

std::chrono::milliseconds whole_milliseconds(clock::steady::duration time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time);
}

} // namespace

std::chrono::milliseconds lock_waiter::pause() const noexcept {
  assert(is_pausing_);
  return pause_;
}

clock::steady lock_waiter::retry_at() const noexcept {
  assert(is_pausing_);
  return retry_at_;
}

void lock_waiter::ask(clock::steady now) noexcept {
  if (since_ == clock::steady{})
    since_ = now;
}

std::vector<lock_wait*> lock_waiter::refused(const failure& why, std::span<lock_wait* const> waiting,
                                             clock::steady now) {
  ask(now);
  refusal_ = why;
  std::vector<lock_wait*> given_up;
  // Requests that have waited for at least this many pauses wait for equal ones.
  uint64_t fewest_refusals = policy_.attempts;
  auto first_deadline = clock::steady::max();
  for (auto* request : waiting) {
    ++request->refusals;
    if (policy_.attempts == 0 || now >= request->deadline) {
      given_up.push_back(request);
      continue;
    }
    fewest_refusals = std::min(fewest_refusals, request->refusals);
    first_deadline = std::min(first_deadline, request->deadline);
  }
  is_pausing_ = given_up.size() < waiting.size();
  if (!is_pausing_) {
    end(now);
    return given_up;
  }
  auto longest = whole_milliseconds(first_deadline - now) + std::chrono::milliseconds{1};
  pause_ = std::min(backoff_.pause(fewest_refusals), longest);
  retry_at_ = now + pause_;
  return given_up;
}

bool lock_waiter::end_pause() noexcept { return std::exchange(is_pausing_, false); }

void lock_waiter::end(clock::steady until) noexcept {
  last_since_ = std::exchange(since_, clock::steady{});
  last_until_ = until;
}

std::chrono::milliseconds lock_waiter::waited(clock::steady now) const noexcept {
  assert(since_ != clock::steady{});
  return whole_milliseconds(now - since_);
}

std::chrono::nanoseconds lock_waiter::time_locked_out(clock::steady received, clock::steady now) const noexcept {
  auto has_begun = since_ != clock::steady{};
  auto wait = (has_begun ? now : last_until_) - std::max(has_begun ? since_ : last_since_, received);
  return wait >= shortest_lock_wait ? wait : std::chrono::nanoseconds{0};
}

failure lock_waiter::error_of(const lock_wait& request, clock::steady received, clock::steady now) const {
  auto waited = whole_milliseconds(now - received).count();
  auto why = refusal_;
  why.code = errc::busy;
  why.attempts = static_cast<uint32_t>(request.refusals);
  why.waited_ms = static_cast<uint32_t>(std::max<int64_t>(waited, 0));
  why.message += "; " + std::to_string(request.refusals) + " attempts in " + std::to_string(waited) + " ms";
  return why;
}

} // namespace sluice
