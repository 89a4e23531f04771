#include "tests/support/group_fixture.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <set>

namespace sluice::test::group_commit_property_test {

using namespace std::chrono_literals;

namespace {

/// A random sequence of requests to a writer: with and without keys, with bad statements, refused locks, and commits
/// that fail or throw. After a commit that throws, the requests go on with a new writer.
class random_requests {
public:
  explicit random_requests(uint64_t seed) : random_(seed), fixture_(settings(), seed) {
    fixture_.disk.on_begin = [this]() -> std::optional<errc> {
      if (one_in(12))
        return errc::busy;
      return one_in(40) ? std::optional{errc::io_error} : std::nullopt;
    };
  }

  void run() {
    auto steps = 5 + pick(60);
    for (uint64_t i = 0; i < steps; ++i)
      until_thrown([this] { step(); });
    fixture_.disk.on_begin = [] { return std::nullopt; };
    while (fixture_.retry_due)
      until_thrown([this] { fixture_.retry(); });
    until_thrown([this] { fixture_.end_group(); });
    check();
  }

private:
  group_settings settings() {
    group_settings settings;
    settings.max_requests = 1 + pick(12);
    return settings;
  }

  uint64_t pick(uint64_t below) { return random_() % below; }
  bool one_in(uint64_t n) { return pick(n) == 0; }

  // The requests of a writer that throws get no answer from the group; its actor answers them.
  template <class Call> void until_thrown(Call call) {
    try {
      call();
    } catch (const commit_threw&) {
      for (const auto& request : sent_)
        if (!fixture_.answered(request.agent))
          lost_.insert(request.agent);
      fixture_.restart();
    }
  }

  void step() {
    // The fault comes first: the request below may begin the group and end it.
    if (one_in(5))
      fixture_.disk.commit_fates.push_back(static_cast<failed_commit>(pick(failed_commits)));
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
    auto request = a_write(agent, sql, key);
    if (one_in(6))
      request.deadline = std::chrono::milliseconds{1 + pick(200)};
    sent_.push_back(request);
    fixture_.send(std::move(request));
  }

  void check() {
    const auto& applied = fixture_.applied();
    std::map<std::string, size_t> place;
    for (size_t i = 0; i < applied.size(); ++i) {
      INFO(applied[i]);
      CHECK(place.emplace(applied[i], i).second);
    }
    CHECK(fixture_.group.empty());
    CHECK(fixture_.records.size() + lost_.size() >= sent_.size());
    std::optional<size_t> last;
    for (const auto& request : sent_) {
      INFO(request.agent << ": " << request.statements[0].sql.str() << " key " << request.idempotency_key);
      if (lost_.contains(request.agent))
        CHECK_FALSE(fixture_.answered(request.agent));
      else
        REQUIRE(fixture_.answered(request.agent));
      auto found = place.find(request.agent);
      if (found != place.end()) {
        // The answers come in the order of the requests.
        CHECK((!last || *last < found->second));
        last = found->second;
      }
      if (!lost_.contains(request.agent))
        check(request, found != place.end());
    }
    check_commits();
  }

  void check(const write_request& request, bool durable) {
    if (fixture_.committed(request.agent) && !fixture_.answers.at(request.agent)->replayed) {
      CHECK(durable);
      return;
    }
    if (fixture_.committed(request.agent)) {
      CHECK(!durable);
      CHECK(!request.idempotency_key.empty());
      CHECK(fixture_.disk.durable.keys.count(request.idempotency_key) == 1);
      CHECK(fixture_.seq_of(request.agent) == fixture_.disk.durable.keys[request.idempotency_key].second.commit_seq);
      return;
    }
    auto error = fixture_.failure_of(request.agent);
    if (error.outcome == outcome::unknown) {
      CHECK(error.message.find("is not known") != std::string::npos);
      return;
    }
    CHECK(!durable);
    if (error.code == errc::busy)
      CHECK(error.attempts > 0);
    // Only a request with a key can mismatch an earlier payload.
    if (error.code == errc::payload_mismatch)
      CHECK(!request.idempotency_key.empty());
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
  // The agents of requests that a writer took and did not answer, because its commit threw.
  std::set<std::string> lost_;
};

} // namespace

TEST_CASE("a committed write is durable once and in order, and a refused write is absent") {
  for (uint64_t seed = 1; seed <= 3'000; ++seed) {
    INFO("seed " << seed);
    random_requests{seed}.run();
  }
}

} // namespace sluice::test::group_commit_property_test
