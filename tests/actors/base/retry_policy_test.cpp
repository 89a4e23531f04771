#include "actors/base/retry_policy.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::retry_policy_test {

using namespace std::chrono_literals;

TEST_CASE("pauses double from the base up to the cap") {
  retry_policy policy;
  policy.jitter = 0;
  backoff pauses{policy, 1};
  CHECK(pauses.pause(1) == 100ms);
  CHECK(pauses.pause(2) == 200ms);
  CHECK(pauses.pause(3) == 400ms);
  CHECK(pauses.pause(6) == 2'000ms);
  CHECK(pauses.pause(1'000'000) == 2'000ms);
  CHECK(pauses.pause(0) == 100ms);
}

TEST_CASE("jitter spreads a pause over the whole of its range and not beyond") {
  backoff pauses{{}, 7};
  auto least = 1'000ms;
  auto most = 0ms;
  for (auto i = 0; i < 2'000; ++i) {
    auto result = pauses.pause(1);
    least = std::min(least, result);
    most = std::max(most, result);
  }
  CHECK(least >= 75ms);
  CHECK(least <= 77ms);
  CHECK(most <= 125ms);
  CHECK(most >= 123ms);
}

TEST_CASE("the same seed gives the same pauses") {
  backoff a{{}, 7};
  backoff b{{}, 7};
  backoff c{{}, 8};
  auto differs = false;
  for (uint64_t i = 1; i < 20; ++i) {
    auto result = a.pause(i);
    CHECK(result == b.pause(i));
    differs |= result != c.pause(i);
  }
  CHECK(differs);
}

} // namespace sluice::test::retry_policy_test
