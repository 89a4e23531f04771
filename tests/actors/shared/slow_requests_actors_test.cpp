#include "tests/support/broker_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::slow_requests_actors_test {

using namespace std::chrono_literals;

namespace {

struct fixture : broker_fixture {
  fixture() {
    open("app.db");
    run();
  }

  std::vector<slow_request> slow() const { return stats->slow.slowest(); }
};

} // namespace

TEST_CASE("only the plans of slow writes are read, and after the whole group was answered") {
  fixture f;
  auto& disk = f.disks["app.db"];
  auto fast = f.write("app.db", "fast");
  f.run();
  CHECK(ok(fast));
  CHECK(disk.explained == 0);
  disk.hook = [&] { f.time.advance(20ms); };
  auto slow = f.write("app.db", "slow", "hook");
  f.run();
  CHECK(ok(slow));
  CHECK(disk.explained == 1);
  REQUIRE(f.slow().size() == 1);
  CHECK(f.slow()[0].agent == "slow");
  CHECK(f.slow()[0].plan == "PLAN OF hook");
  CHECK(f.slow()[0].execute_us == 20'000);
}

TEST_CASE("a flood of equally slow writes reads only as many plans as are stored") {
  fixture f;
  f.disks["app.db"].before_commit = [&] { f.time.advance(20ms); };
  std::vector<actor_fixture::answer<write_result>> all;
  for (auto i = 0; i < 200; ++i)
    all.push_back(f.write("app.db", std::to_string(i)));
  f.run();
  for (const auto& each : all)
    CHECK(ok(each));
  CHECK(f.disks["app.db"].explained == slow_requests::capacity);
  CHECK(f.slow().size() == slow_requests::capacity);
}

TEST_CASE("a slow read is shown with its plan and the parts of its time") {
  fixture f;
  f.view.cell_of = [&f](const std::string& sql) {
    if (sql == "slow")
      f.time.advance(7ms);
    return value{sql};
  };
  auto fast = f.read("app.db", "r1", "fast");
  f.run();
  CHECK(ok(fast));
  CHECK(f.slow().empty());
  auto slow = f.read("app.db", "r2", "slow");
  f.run();
  CHECK(ok(slow));
  REQUIRE(f.slow().size() == 1);
  auto result = f.slow()[0];
  CHECK(result.operation == "read");
  CHECK(result.agent == "r2");
  CHECK(result.db == "app.db");
  CHECK(result.sql == "slow");
  CHECK(result.plan == "PLAN OF slow");
  CHECK(result.status == "ok");
  CHECK(result.queue_us == 0);
  CHECK(result.execute_us == 7'000);
  CHECK(result.total_us == 7'000);
}

TEST_CASE("a read that gave up in the queue is shown, and warned about when it waited for too long") {
  fixture f;
  std::vector<std::string> warnings;
  f.stats->slow.on_warning([&](const std::string& text, const std::string&) { warnings.push_back(text); });
  auto request = a_read("patient", "SELECT 1");
  request.limits.timeout = 16s;
  request.received = f.time.now() - 16s;
  auto patient = f.ask<read_result>(f.actors->cache(), request);
  f.run();
  REQUIRE(failure_of(patient).code == errc::deadline_exceeded);
  REQUIRE(f.slow().size() == 1);
  CHECK(f.slow()[0].queue_us == 16'000'000);
  CHECK(f.slow()[0].status == "deadline_exceeded");
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("slow read by patient on app.db: 16.0 s in all, 16.0 s in the queue") == 0);
}

} // namespace sluice::test::slow_requests_actors_test
