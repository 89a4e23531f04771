#include "runtime/capsule/capsule_clock.hpp"

#include "tests/support/fake_clock.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::capsule_clock_test {

using namespace std::chrono_literals;

namespace {

constexpr int64_t hour_us = 3'600'000'000;

} // namespace

TEST_CASE("the clock of capsules follows the time that passes, whatever the wall clock does", "[capsule]") {
  fake_clock time;
  capsule_clock aut{time};
  auto begin = aut.now_us();
  CHECK(begin == wall_us(time));
  time.advance(1h);
  CHECK(aut.now_us() == begin + hour_us);
  time.jump(-10h);
  CHECK(aut.now_us() == begin + hour_us);
  time.jump(30h);
  CHECK(aut.now_us() == begin + hour_us);
}

TEST_CASE("the clock of capsules goes on in another process of the same boot", "[capsule]") {
  fake_clock time;
  auto kept = capsule_clock{time}.kept();
  time.advance(1h);
  time.jump(-10h);
  CHECK(capsule_clock(time, kept).now_us() == kept.seen_us + hour_us);
}

TEST_CASE("after a boot the clock of capsules takes the wall clock, but never goes back", "[capsule]") {
  fake_clock time;
  auto kept = capsule_clock{time}.kept();
  time.advance(1h);
  time.reboot();
  CHECK(capsule_clock(time, kept).now_us() == kept.seen_us + hour_us);
  time.jump(-10h);
  capsule_clock later{time, kept};
  CHECK(later.now_us() == kept.seen_us);
  time.advance(1h);
  CHECK(later.now_us() == kept.seen_us + hour_us);
  CHECK(later.kept().seen_us == later.now_us());
}

} // namespace sluice::test::capsule_clock_test
