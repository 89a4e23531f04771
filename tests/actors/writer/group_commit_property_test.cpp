#include "tests/support/group_fixture.hpp"

#include <catch2/catch.hpp>

#include <random>

namespace sluice::test::group_commit_property_test {

using namespace std::chrono_literals;

namespace {

/// One random life of a writer: requests with and without keys, bad statements, refused locks and failing commits.
class random_life {
public:
  explicit random_life(uint64_t seed) : random_(seed), bench_(settings(), seed) {
    bench_.disk.on_begin = [this]() -> std::optional<errc> {
      if (one_in(12))
        return errc::busy;
      return one_in(40) ? std::optional{errc::io_error} : std::nullopt;
    };
  }

  void run() {
    auto steps = 5 + pick(60);
    for (uint64_t i = 0; i < steps; ++i)
      step();
    bench_.disk.on_begin = [] { return std::nullopt; };
    while (bench_.retry_due)
      bench_.retry();
    bench_.end_group();
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
      bench_.disk.commit_fates.push_back(static_cast<failed_commit>(pick(6)));
    switch (pick(8)) {
    case 0: return bench_.end_group();
    case 1:
      if (bench_.retry_due)
        bench_.retry();
      return;
    case 2: bench_.time.advance(std::chrono::milliseconds{pick(60)}); return;
    case 3: bench_.group.look_for_external_commit(); return bench_.finish_group();
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
    bench_.send(std::move(x));
  }

  void check() {
    const auto& applied = bench_.applied();
    std::map<std::string, size_t> place;
    for (size_t i = 0; i < applied.size(); ++i) {
      INFO(applied[i]);
      CHECK(place.emplace(applied[i], i).second);
    }
    CHECK(bench_.group.empty());
    CHECK(bench_.records.size() >= sent_.size());
    std::optional<size_t> last;
    for (const auto& x : sent_) {
      INFO(x.agent << ": " << x.statements[0].sql.str() << " key " << x.idempotency_key);
      REQUIRE(bench_.answered(x.agent));
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
    if (bench_.committed(x.agent) && !bench_.answers.at(x.agent)->replayed) {
      CHECK(durable);
      return;
    }
    if (bench_.committed(x.agent)) {
      CHECK(!durable);
      CHECK(!x.idempotency_key.empty());
      CHECK(bench_.disk.durable.keys.count(x.idempotency_key) == 1);
      CHECK(bench_.seq_of(x.agent) == bench_.disk.durable.keys[x.idempotency_key].second.commit_seq);
      return;
    }
    auto why = bench_.why(x.agent);
    if (why.outcome == outcome::unknown) {
      CHECK(why.message.find("is not known") != std::string::npos);
      return;
    }
    CHECK(!durable);
    if (why.code == errc::busy)
      CHECK(why.attempts > 0);
    // Only a request with a key can mismatch an earlier payload.
    if (why.code == errc::payload_mismatch)
      CHECK(!x.idempotency_key.empty());
  }

  void check_commits() {
    size_t applied = 0;
    uint64_t seq = 0;
    for (const auto& commit : bench_.disk.commits) {
      CHECK(commit.seq == ++seq);
      applied += commit.agents.size();
      CHECK(commit.after.applied.size() == applied);
      for (const auto& agent : commit.agents)
        if (bench_.committed(agent))
          CHECK(bench_.seq_of(agent) == commit.seq);
    }
    CHECK(applied == bench_.applied().size());
  }

  std::mt19937_64 random_;
  group_fixture bench_;
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
