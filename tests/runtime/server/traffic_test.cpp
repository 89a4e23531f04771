#include "runtime/server/traffic.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace sluice::test::traffic_test {

using namespace std::chrono_literals;

namespace {

const traffic::time_point start{1h};

} // namespace

TEST_CASE("latencies are those of the last 10 to 20 seconds", "[traffic]") {
  traffic traffic;
  traffic.answered("read", "a", false, 1ms, start);
  CHECK(traffic.report(start + 9s).at("latency_us").at("read").at("count") == 1);
  traffic.answered("read", "a", false, 1ms, start + 11s);
  CHECK(traffic.report(start + 12s).at("latency_us").at("read").at("count") == 2);
  traffic.answered("read", "a", false, 1ms, start + 22s);
  CHECK(traffic.report(start + 22s).at("latency_us").at("read").at("count") == 2);
  CHECK_FALSE(traffic.report(start + 60s).at("latency_us").contains("read"));
  CHECK(traffic.report(start + 60s).at("requests") == 3);
}

TEST_CASE("agents are listed for a minute, the busiest first", "[traffic]") {
  traffic traffic;
  traffic.answered("read", "quiet", false, 1ms, start);
  traffic.answered("read", "busy", false, 1ms, start + 10s);
  traffic.answered("write", "busy", true, 1ms, start + 10s);
  auto agents = traffic.report(start + 30s).at("agents");
  REQUIRE(agents.size() == 2);
  CHECK(agents[0].at("agent") == "busy");
  CHECK(agents[0].at("requests") == 2);
  CHECK(agents[0].at("failed") == 1);
  CHECK(agents[0].at("idle_ms") == 20'000);
  CHECK(traffic.report(start + 61s).at("agents").size() == 1);
}

TEST_CASE("beyond the bound the agent that was silent longest is forgotten", "[traffic]") {
  traffic traffic;
  for (int i = 0; i <= 1'000; ++i)
    traffic.answered("read", "agent-" + std::to_string(i), false, 1ms, start + std::chrono::milliseconds{i});
  auto agents = traffic.report(start + 2s).at("agents");
  CHECK(agents.size() == 1'000);
  CHECK(std::none_of(agents.begin(), agents.end(), [](const auto& a) { return a.at("agent") == "agent-0"; }));
}

} // namespace sluice::test::traffic_test
