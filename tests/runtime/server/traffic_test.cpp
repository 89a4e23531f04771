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
  traffic x;
  x.answered("read", "a", false, 1ms, start);
  CHECK(x.report(start + 9s).at("latency_us").at("read").at("count") == 1);
  x.answered("read", "a", false, 1ms, start + 11s);
  CHECK(x.report(start + 12s).at("latency_us").at("read").at("count") == 2);
  x.answered("read", "a", false, 1ms, start + 22s);
  CHECK(x.report(start + 22s).at("latency_us").at("read").at("count") == 2);
  CHECK_FALSE(x.report(start + 60s).at("latency_us").contains("read"));
  CHECK(x.report(start + 60s).at("requests") == 3);
}

TEST_CASE("agents are listed for a minute, the busiest first", "[traffic]") {
  traffic x;
  x.answered("read", "quiet", false, 1ms, start);
  x.answered("read", "busy", false, 1ms, start + 10s);
  x.answered("write", "busy", true, 1ms, start + 10s);
  auto agents = x.report(start + 30s).at("agents");
  REQUIRE(agents.size() == 2);
  CHECK(agents[0].at("agent") == "busy");
  CHECK(agents[0].at("requests") == 2);
  CHECK(agents[0].at("failed") == 1);
  CHECK(agents[0].at("idle_ms") == 20'000);
  CHECK(x.report(start + 61s).at("agents").size() == 1);
}

TEST_CASE("of more agents than are known the one that was silent longest is forgotten", "[traffic]") {
  traffic x;
  for (int i = 0; i <= 1'000; ++i)
    x.answered("read", "agent-" + std::to_string(i), false, 1ms, start + std::chrono::milliseconds{i});
  auto agents = x.report(start + 2s).at("agents");
  CHECK(agents.size() == 1'000);
  CHECK(std::none_of(agents.begin(), agents.end(), [](const auto& a) { return a.at("agent") == "agent-0"; }));
}

} // namespace sluice::test::traffic_test
