#include "runtime/sqlite/core/answer_budget.hpp"

#include <catch2/catch.hpp>

#include <thread>
#include <vector>

namespace sluice::test::answer_budget_test {

TEST_CASE("a share grows while there is room, and gives all of it back", "[answers]") {
  auto budget = std::make_shared<answer_budget>(1'000'000);
  {
    auto first = budget->open();
    CHECK(budget->used() == 0);
    CHECK(first.grow_to(500'000));
    auto taken = budget->used();
    CHECK(taken >= 500'000);
    CHECK(first.grow_to(100));
    CHECK(budget->used() == taken);
    auto second = budget->open();
    CHECK(!second.grow_to(600'000));
    CHECK(budget->used() == taken);
    CHECK(second.grow_to(300'000));
    first.shrink_to(1'000);
    second.shrink_to(2'000);
    CHECK(budget->used() == 3'000);
    auto moved = std::move(first);
    CHECK(budget->used() == 3'000);
  }
  CHECK(budget->used() == 0);
}

TEST_CASE("a request beyond a share is overloaded, and names the setting", "[answers]") {
  auto error = describe(std::make_shared<answer_budget>(7)->used_up());
  CHECK(error.code == errc::overloaded);
  CHECK(error.retry_after_ms > 0);
  CHECK_THAT(error.message, Catch::Contains("max_inflight_answer_bytes"));
}

TEST_CASE("the bound of the cache is added to that of the answers under way", "[answers]") {
  broker_config config;
  config.max_inflight_answer_bytes = 10'000'000;
  config.cache_max_bytes = 1'000'000;
  auto bound = [&] { return describe(make_answer_budget(config)->used_up()).message; };
  CHECK_THAT(bound(), Catch::Contains(" 11000000 "));
  config.cache = false;
  CHECK_THAT(bound(), Catch::Contains(" 10000000 "));
}

TEST_CASE("shares of many threads never pass the budget together", "[answers]") {
  auto budget = std::make_shared<answer_budget>(1'000'000);
  std::atomic<bool> has_passed{false};
  std::atomic<uint64_t> held{0};
  std::vector<std::thread> threads;
  for (auto i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (uint64_t n = 0; n < 2'000; ++n) {
        auto share = budget->open();
        if (!share.grow_to(n * 200) || !share.grow_to(n * 300))
          continue;
        if (held.fetch_add(n * 300) + n * 300 > 1'000'000)
          has_passed = true;
        held -= n * 300;
      }
    });
  for (auto& each : threads)
    each.join();
  CHECK(!has_passed);
  CHECK(budget->used() == 0);
}

} // namespace sluice::test::answer_budget_test
