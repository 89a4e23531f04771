#include "actors/writer/lock_waiter.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::lock_waiter_test {

using namespace std::chrono_literals;

namespace {

constexpr clock::steady start{1h};

retry_policy without_jitter() {
  retry_policy policy;
  policy.jitter = 0;
  return policy;
}

failure refusal(std::string message = "locked") {
  failure error;
  error.code = errc::busy;
  error.message = std::move(message);
  return error;
}

// A waiter and one request that waits from `start` on for the given time at most.
struct waiter_fixture {
  explicit waiter_fixture(std::chrono::milliseconds timeout = 30s, retry_policy policy = without_jitter())
    : waiter(policy, 1), request{start + timeout, 0} {
    waiter.ask(start);
  }

  std::vector<lock_wait*> refuse(std::chrono::milliseconds after) {
    lock_wait* waiting[] = {&request};
    return waiter.refused(refusal(), waiting, start + after);
  }

  lock_waiter waiter;
  lock_wait request;
};

} // namespace

TEST_CASE("pauses between tries grow for the allowed number of retries, and then stay the same", "[lock_waiter]") {
  waiter_fixture f;
  auto now = 0ms;
  std::vector<std::chrono::milliseconds> pauses;
  for (auto i = 0; i < 5; ++i) {
    CHECK(f.refuse(now).empty());
    REQUIRE(f.waiter.is_pausing());
    pauses.push_back(f.waiter.pause());
    CHECK(f.waiter.retry_at() == start + now + pauses.back());
    now += pauses.back();
    CHECK(f.waiter.end_pause());
    CHECK_FALSE(f.waiter.is_pausing());
  }
  CHECK(pauses == std::vector<std::chrono::milliseconds>{100ms, 200ms, 400ms, 400ms, 400ms});
  CHECK(f.request.refusals == 5);
}

TEST_CASE("the request that has been refused least often decides how long the pause is", "[lock_waiter]") {
  lock_waiter waiter{without_jitter(), 1};
  lock_wait old{start + 30s, 2};
  lock_wait fresh{start + 30s, 0};
  lock_wait* both[] = {&old, &fresh};
  CHECK(waiter.refused(refusal(), both, start).empty());
  CHECK(waiter.pause() == 100ms);
  CHECK(old.refusals == 3);
}

TEST_CASE("a pause is over a millisecond after the first deadline", "[lock_waiter]") {
  waiter_fixture f{30ms};
  lock_wait patient{start + 30s, 0};
  lock_wait* both[] = {&patient, &f.request};
  CHECK(f.waiter.refused(refusal(), both, start).empty());
  CHECK(f.waiter.pause() == 31ms);
}

TEST_CASE("a request whose deadline has passed gives up, and the others go on waiting", "[lock_waiter]") {
  waiter_fixture f{30ms};
  lock_wait patient{start + 30s, 0};
  lock_wait* both[] = {&f.request, &patient};
  CHECK(f.waiter.refused(refusal(), both, start + 30ms) == std::vector{&f.request});
  CHECK(f.waiter.is_pausing());
  auto error = f.waiter.error_of(f.request, start, start + 30ms);
  CHECK(error.code == errc::busy);
  CHECK(error.attempts == 1);
  CHECK(error.waited_ms == 30);
  CHECK(error.message == "locked; 1 attempts in 30 ms");
}

TEST_CASE("without retries every request gives up at the first refusal, and there is no pause", "[lock_waiter]") {
  auto policy = without_jitter();
  policy.attempts = 0;
  waiter_fixture f{30s, policy};
  CHECK(f.refuse(0ms) == std::vector{&f.request});
  CHECK_FALSE(f.waiter.is_pausing());
  CHECK_FALSE(f.waiter.end_pause());
}

TEST_CASE("the error of a request has the message of the last refusal, with the code of a lock", "[lock_waiter]") {
  waiter_fixture f;
  lock_wait* waiting[] = {&f.request};
  f.waiter.refused(refusal("first"), waiting, start);
  auto other = refusal("no descriptor is free");
  other.code = errc::unavailable;
  f.waiter.refused(other, waiting, start + 1s);
  auto error = f.waiter.error_of(f.request, start, start + 2s);
  CHECK(error.code == errc::busy);
  CHECK(error.message == "no descriptor is free; 2 attempts in 2000 ms");
}

TEST_CASE("the lock time of a request counts from its arrival until the lock is taken", "[lock_waiter]") {
  waiter_fixture f;
  f.refuse(0ms);
  CHECK(f.waiter.waited(start + 100ms) == 100ms);
  // The wait is still under way.
  CHECK(f.waiter.time_locked_out(start - 1s, start + 100ms) == 100ms);
  CHECK(f.waiter.time_locked_out(start + 40ms, start + 100ms) == 60ms);
  f.waiter.end(start + 250ms);
  // The wait has ended.
  CHECK(f.waiter.time_locked_out(start, start + 400ms) == 250ms);
  CHECK(f.waiter.time_locked_out(start + 100ms, start + 400ms) == 150ms);
  CHECK(f.waiter.time_locked_out(start + 300ms, start + 400ms) == 0ms);
}

TEST_CASE("a BEGIN of less than a millisecond does not count as a wait", "[lock_waiter]") {
  waiter_fixture f;
  f.waiter.end(start + std::chrono::microseconds{999});
  CHECK(f.waiter.time_locked_out(start, start + 1s) == 0ns);
  f.waiter.ask(start + 1s);
  f.waiter.end(start + 1s + 1ms);
  CHECK(f.waiter.time_locked_out(start, start + 2s) == 1ms);
}

TEST_CASE("the wait is over when its last request gives up", "[lock_waiter]") {
  waiter_fixture f{50ms};
  f.refuse(0ms);
  f.waiter.end_pause();
  // Asking again does not begin another wait.
  f.waiter.ask(start + 50ms);
  CHECK(f.refuse(50ms).size() == 1);
  CHECK(f.waiter.time_locked_out(start, start + 1s) == 50ms);
}

} // namespace sluice::test::lock_waiter_test
