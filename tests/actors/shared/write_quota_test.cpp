#include "actors/shared/write_quota.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <vector>

namespace sluice::test::write_quota_test {

using namespace std::chrono_literals;

namespace {

// A size larger than that of an empty request.
constexpr uint64_t unit = 1'000;
constexpr auto some_time = clock::steady{} + 1h;

// A queue whose requests differ in their agents and sizes (in `unit`) only.
struct fixture {
  explicit fixture(uint64_t requests, uint64_t units = 8'000, uint64_t names = 256)
    : queue({requests, units * unit, names}) {}

  std::optional<failure> admit(const std::string& agent, uint64_t units = 1, uint32_t pid = 0) {
    write_request request;
    request.agent = agent;
    request.peer.pid = pid;
    request.statements.emplace_back();
    request.statements[0].sql = std::string(units * unit - footprint(request), ' ');
    auto got = queue.admit(request, some_time);
    if (!got.refused)
      tickets[agent].push_back(request.ticket);
    return got.refused;
  }

  void release(const std::string& agent) {
    auto& agent_tickets = tickets.at(agent);
    queue.release(*agent_tickets.back());
    agent_tickets.pop_back();
  }

  write_quota queue;
  std::map<std::string, std::vector<std::shared_ptr<ticket>>> tickets;
};

// A request of agent "a" in `queue`, with an answer that no actor receives.
struct waiting {
  waiting(caf::actor_system& system, write_quota& queue, clock::steady deadline, std::string id = {}) : self(system) {
    write_request request;
    request.agent = "a";
    request.request_id = std::move(id);
    got = queue.admit(request, deadline);
    held_ticket = request.ticket;
    held_ticket->answer_to(caf::strong_actor_ptr{self->ctrl()}, caf::make_message_id().response_id());
  }

