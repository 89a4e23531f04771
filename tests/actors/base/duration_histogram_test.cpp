#include "actors/base/duration_histogram.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace sluice::test::duration_histogram_test {

using namespace std::chrono_literals;

TEST_CASE("a duration is counted in the first bucket whose upper end it does not pass") {
  for (size_t i = 0; i + 1 < duration_histogram::bucket_count; ++i) {
    duration_histogram aut;
    auto end = duration_histogram::upper_end(i);
    aut.add(end);
    aut.add(end + 1ns);
    auto result = aut.read();
    CHECK(result.counts[i] == 1);
    CHECK(result.counts[i + 1] == 1);
    CHECK(result.sum == 2 * end + 1ns);
    CHECK(result.count() == 2);
  }
}

TEST_CASE("the shortest and longest durations are counted") {
  duration_histogram aut;
  aut.add(0ns);
  aut.add(-5s);
  aut.add(1'000h);
  auto result = aut.read();
  CHECK(result.counts.front() == 2);
  CHECK(result.counts.back() == 1);
  CHECK(result.sum == 1'000h);
}

TEST_CASE("a quantile is the upper end of its bucket, and zero without durations") {
  duration_histogram aut;
  CHECK(aut.read().quantile(0.5) == 0ns);
  for (auto i = 0; i < 99; ++i)
    aut.add(10us);
  aut.add(1ms);
  auto result = aut.read();
  CHECK(result.quantile(0) == 16us);
  CHECK(result.quantile(0.5) == 16us);
  CHECK(result.quantile(0.99) == 16us);
  CHECK(result.quantile(0.999) == 1'024us);
  CHECK(result.quantile(1) == 1'024us);
}

TEST_CASE("with narrow buckets any quantile is exact to an eighth of an octave") {
  std::mt19937 random{7};
  std::lognormal_distribution<double> latencies{5, 2};
  duration_counts<narrow_buckets> aut;
  std::vector<double> all;
  for (int i = 0; i < 10'000; ++i) {
    auto us = std::clamp(latencies(random), 1.0, 1e9);
    all.push_back(us);
    aut.add(std::chrono::nanoseconds{static_cast<int64_t>(us * 1e3)});
  }
  std::sort(all.begin(), all.end());
  for (auto q : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    auto exact = all[static_cast<size_t>(std::ceil(q * 10'000)) - 1];
    auto us = std::chrono::duration<double, std::micro>{aut.quantile(q)}.count();
    CHECK(us >= exact * 0.999);
    CHECK(us <= exact * 1.1);
  }
}

TEST_CASE("durations outside the narrow buckets are counted in the first or the last one") {
  duration_counts<narrow_buckets> aut;
  CHECK(aut.quantile(0.5) == 0ns);
  aut.add(0ns);
  aut.add(-5ns);
  CHECK(aut.quantile(1) < 2us);
  aut.add(24h);
  CHECK(aut.count() == 3);
  CHECK(aut.quantile(1) > 1'000s);
}

TEST_CASE("the counts of two windows add up") {
  duration_counts<narrow_buckets> aut;
  aut.add(1ms);
  duration_counts<narrow_buckets> other;
  other.add(10ms);
  other.add(10ms);
  aut.add(other);
  CHECK(aut.count() == 3);
  CHECK(aut.sum == 21ms);
  CHECK(aut.quantile(0.3) < 2ms);
  CHECK(aut.quantile(1) >= 10ms);
}

} // namespace sluice::test::duration_histogram_test
