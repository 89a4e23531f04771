#include "messages/automatic_key.hpp"
#include "runtime/sqlite/ledger/ledger_meta.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "runtime/sqlite/ledger/ledger_repair.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/fake_clock.hpp"

#include <map>
#include <random>

namespace sluice::test::ledger_retention_test {

using namespace std::chrono_literals;
using Catch::Contains;

namespace {

constexpr uint64_t any_commit = uint64_t{1} << 60;

struct retention_fixture : store_fixture {
  fake_clock time;
  uint64_t keys = 0;

  explicit retention_fixture(std::chrono::hours age, uint64_t max_bytes = 0, std::chrono::hours key_age = 1h) {
    config.ledger_retention = age;
    config.ledger_max_bytes = max_bytes;
    config.key_retention = key_age;
    reopen();
    put("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
  }

  void reopen(ledger_standing known = {}) {
    store.reset();
    store = sqlite::make_write_store(file, config, time, std::move(known), {}, {}, folder / "audit.key");
  }

  sqlite::ledger_repair repair() {
    store.reset();
    auto done = must(sqlite::repair_ledger(file, {}, sqlite::ledger_fault::none, time, folder / "audit.key"));
    reopen(done.standing);
    return done;
  }

  uint64_t put(const std::string& sql = "INSERT INTO t(a) VALUES (1)", const std::string& key = {}) {
    commit_us = wall_us(time);
    return write(request_of({{sql, {}}}, key)).commit_seq;
  }

  void put_hourly(int count) {
    for (auto i = 0; i < count; ++i) {
      time.advance(1h);
      put();
    }
  }

  std::string next_key() {
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.since_boot()).count();
    return to_string(automatic_key{boot_tag_of(time.boot_id()), static_cast<uint64_t>(ms), 7, ++keys});
  }

  std::optional<write_result> recall(const std::string& key) {
    must(store->begin());
    auto found = must(store->recall(request_of({{"INSERT INTO t(a) VALUES (1)", {}}}, key)));
    store->rollback();
    return found;
  }

  uint64_t prune(uint64_t first_kept = any_commit) {
    uint64_t count = 0;
    for (auto has_more = true; has_more;) {
      auto removed = must(store->prune_commits(first_kept));
      count += removed.count;
      has_more = removed.has_more;
    }
    return count;
  }

  std::vector<uint64_t> seqs() {
    std::vector<uint64_t> result;
    for (const auto& commit : must(must(sqlite::ledger_reader::open(file)).after(0, 1'000'000)))
      result.push_back(commit.seq);
    return result;
  }

  audit_verdict verdict() { return must(must(sqlite::ledger_reader::open(file)).verify()); }

