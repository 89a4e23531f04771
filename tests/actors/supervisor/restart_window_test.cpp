#include "actors/supervisor/restart_window.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::restart_window_test {

using namespace std::chrono_literals;

TEST_CASE("as many failures as the limit are allowed within the window, one more is not") {
  restart_window window{5, 10s};
  auto now = clock::steady{} + 1h;
  for (auto i = 0; i < 5; ++i)
    CHECK(window.allow(now + i * 1s));
  CHECK(!window.allow(now + 10s));
}

TEST_CASE("failures that are older than the window are forgotten") {
  restart_window window{2, 10s};
  auto now = clock::steady{} + 1h;
  CHECK(window.allow(now));
  CHECK(window.allow(now + 5s));
  CHECK(window.allow(now + 10'001ms));
  CHECK(!window.allow(now + 10'002ms));
  CHECK(window.allow(now + 1h));
}

TEST_CASE("a limit of zero allows no failure") {
  restart_window window{0, 10s};
  CHECK(!window.allow(clock::steady{} + 1h));
}

} // namespace sluice::test::restart_window_test
