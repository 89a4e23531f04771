#include "actors/shared/fair_queue.hpp"

#include <catch2/catch.hpp>

#include <map>

namespace sluice::test::fair_queue_test {

using namespace std::chrono_literals;

namespace {

struct fixture {
  struct item {
    uint64_t process = 0;
    std::string agent;
    std::string id;
  };

  void push(const std::string& agent, const std::string& id = {}) { push(requester{0, agent}, id); }
  void push(const requester& who, const std::string& id = {}) { turns.push(who, {who.process, who.agent, id}); }
  void charge(const std::string& agent, std::chrono::nanoseconds time) { turns.charge({0, agent}, time); }

  // Takes the next request, charges its agent `time`, and returns the agent.
  std::string serve(std::chrono::nanoseconds time) {
    auto result = turns.pop();
    if (!result)
      return "nobody";
    turns.charge({result->process, result->agent}, time);
    return result->agent;
  }

  fair_queue<item> turns;
};

} // namespace

TEST_CASE("with equal times agents take turns, in the order in which they came") {
  fixture f;
  for (auto i = 0; i < 3; ++i)
    f.push("a");
  f.push("b");
  f.push("c");
  std::string order;
  for (auto i = 0; i < 6; ++i)
    order += f.serve(1ms);
  CHECK(order == "abcaanobody");
}

TEST_CASE("the writes of one agent keep their order") {
  fixture f;
  for (auto i = 0; i < 9; ++i)
    f.push(i % 2 ? "a" : "b", std::to_string(i));
  std::map<std::string, std::string> order;
  while (auto result = f.turns.pop()) {
    f.charge(result->agent, result->agent == "a" ? 5ms : 1ms);
    order[result->agent] += result->id;
  }
  CHECK(order["a"] == "1357");
  CHECK(order["b"] == "02468");
}

TEST_CASE("an agent whose writes take long is served as much time as others, not as many writes") {
  fixture f;
  for (auto i = 0; i < 100; ++i) {
    f.push("slow");
    f.push("quick");
  }
  std::map<std::string, int> served;
  for (auto i = 0; i < 44; ++i) {
    auto agent = f.turns.pop()->agent;
    f.charge(agent, agent == "slow" ? 10ms : 1ms);
    ++served[agent];
  }
  CHECK(served["slow"] >= 3);
  CHECK(served["slow"] <= 5);
}

TEST_CASE("an agent that arrives after others were served for long waits for one write at most") {
  fixture f;
  for (auto i = 0; i < 20; ++i)
    f.push("chatty");
  for (auto i = 0; i < 10; ++i)
    CHECK(f.serve(600ms) == "chatty");
  f.push("quiet");
  CHECK(f.serve(1ms) == "quiet");
  CHECK(f.serve(600ms) == "chatty");
}

TEST_CASE("an agent gathers no credit while it is idle") {
  fixture f;
  f.push("idle");
  f.serve(1ms);
  for (auto i = 0; i < 200; ++i)
    f.push("busy");
  for (auto i = 0; i < 100; ++i)
    f.serve(1ms);
  for (auto i = 0; i < 50; ++i)
    f.push("idle");
  std::map<std::string, int> served;
  for (auto i = 0; i < 20; ++i)
    ++served[f.serve(1ms)];
  CHECK(served["busy"] >= 9);
  CHECK(served["idle"] >= 9);
}

TEST_CASE("an agent that is not admitted now delays no other, and keeps its place") {
  fixture f;
  f.push("a", "1");
  f.push("b", "2");
  auto any = [](uint64_t) { return true; };
  auto not_a = [](uint64_t, const std::string& agent) { return agent != "a"; };
  CHECK(f.turns.pop_if(any, not_a)->id == "2");
  CHECK(!f.turns.pop_if(any, not_a));
  CHECK(f.turns.pop()->id == "1");
  CHECK(f.turns.empty());
}

TEST_CASE("the cost of a group from before others waited counts as well") {
  fixture f;
  f.charge("chatty", 600ms);
  f.push("chatty");
  f.push("quiet");
  CHECK(f.serve(1ms) == "quiet");
  CHECK(f.serve(1ms) == "chatty");
  f.turns.forget();
  f.push("chatty");
  f.push("quiet");
  CHECK(f.serve(1ms) == "chatty");
}

TEST_CASE("processes take turns regardless of the number of their agent names") {
  fixture f;
  for (auto i = 0; i < 160; ++i)
    f.push({7, "name " + std::to_string(i)}, "many");
  for (auto i = 0; i < 4; ++i)
    f.push({8, "one"}, "one");
  std::string order;
  for (auto i = 0; i < 8; ++i) {
    auto result = f.turns.pop();
    f.turns.charge({result->process, result->agent}, 5ms);
    order += result->process == 7 ? 'm' : 'o';
  }
  CHECK(order == "momomomo");
}

TEST_CASE("agents with the same name in two processes have turns of their own") {
  fixture f;
  f.push({7, "a"}, "1");
  f.push({7, "a"}, "2");
  f.push({8, "a"}, "3");
  CHECK(f.turns.pop()->id == "1");
  f.turns.charge({7, "a"}, 1ms);
  CHECK(f.turns.pop()->id == "3");
}

TEST_CASE("a process that is not admitted now delays no other, and its agents are not searched") {
  fixture f;
  for (auto i = 0; i < 100; ++i)
    f.push({7, "name " + std::to_string(i)}, "many");
  f.push({8, "one"}, "one");
  auto looked_at = 0;
  auto agent_may = [&](uint64_t, const std::string&) { return ++looked_at > 0; };
  CHECK(f.turns.pop_if([](uint64_t process) { return process == 8; }, agent_may)->id == "one");
  CHECK(looked_at == 1);
  CHECK(!f.turns.pop_if([](uint64_t process) { return process == 8; }, agent_may));
  CHECK(f.turns.size() == 100);
}

} // namespace sluice::test::fair_queue_test
