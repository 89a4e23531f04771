#include "actors/shared/retry_counters.hpp"
#include "tests/support/fake_clock.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::retry_counters_test {

using namespace std::chrono_literals;

TEST_CASE("refusals, retries, successes and failures are counted") {
  fake_clock time;
  retry_counters counters;
  CHECK(counters.snapshot(time).last_lock_error_us == 0);
  counters.attempt(time, false);
  counters.attempt(time, true);
  auto refused_at = wall_us(time);
  time.advance(1s);
  counters.retry();
  counters.attempt(time, false);
  counters.succeeded(3, 100ms);
  counters.gave_up(400ms);
  auto x = counters.snapshot(time);
  CHECK(x.lock_errors == 1);
  CHECK(x.retries == 1);
  CHECK(x.successes_after_retry == 3);
  CHECK(x.failures == 1);
  CHECK(x.last_lock_error_us == refused_at);
  CHECK(x.total_wait_ms == 500);
  CHECK(x.max_wait_ms == 400);
  CHECK(x.mean_wait_ms == 250);
}

TEST_CASE("the error rate looks back five minutes") {
  fake_clock time;
  retry_counters counters;
  CHECK(counters.snapshot(time).error_rate_5m == 0);
  counters.attempt(time, true);
  CHECK(counters.snapshot(time).error_rate_5m == 1);
  time.advance(4min);
  for (auto i = 0; i < 3; ++i)
    counters.attempt(time, false);
  CHECK(counters.snapshot(time).error_rate_5m == Approx(0.25));
  time.advance(1min);
  CHECK(counters.snapshot(time).error_rate_5m == 0);
  counters.attempt(time, true);
  CHECK(counters.snapshot(time).error_rate_5m == Approx(0.25));
  time.advance(24h);
  CHECK(counters.snapshot(time).error_rate_5m == 0);
  CHECK(counters.snapshot(time).lock_errors == 2);
}

TEST_CASE("a wait that a stepping clock made negative counts as none") {
  fake_clock time;
  retry_counters counters;
  counters.gave_up(-5ms);
  CHECK(counters.snapshot(time).total_wait_ms == 0);
}

TEST_CASE("counters start from zero after a reset") {
  fake_clock time;
  retry_counters counters;
  counters.attempt(time, true);
  counters.retry();
  counters.succeeded(1, 100ms);
  counters.gave_up(300ms);
  counters.reset();
  auto x = counters.snapshot(time);
  CHECK(x.lock_errors == 0);
  CHECK(x.retries == 0);
  CHECK(x.successes_after_retry == 0);
  CHECK(x.failures == 0);
  CHECK(x.error_rate_5m == 0);
  CHECK(x.total_wait_ms == 0);
  CHECK(x.max_wait_ms == 0);
  CHECK(x.last_lock_error_us == 0);
  counters.gave_up(100ms);
  CHECK(counters.snapshot(time).mean_wait_ms == 100);
}

} // namespace sluice::test::retry_counters_test
