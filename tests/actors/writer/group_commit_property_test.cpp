#include "tests/support/group_fixture.hpp"

#include <catch2/catch.hpp>

#include <random>

namespace sluice::test::group_commit_property_test {

using namespace std::chrono_literals;

namespace {

/// One random life of a writer: requests with and without keys, bad statements, refused locks and failing commits.
class random_life {
public:
  explicit random_life(uint64_t seed) : random_(seed), fixture_(settings(), seed) {
    fixture_.disk.on_begin = [this]() -> std::optional<errc> {
      if (one_in(12))
        return errc::busy;
      return one_in(40) ? std::optional{errc::io_error} : std::nullopt;
    };
  }

  void run() {
    auto steps = 5 + pick(60);
    for (uint64_t i = 0; i < steps; ++i)
      step();
    fixture_.disk.on_begin = [] { return std::nullopt; };
    while (fixture_.retry_due)
      fixture_.retry();
    fixture_.end_group();
    check();
  }

private:
  group_settings settings() {
    group_settings x;
    x.max_requests = 1 + pick(12);
    return x;
  }

  uint64_t pick(uint64_t below) { return random_() % below; }
  bool one_in(uint64_t n) { return pick(n) == 0; }

  void step() {
    // The fault comes first: the request below may begin the group and end it. Those that throw have a test of their
    // own.
    if (one_in(5))
      fixture_.disk.commit_fates.push_back(static_cast<failed_commit>(pick(6)));
    switch (pick(8)) {
    case 0: return fixture_.end_group();
    case 1:
      if (fixture_.retry_due)
        fixture_.retry();
      return;
    case 2: fixture_.time.advance(std::chrono::milliseconds{pick(60)}); return;
    case 3: fixture_.group.look_for_external_commit(); return fixture_.finish_group();
    default: return send();
    }
  }

  void send() {
    static const std::vector<std::string> bad{"fail", "lose", "full", "late", "poison", "forgetful"};
    auto agent = "r" + std::to_string(sent_.size());
    std::vector<std::string> sql;
    std::string key;
    if (one_in(3)) {
      // Few keys, so that they repeat; some with another payload.
      key = "k" + std::to_string(pick(6));
      sql.push_back("put t " + key + " " + (one_in(8) ? "other" : "same"));
      if (key == "k5")
        sql.push_back("poison");
    } else {
      sql.push_back("put t " + agent + " " + agent);
      if (one_in(4))
        sql.push_back(bad[pick(bad.size())]);
    }
    auto x = a_write(agent, sql, key);
    if (one_in(6))
      x.deadline = std::chrono::milliseconds{1 + pick(200)};
    sent_.push_back(x);
    fixture_.send(std::move(x));
  }

  void check() {
    const auto& applied = fixture_.applied();
    std::map<std::string, size_t> place;
    for (size_t i = 0; i < applied.size(); ++i) {
      INFO(applied[i]);
      CHECK(place.emplace(applied[i], i).second);
    }
    CHECK(fixture_.group.empty());
    CHECK(fixture_.records.size() >= sent_.size());
    std::optional<size_t> last;
    for (const auto& x : sent_) {
      INFO(x.agent << ": " << x.statements[0].sql.str() << " key " << x.idempotency_key);
      REQUIRE(fixture_.answered(x.agent));
      auto found = place.find(x.agent);
      if (found != place.end()) {
        // In the order in which they were sent.
        CHECK((!last || *last < found->second));
        last = found->second;
      }
      check(x, found != place.end());
    }
    check_commits();
  }

  void check(const write_request& x, bool durable) {
    if (fixture_.committed(x.agent) && !fixture_.answers.at(x.agent)->replayed) {
      CHECK(durable);
      return;
    }
    if (fixture_.committed(x.agent)) {
      CHECK(!durable);
      CHECK(!x.idempotency_key.empty());
      CHECK(fixture_.disk.durable.keys.count(x.idempotency_key) == 1);
      CHECK(fixture_.seq_of(x.agent) == fixture_.disk.durable.keys[x.idempotency_key].second.commit_seq);
      return;
    }
    auto error = fixture_.failure_of(x.agent);
    if (error.outcome == outcome::unknown) {
      CHECK(error.message.find("is not known") != std::string::npos);
      return;
    }
    CHECK(!durable);
    if (error.code == errc::busy)
      CHECK(error.attempts > 0);
    // Only a request with a key can mismatch an earlier payload.
    if (error.code == errc::payload_mismatch)
      CHECK(!x.idempotency_key.empty());
  }

  void check_commits() {
    size_t applied = 0;
    uint64_t seq = 0;
    for (const auto& commit : fixture_.disk.commits) {
      CHECK(commit.seq == ++seq);
      applied += commit.agents.size();
      CHECK(commit.after.applied.size() == applied);
      for (const auto& agent : commit.agents)
        if (fixture_.committed(agent))
          CHECK(fixture_.seq_of(agent) == commit.seq);
    }
    CHECK(applied == fixture_.applied().size());
  }

  std::mt19937_64 random_;
  group_fixture fixture_;
  std::vector<write_request> sent_;
};

} // namespace

TEST_CASE("a committed write is durable once and in order, and a refused write is absent") {
  for (uint64_t seed = 1; seed <= 3'000; ++seed) {
    INFO("seed " << seed);
    random_life{seed}.run();
  }
}

} // namespace sluice::test::group_commit_property_test
