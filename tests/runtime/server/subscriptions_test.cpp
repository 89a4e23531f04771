#include "runtime/server/subscriptions.hpp"

#include "messages/error.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <deque>
#include <random>

namespace sluice::test::subscriptions_test {

using nlohmann::json;

namespace {

// Commits of one database, and a ledger that is read when the test says so.
struct fixture {
  using take = std::function<void(caf::expected<std::vector<invalidation>>)>;

  std::vector<invalidation> ledger;
  std::deque<std::function<void()>> readings;
  std::vector<json> sent;
  bool taken = true;
  size_t page = 1'000;
  subscriptions subject{[this](const std::string& db, uint64_t seq, take done) {
    readings.emplace_back([this, db, seq, done] {
      std::vector<invalidation> found;
      for (const auto& each : ledger)
        if (each.commit_seq > seq && found.size() < page)
          found.push_back(each);
      done(std::move(found));
    });
  }};

  subscriptions::id subscribe(std::vector<std::string> tables, uint64_t after) {
    auto push = [this](const std::string& line, bool must) {
      if (!taken && !must)
        return false;
      sent.push_back(json::parse(line));
      return true;
    };
    return subject.add({"app.db", std::move(tables), after, push}, ledger.size());
  }

  invalidation commit(std::vector<std::string> tables) {
    ledger.push_back({"app.db", ledger.size() + 1, std::move(tables), false});
    return ledger.back();
  }

  void read_ledger() {
    while (!readings.empty()) {
      auto next = std::move(readings.front());
      readings.pop_front();
      next();
    }
  }