  void tamper(const std::string& sql) { must(external_process().exec(sql.c_str())); }
};

} // namespace

TEST_CASE("after old commit records were removed the rest is a whole chain that continues") {
  retention_fixture fixture{3h};
  fixture.put_hourly(7);
  auto head = fixture.verdict().head;
  CHECK(fixture.prune() == 4);
  CHECK(fixture.seqs() == std::vector<uint64_t>{5, 6, 7, 8});
  CHECK(fixture.verdict().intact());
  CHECK(fixture.verdict().pruned == 4);
  CHECK(fixture.verdict().head == head);
  CHECK(fixture.prune() == 0);
  fixture.reopen();
  fixture.put_hourly(2);
  CHECK(fixture.prune() == 2);
  fixture.put();
  auto verdict = fixture.verdict();
  CHECK(verdict.intact());
  CHECK(verdict.pruned == 6);
  CHECK(verdict.records == 5);
  CHECK(fixture.read_one("SELECT count(*) FROM t") == value{10});
}

TEST_CASE("commit records that the audit lacks are kept, and so is the newest") {
  retention_fixture fixture{1h};
  fixture.put_hourly(5);
  fixture.time.advance(100h);
  CHECK(fixture.prune(0) == 0);
  CHECK(fixture.prune(4) == 3);
  CHECK(fixture.seqs() == std::vector<uint64_t>{4, 5, 6});
  CHECK(fixture.prune() == 2);
  CHECK(fixture.prune() == 0);
  CHECK(fixture.put() == 7);
  CHECK(fixture.verdict().intact());
}

TEST_CASE("a commit record stays as long as a repeated request may have to be found in it") {
  retention_fixture fixture{1h, 0, 24h};
  auto key = fixture.next_key();
  auto seq = fixture.put("INSERT INTO t(a) VALUES (1)", key);
  fixture.put();
  fixture.time.advance(20h);
  // The wall clock has no effect.
  fixture.time.jump(1'000h);
  CHECK(fixture.prune() == 1);
  CHECK(fixture.prune() == 0);
  REQUIRE(fixture.recall(key));
  CHECK(fixture.recall(key)->commit_seq == seq);
  SECTION("and no longer") {
    fixture.time.advance(5h);
    CHECK(fixture.prune() == 1);
  }
  SECTION("by the wall clock, after a reboot of the machine") {
    fixture.time.jump(-1'000h);
    fixture.time.reboot();
    fixture.reopen();
    CHECK_FALSE(fixture.recall(fixture.next_key()));
    CHECK(fixture.prune() == 0);
    fixture.time.advance(5h);
    CHECK(fixture.prune() == 1);
  }
  CHECK_FALSE(fixture.recall(key));
  CHECK(fixture.verdict().intact());
}

TEST_CASE("the oldest commit records are removed until they have no more bytes than they may") {
  retention_fixture fixture{0h, 20'000};
  for (auto i = 0; i < 400; ++i)
    fixture.put();
  fixture.time.advance(2h);
  auto removed = fixture.prune();
  CHECK(removed > 50);
  auto kept = "SELECT sum(length(requests) + length(prev_hash) + 60) FROM _sluice_commits";
  auto bytes = *fixture.read_one(kept).integer();
  CHECK(bytes < 20'300);
  CHECK(bytes > 19'000);
  CHECK(fixture.prune() == 0);
  for (auto i = 0; i < 50; ++i)
    fixture.put();
  fixture.time.advance(2h);
  CHECK(fixture.prune() > 40);
  CHECK(*fixture.read_one(kept).integer() < 20'300);
  CHECK(fixture.verdict().intact());
}

TEST_CASE("many commit records are removed some at a time, and each part leaves a whole chain") {
  retention_fixture fixture{1h};
  for (auto i = 0; i < 2'500; ++i)
    fixture.put();
  fixture.time.advance(2h);
  std::vector<uint64_t> counts;
  for (auto has_more = true; has_more;) {
    auto removed = must(fixture.store->prune_commits(any_commit));
    counts.push_back(removed.count);
    has_more = removed.has_more;
    CHECK(fixture.verdict().intact());
  }
  CHECK(counts == std::vector<uint64_t>{1'000, 1'000, 500});
  CHECK(fixture.seqs() == std::vector<uint64_t>{2'501});
}

TEST_CASE("without a retention, or a place for the key, nothing is removed") {
  retention_fixture fixture{0h};
  fixture.put_hourly(3);
  CHECK(fixture.prune() == 0);
  fixture.config.ledger_retention = 1h;
  fixture.store.reset();
  fixture.store = sqlite::make_write_store(fixture.file, fixture.config, fixture.time);
  fixture.put();
  CHECK(must(fixture.store->prune_commits(any_commit)).count == 0);
  CHECK_FALSE(std::filesystem::exists(fixture.folder / "audit.key"));
}

TEST_CASE("a broken commit record is not removed, because that would hide it") {
  retention_fixture fixture{1h};
  fixture.put_hourly(30);
  fixture.store.reset();
  fixture.tamper("UPDATE _sluice_commits SET ts_us = ts_us + 1 WHERE commit_seq = 3");
  fixture.reopen();
  fixture.put();
  fixture.time.advance(2h);
  auto error = failure_of(fixture.store->prune_commits(any_commit));
  CHECK(error.code == errc::ledger_damaged);
  CHECK_THAT(error.message, Contains("commit 3"));
  CHECK(fixture.seqs().front() == 1);
  // After a repair has accepted the broken record, it is removed like others.
  fixture.store.reset();
  CHECK(fixture.repair().epoch.broken_before > 0);
  fixture.put();
  fixture.time.advance(2h);
  fixture.put();
  CHECK(fixture.prune() == 33);
  CHECK(fixture.verdict().intact());
  CHECK(must(sqlite::ledger_reader::open(fixture.file)).epoch().broken_before == 0);
}

TEST_CASE("an anchor that was changed is noticed") {
  retention_fixture fixture{1h};
  fixture.put_hourly(5);
  fixture.time.advance(2h);
  REQUIRE(fixture.prune() == 5);
  fixture.store.reset();
  auto db = fixture.external_process();
  auto anchor = must(sqlite::read_ledger_anchor(db));
  REQUIRE(anchor);
  CHECK(sqlite::doubt_about_ledger(*anchor, fixture.folder / "audit.key").empty());
  CHECK_THAT(sqlite::doubt_about_ledger(*anchor, fixture.folder / "other.key"), Contains("other.key is missing"));
  auto text = must(sqlite::read_meta(db, "anchor")).value_or("");
  SECTION("so that records before it would not be missed") {
    // "5 HASH 5 TIME ..." means that five were removed.
    auto at = text.find(' ', 2);
    text.replace(at, 3, " 4 ");
    must(sqlite::write_meta(db, "anchor", text));
    auto verdict = fixture.verdict();
    CHECK_FALSE(verdict.intact());
    REQUIRE(verdict.problems.size() == 1);
    CHECK_THAT(verdict.problems[0], Contains("the anchor there does not match its signature"));
    // The next one would hide that.
    fixture.reopen();
    fixture.put();
    fixture.time.advance(2h);
    fixture.put();
    auto error = failure_of(fixture.store->prune_commits(any_commit));
    CHECK(error.code == errc::ledger_damaged);
    CHECK_THAT(error.message, Contains("does not match its signature"));
    CHECK_THAT(fixture.repair().actions.at(0), Contains("signed the anchor behind commit 5 anew"));
    CHECK(fixture.verdict().intact());
    fixture.put();
    CHECK(fixture.prune() > 0);
  }
  SECTION("with a valid signature of another key") {
    std::filesystem::remove(fixture.folder / "audit.key");
    static_cast<void>(must(signing_key::open_or_make(fixture.folder / "audit.key")));
    CHECK(must(must(sqlite::ledger_reader::open(fixture.file)).verify()).intact());
    auto verdict = must(must(sqlite::ledger_reader::open(fixture.file)).verify(fixture.folder / "audit.key"));
    REQUIRE(verdict.problems.size() == 1);
    CHECK_THAT(verdict.problems[0], Contains("signed with another key than the store's"));
    fixture.reopen();
    fixture.put();
    fixture.time.advance(2h);
    fixture.put();
    CHECK(failure_of(fixture.store->prune_commits(any_commit)).code == errc::ledger_damaged);
    fixture.repair();
    fixture.put();
    CHECK(fixture.prune() > 0);
  }
  SECTION("so that it cannot be read") {
    must(sqlite::write_meta(db, "anchor", "5 xyz"));
    fixture.reopen();
    CHECK(failure_of(fixture.store->begin()).code == errc::ledger_damaged);
    auto done = fixture.repair();
    CHECK_THAT(done.actions.at(0), Contains("removed the anchor"));
    CHECK(fixture.put() > 6);
    CHECK(fixture.verdict().intact());
  }
  SECTION("by removing it") {
    must(db.exec("DELETE FROM _sluice_meta WHERE name = 'anchor'"));
    CHECK(fixture.verdict().broken == 1);
  }
}

TEST_CASE("commits whose records were removed are one notification that everything may have changed") {
  retention_fixture fixture{2h};
  fixture.put_hourly(6);
  REQUIRE(fixture.prune() == 4);
  auto changes = must(sqlite::commits_after(fixture.file, 2, 100, "app.db"));
  REQUIRE(changes.size() == 4);
  CHECK(changes[0].commit_seq == 4);
  CHECK(changes[0].everything);
  CHECK(changes[1].commit_seq == 5);
  CHECK_FALSE(changes[1].everything);
  CHECK(must(sqlite::commits_after(fixture.file, 4, 100, "app.db")).size() == 3);
}

TEST_CASE("a ledger is recognized by the audit, also after the last agreed commit was removed") {
  retention_fixture fixture{2h};
  fixture.put_hourly(4);
  auto hash = must(must(sqlite::ledger_reader::open(fixture.file)).after(3, 1)).at(0).hash;
  fixture.put_hourly(2);
  ledger_standing known;
  known.issued = 7;
  known.agreed_hash = hash;
  known.agreed_seq = 4;
  REQUIRE(fixture.prune(5) == 4);
  SECTION("last") {
    fixture.reopen(known);
    CHECK(fixture.put() == 8);
  }
  SECTION("long before") {
    known.agreed_seq = 2;
    fixture.reopen(known);
    CHECK(fixture.put() == 8);
  }
  SECTION("but not if that was another one") {
    known.agreed_hash[0] = static_cast<char>(known.agreed_hash[0] + 1);
    fixture.reopen(known);
    CHECK(failure_of(fixture.store->begin()).code == errc::ledger_damaged);
  }
}

// Writes, passing time, restarts and repeated requests in any order.
TEST_CASE("after removals in any order the chain is whole and repeated requests are found") {
  auto seed = GENERATE(range(1U, 31U));
  CAPTURE(seed);
  std::mt19937 random{seed};
  auto below = [&](uint32_t n) { return random() % n; };
  retention_fixture fixture{std::chrono::hours{1 + below(4)}, below(2) ? 3'000 : uint64_t{0},
                            std::chrono::hours{1 + below(4)}};
  std::map<std::string, std::pair<uint64_t, std::chrono::microseconds>> given;
  uint64_t newest = 1;
  uint64_t removed = 0;
  for (auto step = 0; step < 150; ++step) {
    switch (below(8)) {
    case 0: fixture.time.advance(std::chrono::minutes{below(90)}); break;
    case 1: fixture.reopen(); break;
    case 2: removed += fixture.prune(below(2) ? any_commit : newest); break;
    case 3:
      if (below(10) == 0) {
        fixture.time.reboot();
        fixture.reopen();
        given.clear();
      }
      break;
    case 4: fixture.time.jump(std::chrono::minutes{static_cast<int>(below(300)) - 100}); break;
    default: {
      auto key = fixture.next_key();
      newest = fixture.put("INSERT INTO t(a) VALUES (1)", key);
      given[key] = {newest, fixture.time.since_boot()};
    }
    }
    CHECK(fixture.verdict().intact());
    CHECK(fixture.verdict().pruned == removed);
    CHECK(fixture.seqs().back() == newest);
  }
  for (const auto& [key, content] : given)
    if (fixture.time.since_boot() - content.second < fixture.config.key_retention) {
      auto found = fixture.recall(key);
      REQUIRE(found);
      CHECK(found->commit_seq == content.first);
    }
}

} // namespace sluice::test::ledger_retention_test
