#include "actors/base/duration_histogram.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::duration_histogram_test {

using namespace std::chrono_literals;

TEST_CASE("a duration is counted in the first bucket whose upper end it does not pass") {
  for (size_t i = 0; i + 1 < duration_histogram::bucket_count; ++i) {
    duration_histogram aut;
    auto end = duration_histogram::upper_end(i);
    aut.add(end);
    aut.add(end + 1ns);
    auto x = aut.look();
    CHECK(x.counts[i] == 1);
    CHECK(x.counts[i + 1] == 1);
    CHECK(x.sum == 2 * end + 1ns);
    CHECK(x.count() == 2);
  }
}

TEST_CASE("nothing is too short or too long to be counted") {
  duration_histogram aut;
  aut.add(0ns);
  aut.add(-5s);
  aut.add(1'000h);
  auto x = aut.look();
  CHECK(x.counts.front() == 2);
  CHECK(x.counts.back() == 1);
  CHECK(x.sum == 1'000h);
}

TEST_CASE("quantiles are the upper ends of their buckets, and zero of nothing") {
  duration_histogram aut;
  CHECK(aut.look().quantile(0.5) == 0ns);
  for (auto i = 0; i < 99; ++i)
    aut.add(10us);
  aut.add(1ms);
  auto x = aut.look();
  CHECK(x.quantile(0) == 16us);
  CHECK(x.quantile(0.5) == 16us);
  CHECK(x.quantile(0.99) == 16us);
  CHECK(x.quantile(0.999) == 1'024us);
  CHECK(x.quantile(1) == 1'024us);
}

} // namespace sluice::test::duration_histogram_test
