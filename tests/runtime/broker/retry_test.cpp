#include "runtime/broker/retry.hpp"

#include "tests/support/fake_clock.hpp"

#include <catch2/catch.hpp>

#include <sqlite3.h>

#include <stdexcept>
#include <vector>

namespace sluice::test::retry_test {

using namespace std::chrono_literals;

namespace {

using std::chrono::milliseconds;

// A call that is refused a number of times before it succeeds, on a fake clock.
struct fixture {
  fake_clock time;
  retry_counters counters;
  std::vector<milliseconds> pauses;
  uint64_t calls = 0;
  milliseconds each_takes{0};
  retry_policy policy{3, 100ms, 2.0, 2'000ms, 0};

  retry_options options() {
    retry_options result;
    result.time = &time;
    result.sleep = [this](milliseconds pause) {
      pauses.push_back(pause);
      time.advance(pause);
    };
    result.seed = 7;
    result.counters = &counters;
    return result;
  }

  bool free_after(uint64_t refusals) {
    time.advance(each_takes);
    return calls++ >= refusals;
  }

  auto refused_times(uint64_t refusals, errc as = errc::busy) {
    return [=, this]() -> caf::expected<int> {
      if (free_after(refusals))
        return 42;
      return make_error(as, "somebody has it");
    };
  }

  auto code_after(uint64_t refusals, int refused_as, int then = SQLITE_OK) {
    return [=, this] { return free_after(refusals) ? then : refused_as; };
  }

  retry_status status() const { return counters.snapshot(time); }
};

} // namespace

TEST_CASE("a call that succeeds at once is made once, without waiting") {
  fixture f;
  auto result = retry(f.policy, f.refused_times(0), f.options());
  REQUIRE(result);
  CHECK(*result == 42);
  CHECK(f.calls == 1);
  CHECK(f.pauses.empty());
  CHECK(f.status().lock_errors == 0);
  CHECK(f.status().successes_after_retry == 0);
  CHECK(f.status().error_rate_5m == 0);
}

TEST_CASE("a call that finds a lock is repeated after growing pauses until it succeeds") {
  fixture f;
  auto result = retry(f.policy, f.refused_times(3), f.options());
  REQUIRE(result);
  CHECK(f.calls == 4);
  CHECK(f.pauses == std::vector{100ms, 200ms, 400ms});
  auto status = f.status();
  CHECK(status.lock_errors == 3);
  CHECK(status.retries == 3);
  CHECK(status.successes_after_retry == 1);
  CHECK(status.failures == 0);
  CHECK(status.total_wait_ms == 700);
  CHECK(status.error_rate_5m == Approx(0.75));
}

TEST_CASE("a lock that outlasts the tries is busy, with the number of attempts and the time") {
  fixture f;
  f.each_takes = 500ms;
  auto result = retry(f.policy, f.refused_times(100), f.options());
  REQUIRE_FALSE(result);
  auto error = describe(result.error());
  CHECK(error.code == errc::busy);
  CHECK(error.message == "somebody has it");
  CHECK(error.attempts == 4);
  CHECK(error.waited_ms == 2'700);
  CHECK(f.calls == 4);
  CHECK(f.status().failures == 1);
  CHECK(f.status().retries == 3);
  CHECK(f.status().total_wait_ms == 2'700);
}

TEST_CASE("any failure other than a lock is returned at once, also after a lock") {
  fixture f;
  auto result = retry(f.policy, f.refused_times(5, errc::constraint), f.options());
  CHECK(code_of(result.error()) == errc::constraint);
  CHECK(describe(result.error()).attempts == 0);
  CHECK(f.calls == 1);
  CHECK(f.status().lock_errors == 0);
  auto later = retry(f.policy, f.code_after(2, SQLITE_BUSY, SQLITE_CONSTRAINT), f.options());
  CHECK(later.code == SQLITE_CONSTRAINT);
  CHECK(f.status().successes_after_retry == 1);
}

TEST_CASE("no retries means one try") {
  fixture f;
  f.policy.attempts = 0;
  CHECK(describe(retry(f.policy, f.refused_times(1), f.options()).error()).attempts == 1);
  CHECK(f.pauses.empty());
  CHECK(f.status().failures == 1);
}

TEST_CASE("a deadline cuts the last pause and ends the tries") {
  fixture f;
  f.policy.attempts = 100;
  f.policy.deadline = 1s;
  auto result = retry(f.policy, f.refused_times(1'000), f.options());
  CHECK(f.pauses == std::vector{100ms, 200ms, 400ms, 300ms});
  CHECK(describe(result.error()).attempts == 5);
  CHECK(describe(result.error()).waited_ms == 1'000);
}

TEST_CASE("a deadline counts the calls as well as the pauses") {
  fixture f;
  f.policy.deadline = 250ms;
  f.each_takes = 300ms;
  CHECK_FALSE(retry(f.policy, f.refused_times(1), f.options()));
  CHECK(f.calls == 1);
  CHECK(f.pauses.empty());
  // A call that succeeds is never too late.
  CHECK(retry(f.policy, f.refused_times(0), f.options()));
}

TEST_CASE("SQLite's codes are recognized by their primary code") {
  for (auto code : {SQLITE_BUSY, SQLITE_BUSY_RECOVERY, SQLITE_BUSY_SNAPSHOT, SQLITE_BUSY_TIMEOUT, SQLITE_LOCKED,
                    SQLITE_LOCKED_SHAREDCACHE, SQLITE_LOCKED_VTAB}) {
    INFO(code);
    CHECK(is_lock_error(code));
    fixture f;
    auto result = retry(f.policy, f.code_after(2, code, SQLITE_DONE), f.options());
    CHECK(result.code == SQLITE_DONE);
    CHECK(result.attempts == 3);
    CHECK(result.waited == 300ms);
    CHECK(f.status().successes_after_retry == 1);
  }
  for (auto code : {SQLITE_OK, SQLITE_ROW, SQLITE_ERROR, SQLITE_CONSTRAINT_UNIQUE, SQLITE_IOERR_LOCK, SQLITE_CORRUPT,
                    SQLITE_PERM, SQLITE_NOMEM, SQLITE_PROTOCOL}) {
    INFO(code);
    CHECK_FALSE(is_lock_error(code));
    fixture f;
    auto result = retry(f.policy, f.code_after(0, 0, code), f.options());
    CHECK(result.code == code);
    CHECK(result.attempts == 1);
    CHECK(result.waited == 0ms);
  }
}

TEST_CASE("a call that stays locked returns the number of attempts and the time") {
  fixture f;
  auto result = retry(f.policy, f.code_after(100, SQLITE_BUSY_SNAPSHOT), f.options());
  CHECK(result.code == SQLITE_BUSY_SNAPSHOT);
  CHECK(result.attempts == 4);
  CHECK(result.waited == 700ms);
}

TEST_CASE("the same seed gives the same pauses, another one others") {
  auto pauses_of = [](uint64_t seed) {
    fixture f;
    f.policy.jitter = 0.25;
    auto result = f.options();
    result.seed = seed;
    static_cast<void>(retry(f.policy, f.refused_times(100), result));
    return f.pauses;
  };
  CHECK(pauses_of(1) == pauses_of(1));
  CHECK(pauses_of(1) != pauses_of(2));
}

TEST_CASE("retry works without any options, and with nothing to return") {
  retry_policy policy{3, 1ms, 1.0, 1ms, 0.25};
  auto calls = 0;
  auto call = [&]() -> caf::expected<void> {
    if (++calls < 3)
      return make_error(errc::busy, "somebody has it");
    return caf::unit;
  };
  CHECK(retry(policy, call));
  CHECK(calls == 3);
  calls = -100;
  CHECK(code_of(retry(policy, call).error()) == errc::busy);
  CHECK(retry(policy, [&] { return SQLITE_OK; }).attempts == 1);
  calls = 0;
  CHECK(retry(policy, [&] { return ++calls < 2 ? SQLITE_BUSY : SQLITE_DONE; }).code == SQLITE_DONE);
  CHECK(retry(policy, [&] { return SQLITE_LOCKED; }).attempts == 4);
}

TEST_CASE("an exception of the call ends the tries") {
  fixture f;
  CHECK_THROWS_AS(retry(
                    f.policy, [&]() -> caf::expected<int> { throw std::runtime_error("no"); }, f.options()),
                  std::runtime_error);
  CHECK(f.pauses.empty());
}

TEST_CASE("a callable that can only be moved, or that is passed by reference, can be retried") {
  fixture f;
  auto call = [token = std::make_unique<int>(1), &f]() mutable -> caf::expected<std::unique_ptr<int>> {
    if (!f.free_after(1))
      return make_error(errc::busy, "somebody has it");
    return std::move(token);
  };
  auto result = retry(f.policy, call, f.options());
  REQUIRE(result);
  CHECK(**result == 1);
  CHECK(f.calls == 2);
}

} // namespace sluice::test::retry_test
