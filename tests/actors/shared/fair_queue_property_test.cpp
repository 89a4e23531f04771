#include "actors/shared/fair_queue.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <tuple>

namespace sluice::test::fair_queue_property_test {

namespace {

using std::chrono::nanoseconds;
using party = std::tuple<uint64_t, std::string>;

/// Processes with random numbers of agents, whose requests arrive and are served at random, by one server. While two
/// parties of one level both have requests waiting, neither gets more time than the other by more than the sum of their
/// longest requests: the bound of start-time fair queueing.
class random_queue {
public:
  explicit random_queue(uint64_t seed) : random_(seed) {
    auto processes = 2 + pick(4);
    for (uint64_t i = 0; i < processes; ++i)
      names_.push_back(one_in(3) ? 1 + pick(40) : 1 + pick(3));
  }

  void run() {
    for (auto i = 0; i < 600; ++i)
      one_in(2) ? arrive() : serve();
    while (!turns_.empty())
      serve();
    CHECK(served_ == pushed_);
    CHECK(!turns_.pop());
  }

private:
  struct item {
    requester who;
    uint64_t number = 0;
  };

  // The account of a process or of an agent.
  struct account {
    uint64_t waiting = 0;
    nanoseconds served{0};
    nanoseconds longest{0};
    // The service of each other party minus that of this one when the later of the two began to wait.
    std::map<party, nanoseconds> ahead;
  };

  uint64_t pick(uint64_t below) { return random_() % below; }
  bool one_in(uint64_t n) { return pick(n) == 0; }

  static party process_party(const requester& requester) { return {requester.process, std::string{}}; }
  static party agent_party(const requester& requester) { return {requester.process, "agent " + requester.agent}; }
  static bool are_rivals(const party& a, const party& b) {
    auto is_process = [](const party& x) { return std::get<1>(x).empty(); };
    return a != b && (is_process(a) ? is_process(b) : !is_process(b) && std::get<0>(a) == std::get<0>(b));
  }

  void arrive() {
    auto process = pick(names_.size());
    for (auto count = 1 + pick(6); count > 0; --count) {
      requester who{process, std::to_string(pick(names_[process]))};
      turns_.push(who, {who, next_[agent_party(who)]++});
      ++pushed_;
      begin_to_wait(process_party(who));
      begin_to_wait(agent_party(who));
    }
  }

  void begin_to_wait(const party& who) {
    auto& account_of_party = accounts_[who];
    if (account_of_party.waiting++ > 0)
      return;
    for (auto& [other, rival] : accounts_)
      if (are_rivals(who, other)) {
        account_of_party.ahead[other] = rival.served - account_of_party.served;
        rival.ahead[who] = account_of_party.served - rival.served;
      }
  }

  void serve() {
    auto result = turns_.pop();
    if (!result)
      return;
    ++served_;
    CHECK(result->number == expected_[agent_party(result->who)]++);
    nanoseconds time{1 + pick(one_in(10) ? 10'000 : 100)};
    turns_.charge(result->who, time);
    for (const auto& who : {process_party(result->who), agent_party(result->who)}) {
      auto& account_of_party = accounts_[who];
      account_of_party.served += time;
      account_of_party.longest = std::max(account_of_party.longest, time);
      check(who, account_of_party);
      --account_of_party.waiting;
    }
  }

  void check(const party& who, const account& account_of_party) {
    for (const auto& [other, rival] : accounts_)
      if (rival.waiting > 0 && are_rivals(who, other)) {
        auto gained = account_of_party.served - rival.served + account_of_party.ahead.at(other);
        INFO("process " << std::get<0>(who) << ' ' << std::get<1>(who) << " beside " << std::get<1>(other));
        CHECK(gained <= account_of_party.longest + rival.longest);
      }
  }

  std::mt19937_64 random_;
  // The number of agents of each process.
  std::vector<uint64_t> names_;
  fair_queue<item> turns_;
  std::map<party, account> accounts_;
  std::map<party, uint64_t> next_;
  std::map<party, uint64_t> expected_;
  uint64_t pushed_ = 0;
  uint64_t served_ = 0;
};

} // namespace

TEST_CASE("with random load, processes get equal time, and so do the agents of a process") {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    random_queue{seed}.run();
  }
}

TEST_CASE("names without further requests are forgotten while others wait") {
  fair_queue<int> turns;
  turns.push({1, "stays"}, 0);
  turns.charge({1, "stays"}, std::chrono::hours{1});
  for (auto i = 1; i <= 20'000; ++i) {
    requester who{1, "name " + std::to_string(i)};
    turns.push(who, i);
    REQUIRE(turns.pop() == i);
    turns.charge(who, std::chrono::nanoseconds{100});
  }
  CHECK(turns.known_agents(1) < 5'000);
  CHECK(turns.pop() == 0);
}

} // namespace sluice::test::fair_queue_property_test
