#include "actors/shared/slow_requests.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <thread>

namespace sluice::test::slow_requests_test {

using namespace std::chrono_literals;

namespace {

slow_request took(uint64_t total_us, uint64_t queue_us = 0, uint64_t execute_us = 0) {
  slow_request result;
  result.ts_us = 1'700'000'000'000'000;
  result.agent = "alice";
  result.db = "app.db";
  result.operation = "write";
  result.status = "ok";
  result.request_id = "r1";
  result.total_us = total_us;
  result.queue_us = queue_us;
  result.execute_us = execute_us;
  return result;
}

} // namespace

TEST_CASE("the slowest requests are kept, slowest first") {
  slow_requests aut;
  std::vector<uint64_t> all;
  for (uint64_t i = 0; i < 1'000; ++i) {
    auto total = 1'000 + (i * 7'919) % 10'007;
    all.push_back(total);
    if (aut.notable(std::chrono::microseconds{total}))
      aut.add(took(total));
  }
  std::sort(all.rbegin(), all.rend());
  all.resize(slow_requests::capacity);
  std::vector<uint64_t> kept;
  for (const auto& each : aut.slowest())
    kept.push_back(each.total_us);
  CHECK(kept == all);
  CHECK(aut.warnings() == 0);
}

TEST_CASE("a request below a millisecond, or faster than all kept ones, is not kept") {
  slow_requests aut;
  CHECK_FALSE(aut.notable(999us));
  CHECK(aut.notable(1ms));
  for (uint64_t i = 0; i < slow_requests::capacity; ++i)
    aut.add(took(5'000 + i));
  CHECK_FALSE(aut.notable(5'000us));
  CHECK(aut.notable(5'001us));
  CHECK_FALSE(aut.would_keep(5'000));
  aut.add(took(5'000));
  CHECK(aut.slowest().back().total_us == 5'000);
  CHECK(aut.slowest().size() == slow_requests::capacity);
}

TEST_CASE("a request over a limit causes a warning, even when much slower ones are kept") {
  slow_requests aut{{15s, 5s}};
  std::vector<std::string> warnings;
  aut.on_warning([&](const std::string& text, const std::string& agent) {
    warnings.push_back(text);
    CHECK(agent == "alice");
  });
  for (uint64_t i = 0; i < slow_requests::capacity; ++i)
    aut.add(took(60'000'000));
  CHECK(aut.warnings() == 0);
  CHECK(aut.notable(6s));
  CHECK_FALSE(aut.would_keep(6'000'000));
  aut.add(took(15'000'000, 15'000'000));
  aut.add(took(5'000'000, 0, 5'000'000));
  CHECK(aut.warnings() == 0);
  auto queued = took(16'200'000, 15'000'001);
  queued.lock_us = 1'000'000;
  queued.commit_us = 199'999;
  aut.add(queued);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0]
        == "slow write by alice on app.db: 16.2 s in all, 15.0 s in the queue, 1.0 s for the lock, 0.0 s in execution, "
           "0.2 s for the commit; ok, request r1");
  auto executed = took(5'000'001, 0, 5'000'001);
  executed.ts_us += 1'000'000;
  aut.add(executed);
  CHECK(warnings.size() == 2);
  CHECK(aut.warnings() == 2);
}

TEST_CASE("a flood of slow requests causes one warning a second, with the number of the others") {
  slow_requests aut{{15s, 5s}};
  std::vector<std::string> warnings;
  aut.on_warning([&](const std::string& text, const std::string&) { warnings.push_back(text); });
  auto result = took(20'000'000, 20'000'000);
  for (auto i = 0; i < 500; ++i)
    aut.add(result);
  CHECK(warnings.size() == 1);
  result.ts_us += 1'000'000;
  aut.add(result);
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[1].ends_with("; 499 more slow requests since the last warning"));
  CHECK(aut.warnings() == 501);
  // The machine's clock was set back.
  result.ts_us -= 3'600'000'000;
  aut.add(result);
  CHECK(warnings.size() == 3);
}

TEST_CASE("statements are shown without their values, cut after a thousand bytes and never inside a character") {
  auto of = [](std::vector<statement> x) { return abbreviated_sql(x); };
  CHECK(of({}).empty());
  parameters secret;
  secret.positional = {value{std::string{"secret"}}};
  CHECK(of({{"INSERT INTO t VALUES (?)", secret}, {"DELETE FROM u", {}}}) == "INSERT INTO t VALUES (?); DELETE FROM u");
  CHECK(of({{std::string(1'000, 'x'), {}}}).size() == 1'000);
  CHECK(of({{std::string(5'000, 'x'), {}}}).size() == 1'000);
  CHECK(of({{std::string(999, 'x') + "é", {}}}) == std::string(999, 'x'));
  CHECK(of({{std::string(998, 'x') + "é", {}}}) == std::string(998, 'x') + "é");
  CHECK(of({{std::string(998, 'x') + "漢", {}}}) == std::string(998, 'x'));
  CHECK(of({{std::string(998, 'x'), {}}, {"漢字", {}}}) == std::string(998, 'x') + "; ");
  CHECK(of(std::vector<statement>(10'000, {"SELECT 1", {}})).size() == 1'000);
}

TEST_CASE("threads may add and list at the same time") {
  slow_requests aut{{1ms, 1ms}};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 500; ++i) {
        aut.add(took(2'000 + 4 * i + t, 1'500));
        if (aut.slowest().size() > slow_requests::capacity)
          std::terminate();
      }
    });
  for (auto& each : threads)
    each.join();
  CHECK(aut.warnings() == 2'000);
  CHECK(aut.slowest().front().total_us == 2'000 + 4 * 499 + 3);
  CHECK(aut.slowest().back().total_us == 2'000 + 4 * 499 + 3 - (slow_requests::capacity - 1));
}

} // namespace sluice::test::slow_requests_test
