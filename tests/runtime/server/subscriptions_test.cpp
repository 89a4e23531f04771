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
      for (const auto& x : ledger)
        if (x.commit_seq > seq && found.size() < page)
          found.push_back(x);
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
    for (const auto& x : sent)
      if (x.at("method") == "invalidation")
        result.push_back(x.at("params").at("commit_seq").get<uint64_t>());
    return result;
  }
};

} // namespace

TEST_CASE("a subscriber is notified of the commits that change its tables, whatever their letter case",
          "[subscriptions]") {
  fixture x;
  x.subscribe({"Notes"}, 0);
  x.subject.publish(x.commit({"notes", "other"}));
  x.subject.publish(x.commit({"other"}));
  x.subject.publish(x.commit({"NOTES"}));
  CHECK(x.seqs() == std::vector<uint64_t>{1, 3});
  CHECK(x.sent[0].at("params").at("tables") == json{"notes"});
  CHECK(x.sent[0].at("jsonrpc") == "2.0");
  CHECK_FALSE(x.sent[0].contains("id"));
}

TEST_CASE("a table whose name is not UTF-8 is named by its bytes", "[subscriptions]") {
  fixture x;
  x.subscribe({"caf\xe9"}, 0);
  x.subject.publish(x.commit({"caf\xe8"}));
  x.subject.publish(x.commit({"caf\xe9"}));
  REQUIRE(x.seqs() == std::vector<uint64_t>{2});
  CHECK(x.sent[0].at("params").at("tables") == json::parse(R"([{"$text":"Y2Fm6Q=="}])"));
}

TEST_CASE("a subscriber without tables is notified of all commits", "[subscriptions]") {
  fixture x;
  x.subscribe({}, 0);
  x.subject.publish(x.commit({"a"}));
  x.subject.publish(x.commit({"b"}));
  CHECK(x.seqs() == std::vector<uint64_t>{1, 2});
}

TEST_CASE("a subscriber that resumes gets the past commits from the ledger first", "[subscriptions]") {
  fixture x;
  x.page = 2;
  for (int i = 0; i < 5; ++i)
    x.commit({"t"});
  x.subscribe({"t"}, 1);
  x.subject.publish(x.commit({"t"}));
  CHECK(x.seqs().empty());
  x.read_ledger();
  x.subject.publish(x.commit({"t"}));
  CHECK(x.seqs() == std::vector<uint64_t>{2, 3, 4, 5, 6, 7});
}

TEST_CASE("a commit whose message was lost is read from the ledger", "[subscriptions]") {
  fixture x;
  x.subscribe({"t"}, 0);
  x.subject.publish(x.commit({"t"}));
  x.commit({"t"});
  x.subject.publish(x.commit({"t"}));
  x.read_ledger();
  CHECK(x.seqs() == std::vector<uint64_t>{1, 2, 3});
}

TEST_CASE("a subscriber that does not read its notifications gets one subscription_lost", "[subscriptions]") {
  fixture x;
  auto who = x.subscribe({"t"}, 0);
  x.subject.publish(x.commit({"t"}));
  x.taken = false;
  x.subject.publish(x.commit({"t"}));
  x.subject.publish(x.commit({"t"}));
  REQUIRE(x.sent.size() == 2);
  CHECK(x.sent[1].at("method") == "subscription_lost");
  CHECK(x.sent[1].at("params").at("last_seq") == 1);
  CHECK(x.sent[1].at("params").at("subscription") == who);
  CHECK(x.subject.size() == 0);
  x.taken = true;
  x.subscribe({"t"}, 1);
  x.read_ledger();
  CHECK(x.seqs() == std::vector<uint64_t>{1, 2, 3});
}

TEST_CASE("a subscriber whose past the ledger does not hold loses its place", "[subscriptions]") {
  fixture x;
  for (int i = 0; i < 3; ++i)
    x.commit({"t"});
  auto whole = std::exchange(x.ledger, {x.ledger.back()});
  x.subject.add({"app.db",
                 {},
                 1,
                 [&](const std::string& line, bool) {
                   x.sent.push_back(json::parse(line));
                   return true;
                 }},
                3);
  x.read_ledger();
  REQUIRE(x.sent.size() == 1);
  CHECK(x.sent[0].at("method") == "subscription_lost");
  CHECK(whole.size() == 3);
}

TEST_CASE("changes without a commit number are sent at once and take no number", "[subscriptions]") {
  fixture x;
  x.subscribe({"t"}, 0);
  x.subject.publish({"app.db", 0, {}, true});
  x.subject.publish(x.commit({"t"}));
  REQUIRE(x.sent.size() == 2);
  CHECK(x.sent[0].at("params").at("everything") == true);
  CHECK_FALSE(x.sent[0].at("params").contains("commit_seq"));
  CHECK(x.sent[1].at("params").at("commit_seq") == 1);
}

TEST_CASE("subscribers to a file that was replaced by another lose their place", "[subscriptions]") {
  fixture x;
  x.subscribe({"t"}, 0);
  x.subject.publish(x.commit({"t"}));
  x.subject.publish(x.commit({"t"}));
  x.subject.publish({"app.db", 0, {}, true});
  x.ledger.clear();
  x.subject.publish(x.commit({"t"}));
  CHECK(x.sent.back().at("method") == "subscription_lost");
  CHECK(x.subject.size() == 0);
}

TEST_CASE("a subscriber that has left gets nothing, even if its past is being read", "[subscriptions]") {
  fixture x;
  x.commit({"t"});
  auto who = x.subscribe({"t"}, 0);
  x.subject.remove(who);
  x.read_ledger();
  x.subject.publish(x.commit({"t"}));
  CHECK(x.sent.empty());
}

TEST_CASE("whatever is lost, late or read in parts, each commit is sent once and in order", "[subscriptions]") {
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random{seed};
    auto chance = [&](uint32_t percent) { return random() % 100 < percent; };
    fixture x;
    x.page = 1 + random() % 3;
    for (auto i = random() % 5; i > 0; --i)
      x.commit({"t"});
    auto from = random() % (x.ledger.size() + 1);
    x.subscribe({"t"}, from);
    for (int i = 0; i < 30; ++i) {
      auto what = x.commit({chance(70) ? "t" : "u"});
      if (chance(80))
        x.subject.publish(what);
      if (chance(40) && !x.readings.empty()) {
        auto next = std::move(x.readings.front());
        x.readings.pop_front();
        next();
      }
    }
    x.subject.publish(x.commit({"t"}));
    x.read_ledger();
    std::vector<uint64_t> wanted;
    for (const auto& each : x.ledger)
      if (each.commit_seq > from && each.tables.front() == "t")
        wanted.push_back(each.commit_seq);
    INFO("seed " << seed);
    REQUIRE(x.seqs() == wanted);
  }
}

} // namespace sluice::test::subscriptions_test