  caf::scoped_actor self;
  write_quota::verdict got;
  std::shared_ptr<ticket> held_ticket;
};

// The actor system of these actors.
struct place {
  caf::actor_system_config config;
  caf::actor_system system{config};
  write_quota queue{{}};
};

} // namespace

TEST_CASE("one agent may fill a quarter of the queue, and no more") {
  fixture f{8};
  CHECK(!f.admit("a"));
  CHECK(!f.admit("a"));
  auto error = f.admit("a");
  REQUIRE(error);
  CHECK(error->code == errc::overloaded);
  CHECK(error->outcome == outcome::not_committed);
  CHECK(error->retry_after_ms > 0);
  CHECK(!f.admit("b"));
  CHECK(f.queue.queued().requests == 3);
  CHECK(f.queue.queued().bytes == 3 * unit);
  CHECK(f.queue.refused() == 1);
}

TEST_CASE("all agents together may fill the queue, and no more") {
  fixture f{8};
  for (auto* agent : {"a", "b", "c", "d"})
    for (auto i = 0; i < 2; ++i)
      CHECK(!f.admit(agent));
  CHECK(f.admit("e")->code == errc::overloaded);
  f.release("a");
  CHECK(!f.admit("e"));
}

TEST_CASE("one process may fill half of the queue, regardless of its agent names") {
  fixture f{8};
  for (auto* agent : {"a", "b", "c", "d"})
    CHECK(!f.admit(agent, 1, 17));
  CHECK(f.admit("e", 1, 17)->code == errc::overloaded);
  CHECK(!f.admit("e", 1, 18));
  CHECK(!f.admit("e"));
  f.release("b");
  CHECK(!f.admit("f", 1, 17));
}

TEST_CASE(
  "a process may have requests of a bounded number of agents in the queue, and any number of requests of these") {
  fixture f{1'000, 8'000, 2};
  CHECK(!f.admit("a", 1, 17));
  CHECK(!f.admit("b", 1, 17));
  CHECK(f.admit("c", 1, 17)->code == errc::overloaded);
  CHECK(!f.admit("b", 1, 17));
  CHECK(!f.admit("c", 1, 18));
  f.release("a");
  CHECK(!f.admit("c", 1, 17));
}

TEST_CASE("bytes are bounded like requests, for one agent and for all") {
  fixture f{1'000, 400};
  CHECK(!f.admit("a", 60));
  CHECK(f.admit("a", 41)->code == errc::overloaded);
  CHECK(!f.admit("a", 40));
  for (auto* agent : {"b", "c", "d"})
    CHECK(!f.admit(agent, 100));
  CHECK(f.admit("e")->code == errc::overloaded);
}

TEST_CASE("a request larger than the bound is too_large even with an empty queue") {
  fixture f{1'000, 400};
  CHECK(!f.admit("a", 100));
  CHECK(f.admit("b", 101)->code == errc::too_large);
}

TEST_CASE("an answered request frees its room, and only once") {
  fixture f{8};
  for (auto i = 0; i < 100; ++i) {
    CHECK(!f.admit("a", 1, 17));
    f.release("a");
  }
  CHECK(f.queue.queued().requests == 0);
  CHECK(f.queue.queued().bytes == 0);
  CHECK(!f.admit("a"));
  auto held_ticket = f.tickets["a"].back();
  f.queue.release(*held_ticket);
  f.queue.release(*held_ticket);
  CHECK(f.queue.queued().requests == 0);
  CHECK(f.queue.tickets().empty());
}

TEST_CASE("a tiny queue still takes one request of each agent") {
  fixture f{2};
  CHECK(!f.admit("a"));
  CHECK(!f.admit("b"));
  CHECK(f.admit("c"));
}

TEST_CASE("retry_after grows with the queue and the time of a request, within bounds") {
  auto advice = [](uint64_t waiting, std::chrono::nanoseconds each) {
    fixture f{4 * waiting, 1'000'000};
    for (auto i = 0; i < 100; ++i)
      f.queue.served(10, 10 * each);
    f.queue.served(0, 1h);
    for (uint64_t i = 0; i < waiting; ++i)
      CHECK(!f.admit("a"));
    return f.admit("a")->retry_after_ms;
  };
  CHECK(advice(1, 1us) == 10);
  CHECK(advice(1'000, 1ms) >= 499);
  CHECK(advice(1'000, 1ms) <= 500);
  CHECK(advice(1'000, 1s) == 5'000);
}

TEST_CASE("many names with one request each take neither memory nor room afterwards") {
  fixture f{100'000, 1'000'000};
  for (auto i = 0; i < 10'000; ++i) {
    auto agent = "agent " + std::to_string(i);
    REQUIRE(!f.admit(agent));
    if (i % 100 != 0)
      f.release(agent);
  }
  CHECK(f.queue.queued().requests == 100);
  f.release("agent 0");
  CHECK(f.queue.queued().requests == 99);
}

TEST_CASE("only a request with the earliest deadline schedules an earlier check") {
  place p;
  auto& queue = p.queue;
  waiting first{p.system, queue, some_time};
  waiting later{p.system, queue, some_time + 1s};
  waiting sooner{p.system, queue, some_time - 1s};
  CHECK(first.got.expire_at == some_time + write_quota::grace);
  CHECK(!later.got.expire_at);
  CHECK(sooner.got.expire_at == some_time - 1s + write_quota::grace);
}

TEST_CASE("a request that waits past its deadline is answered once, and one that has begun as unknown") {
  place p;
  auto& queue = p.queue;
  waiting waits{p.system, queue, some_time};
  waiting runs{p.system, queue, some_time};
  waiting has_time{p.system, queue, some_time + 1h};
  CHECK(runs.held_ticket->begin());
  CHECK(!queue.expire(some_time));
  auto next = queue.expire(some_time + write_quota::grace);
  CHECK(next);
  CHECK(waits.held_ticket->answered());
  CHECK(!waits.held_ticket->begin());
  CHECK(!waits.held_ticket->finish());
  CHECK(waits.held_ticket->reason().code == errc::deadline_exceeded);
  CHECK(runs.held_ticket->answered());
  CHECK(runs.held_ticket->interrupted());
  CHECK(!has_time.held_ticket->answered());
  auto answer_of = [](waiting& waiting) {
    failure result;
    waiting.self->receive([&](caf::error& error) { result = describe(error); });
    return result;
  };
  CHECK(answer_of(waits).outcome == outcome::not_committed);
  CHECK(answer_of(runs).outcome == outcome::unknown);
  CHECK(queue.expire(*next) == some_time + 1h + write_quota::grace);
}

TEST_CASE("an answer of the writer that is on time leaves nothing to be answered late") {
  place p;
  auto& queue = p.queue;
  waiting f{p.system, queue, some_time};
  CHECK(f.held_ticket->begin());
  CHECK(f.held_ticket->finish());
  queue.expire(some_time + 1h);
  CHECK(f.self->mailbox().empty());
}

TEST_CASE("a cancelled request is answered at once while it waits, and interrupted while it runs") {
  place p;
  auto& queue = p.queue;
  waiting waits{p.system, queue, some_time, "one"};
  waiting runs{p.system, queue, some_time, "two"};
  auto anybody = [](const ticket&) { return true; };
  CHECK(runs.held_ticket->begin());
  CHECK(!queue.cancel("three", anybody));
  CHECK(!queue.cancel("one", [](const ticket&) { return false; }));
  CHECK(queue.cancel("one", anybody));
  CHECK(waits.held_ticket->answered());
  CHECK(waits.held_ticket->reason().code == errc::cancelled);
  CHECK(queue.cancel("two", anybody));
  CHECK(!runs.held_ticket->answered());
  CHECK(runs.held_ticket->interrupted());
  CHECK(runs.held_ticket->reason().code == errc::cancelled);
}

TEST_CASE("when the broker ends, no request waits for its own deadline") {
  place p;
  auto& queue = p.queue;
  waiting waits{p.system, queue, some_time};
  waiting runs{p.system, queue, some_time};
  CHECK(runs.held_ticket->begin());
  auto end = some_time - 30min;
  auto first = queue.drain(end);
  CHECK(first == end + write_quota::grace);
  auto next = queue.expire(first);
  CHECK(waits.held_ticket->reason().code == errc::unavailable);
  CHECK(waits.held_ticket->answered());
  CHECK(runs.held_ticket->interrupted());
  CHECK(!runs.held_ticket->answered());
  REQUIRE(next);
  queue.expire(*next);
  CHECK(runs.held_ticket->answered());
}

} // namespace sluice::test::write_quota_test
