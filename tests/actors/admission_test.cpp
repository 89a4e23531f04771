#include "actors/admission.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::admission_test {

using namespace std::chrono_literals;

TEST_CASE("one agent may fill a quarter of the queue, and no more") {
  admission queue{{8, 8'000}};
  CHECK(!queue.admit("a", 10));
  CHECK(!queue.admit("a", 10));
  auto why = queue.admit("a", 10);
  REQUIRE(why);
  CHECK(why->code == errc::overloaded);
  CHECK(why->outcome == outcome::not_committed);
  CHECK(why->retry_after_ms > 0);
  CHECK(!queue.admit("b", 10));
  CHECK(queue.queued().requests == 3);
  CHECK(queue.queued().bytes == 30);
  CHECK(queue.refused() == 1);
}

TEST_CASE("all agents together may fill the queue, and no more") {
  admission queue{{8, 8'000}};
  for (auto* agent : {"a", "b", "c", "d"})
    for (auto i = 0; i < 2; ++i)
      CHECK(!queue.admit(agent, 10));
  CHECK(queue.admit("e", 10)->code == errc::overloaded);
  queue.release("a", 10);
  CHECK(!queue.admit("e", 10));
}

TEST_CASE("bytes are bounded like requests, for one agent and for all") {
  admission queue{{1'000, 400}};
  CHECK(!queue.admit("a", 60));
  CHECK(queue.admit("a", 41)->code == errc::overloaded);
  CHECK(!queue.admit("a", 40));
  for (auto* agent : {"b", "c", "d"})
    CHECK(!queue.admit(agent, 100));
  CHECK(queue.admit("e", 1)->code == errc::overloaded);
}

TEST_CASE("a request that could never be taken is too large, however empty the queue") {
  admission queue{{1'000, 400}};
  CHECK(!queue.admit("a", 100));
  CHECK(queue.admit("b", 101)->code == errc::too_large);
}

TEST_CASE("what is answered makes room again, down to nothing") {
  admission queue{{8, 8'000}};
  for (auto i = 0; i < 100; ++i) {
    CHECK(!queue.admit("a", 10));
    queue.release("a", 10);
  }
  CHECK(queue.queued().requests == 0);
  CHECK(queue.queued().bytes == 0);
  queue.release("a", 10);
  queue.release("nobody", 10);
  CHECK(queue.queued().requests == 0);
}

TEST_CASE("a tiny queue still takes one request of each agent") {
  admission queue{{2, 8'000}};
  CHECK(!queue.admit("a", 10));
  CHECK(!queue.admit("b", 10));
  CHECK(queue.admit("c", 10));
}

TEST_CASE("the advice when to come again grows with the queue and the time a request takes, within bounds") {
  auto advice = [](uint64_t waiting, std::chrono::nanoseconds each) {
    admission queue{{4 * waiting, 1ULL << 30}};
    for (auto i = 0; i < 100; ++i)
      queue.served(10, 10 * each);
    queue.served(0, 1h);
    for (uint64_t i = 0; i < waiting; ++i)
      CHECK(!queue.admit("a", 1));
    return queue.admit("a", 1)->retry_after_ms;
  };
  CHECK(advice(1, 1us) == 10);
  CHECK(advice(1'000, 1ms) >= 499);
  CHECK(advice(1'000, 1ms) <= 500);
  CHECK(advice(1'000, 1s) == 5'000);
}

TEST_CASE("a crowd of names that come once does not stay in memory or in the way") {
  admission queue{{100'000, 1ULL << 30}};
  for (auto i = 0; i < 10'000; ++i) {
    auto agent = "agent " + std::to_string(i);
    REQUIRE(!queue.admit(agent, 1));
    if (i % 100 != 0)
      queue.release(agent, 1);
  }
  CHECK(queue.queued().requests == 100);
  queue.release("agent 0", 1);
  CHECK(queue.queued().requests == 99);
}

} // namespace sluice::test::admission_test