  std::vector<uint64_t> seqs() const {
    std::vector<uint64_t> result;
    for (const auto& each : sent)
      if (each.at("method") == "invalidation")
        result.push_back(each.at("params").at("commit_seq").get<uint64_t>());
    return result;
  }
};

} // namespace

TEST_CASE("a subscriber is notified of the commits that change its tables, whatever their letter case",
          "[subscriptions]") {
  fixture f;
  f.subscribe({"Notes"}, 0);
  f.subject.publish(f.commit({"notes", "other"}));
  f.subject.publish(f.commit({"other"}));
  f.subject.publish(f.commit({"NOTES"}));
  CHECK(f.seqs() == std::vector<uint64_t>{1, 3});
  CHECK(f.sent[0].at("params").at("tables") == json{"notes"});
  CHECK(f.sent[0].at("jsonrpc") == "2.0");
  CHECK_FALSE(f.sent[0].contains("id"));
}

TEST_CASE("a table whose name is not UTF-8 is named by its bytes", "[subscriptions]") {
  fixture f;
  f.subscribe({"caf\xe9"}, 0);
  f.subject.publish(f.commit({"caf\xe8"}));
  f.subject.publish(f.commit({"caf\xe9"}));
  REQUIRE(f.seqs() == std::vector<uint64_t>{2});
  CHECK(f.sent[0].at("params").at("tables") == json::parse(R"([{"$text":"Y2Fm6Q=="}])"));
}

TEST_CASE("a subscriber without tables is notified of all commits", "[subscriptions]") {
  fixture f;
  f.subscribe({}, 0);
  f.subject.publish(f.commit({"a"}));
  f.subject.publish(f.commit({"b"}));
  CHECK(f.seqs() == std::vector<uint64_t>{1, 2});
}

TEST_CASE("a subscriber that resumes gets the past commits from the ledger first", "[subscriptions]") {
  fixture f;
  f.page = 2;
  for (int i = 0; i < 5; ++i)
    f.commit({"t"});
  f.subscribe({"t"}, 1);
  f.subject.publish(f.commit({"t"}));
  CHECK(f.seqs().empty());
  f.read_ledger();
  f.subject.publish(f.commit({"t"}));
  CHECK(f.seqs() == std::vector<uint64_t>{2, 3, 4, 5, 6, 7});
}

TEST_CASE("a commit whose message was lost is read from the ledger", "[subscriptions]") {
  fixture f;
  f.subscribe({"t"}, 0);
  f.subject.publish(f.commit({"t"}));
  f.commit({"t"});
  f.subject.publish(f.commit({"t"}));
  f.read_ledger();
  CHECK(f.seqs() == std::vector<uint64_t>{1, 2, 3});
}

TEST_CASE("a subscriber that does not read its notifications gets one subscription_lost", "[subscriptions]") {
  fixture f;
  auto who = f.subscribe({"t"}, 0);
  f.subject.publish(f.commit({"t"}));
  f.taken = false;
  f.subject.publish(f.commit({"t"}));
  f.subject.publish(f.commit({"t"}));
  REQUIRE(f.sent.size() == 2);
  CHECK(f.sent[1].at("method") == "subscription_lost");
  CHECK(f.sent[1].at("params").at("last_seq") == 1);
  CHECK(f.sent[1].at("params").at("subscription") == who);
  CHECK(f.subject.size() == 0);
  f.taken = true;
  f.subscribe({"t"}, 1);
  f.read_ledger();
  CHECK(f.seqs() == std::vector<uint64_t>{1, 2, 3});
}

TEST_CASE("a subscriber whose commits are no longer in the ledger gets subscription_lost", "[subscriptions]") {
  fixture f;
  for (int i = 0; i < 3; ++i)
    f.commit({"t"});
  auto whole = std::exchange(f.ledger, {f.ledger.back()});
  f.subject.add({"app.db",
                 {},
                 1,
                 [&](const std::string& line, bool) {
                   f.sent.push_back(json::parse(line));
                   return true;
                 }},
                3);
  f.read_ledger();
  REQUIRE(f.sent.size() == 1);
  CHECK(f.sent[0].at("method") == "subscription_lost");
  CHECK(whole.size() == 3);
}

TEST_CASE("changes without a commit number are sent at once and take no number", "[subscriptions]") {
  fixture f;
  f.subscribe({"t"}, 0);
  f.subject.publish({"app.db", 0, {}, true});
  f.subject.publish(f.commit({"t"}));
  REQUIRE(f.sent.size() == 2);
  CHECK(f.sent[0].at("params").at("everything") == true);
  CHECK_FALSE(f.sent[0].at("params").contains("commit_seq"));
  CHECK(f.sent[1].at("params").at("commit_seq") == 1);
}

TEST_CASE("subscribers to a replaced file get subscription_lost", "[subscriptions]") {
  fixture f;
  f.subscribe({"t"}, 0);
  f.subject.publish(f.commit({"t"}));
  f.subject.publish(f.commit({"t"}));
  f.subject.publish({"app.db", 0, {}, true});
  f.ledger.clear();
  f.subject.publish(f.commit({"t"}));
  CHECK(f.sent.back().at("method") == "subscription_lost");
  CHECK(f.subject.size() == 0);
}

TEST_CASE("a subscriber that has left gets nothing, even if its past is being read", "[subscriptions]") {
  fixture f;
  f.commit({"t"});
  auto who = f.subscribe({"t"}, 0);
  f.subject.remove(who);
  f.read_ledger();
  f.subject.publish(f.commit({"t"}));
  CHECK(f.sent.empty());
}

TEST_CASE("each commit is sent once and in order, also with lost, late and partial messages", "[subscriptions]") {
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random{seed};
    auto chance = [&](uint32_t percent) { return random() % 100 < percent; };
    fixture f;
    f.page = 1 + random() % 3;
    for (auto i = random() % 5; i > 0; --i)
      f.commit({"t"});
    auto from = random() % (f.ledger.size() + 1);
    f.subscribe({"t"}, from);
    for (int i = 0; i < 30; ++i) {
      auto change = f.commit({chance(70) ? "t" : "u"});
      if (chance(80))
        f.subject.publish(change);
      if (chance(40) && !f.readings.empty()) {
        auto next = std::move(f.readings.front());
        f.readings.pop_front();
        next();
      }
    }
    f.subject.publish(f.commit({"t"}));
    f.read_ledger();
    std::vector<uint64_t> wanted;
    for (const auto& each : f.ledger)
      if (each.commit_seq > from && each.tables.front() == "t")
        wanted.push_back(each.commit_seq);
    INFO("seed " << seed);
    REQUIRE(f.seqs() == wanted);
  }
}

} // namespace sluice::test::subscriptions_test
