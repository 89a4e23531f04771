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
  auto snapshot = counters.snapshot(time);
  CHECK(snapshot.lock_errors == 1);
  CHECK(snapshot.retries == 1);
  CHECK(snapshot.successes_after_retry == 3);
  CHECK(snapshot.failures == 1);
  CHECK(snapshot.last_lock_error_us == refused_at);
  CHECK(snapshot.total_wait_ms == 500);
  CHECK(snapshot.max_wait_ms == 400);
  CHECK(snapshot.mean_wait_ms == 250);
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

TEST_CASE("a wait that a clock step made negative counts as zero") {
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
  auto snapshot = counters.snapshot(time);
  CHECK(snapshot.lock_errors == 0);
  CHECK(snapshot.retries == 0);
  CHECK(snapshot.successes_after_retry == 0);
  CHECK(snapshot.failures == 0);
  CHECK(snapshot.error_rate_5m == 0);
  CHECK(snapshot.total_wait_ms == 0);
  CHECK(snapshot.max_wait_ms == 0);
  CHECK(snapshot.last_lock_error_us == 0);
  counters.gave_up(100ms);
  CHECK(counters.snapshot(time).mean_wait_ms == 100);
}

} // namespace sluice::test::retry_counters_test
