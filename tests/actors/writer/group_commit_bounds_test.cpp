#include "tests/support/group_fixture.hpp"

#include <catch2/catch.hpp>

#include <set>

namespace sluice::test::group_commit_bounds_test {

using namespace std::chrono_literals;

using agents = group_fixture::agents;

TEST_CASE("a group ends at the request cap") {
  group_settings settings;
  settings.max_requests = 3;
  group_fixture b{settings};
  for (auto i = 0; i < 7; ++i)
    b.send(std::to_string(i), "put t k v");
  REQUIRE(b.disk.commits.size() == 2);
  CHECK(b.answers.size() == 6);
  b.end_group();
  CHECK(b.disk.commits[2].agents == agents{"6"});
}

TEST_CASE("a group ends at the time cap") {
  group_fixture b;
  b.send("a", "put t k v");
  b.time.advance(49ms);
  b.send("b", "put t k v");
  CHECK(b.disk.commits.empty());
  b.time.advance(1ms);
  b.send("c", "put t k v");
  CHECK(b.disk.commits.size() == 1);
  CHECK(b.answers.size() == 3);
}

TEST_CASE("every group has a number of its own, so that a marker of an ended one is recognized") {
  group_settings settings;
  settings.max_requests = 2;
  group_fixture b{settings};
  b.send("a", "put t k v");
  auto old_marker = b.marker;
  REQUIRE(old_marker == b.group.number());
  b.send("b", "put t k v");
  b.send("c", "put t k v");
  CHECK(old_marker != b.group.number());
  CHECK(!b.answered("c"));
  b.end_group();
  CHECK(b.committed("c"));
}

TEST_CASE(
  "while COMMIT runs no cached answer from its tables is valid, and their stamps are raised before any answer") {
  group_fixture b;
  auto& versions = b.context.versions();
  auto before = versions.now();
  const auto& t = versions.changed_at("t");
  const auto& other = versions.changed_at("other");
  auto checks = 0;
  auto in_doubt = [&] {
    ++checks;
    CHECK(versions.committing());
    CHECK(t.load() == std::numeric_limits<uint64_t>::max());
    CHECK(other.load() <= before);
    CHECK(versions.last_commit() == 0);
  };
  b.disk.before_commit = in_doubt;
  b.disk.after_commit = in_doubt;
  b.send("a", "put T 1 x");
  CHECK(!versions.committing());
  auto done = b.group.finish_group();
  CHECK(checks == 2);
  CHECK(done.writes.size() == 1);
  CHECK(!versions.committing());
  CHECK(t.load() > before);
  CHECK(t.load() <= versions.now());
  CHECK(other.load() <= before);
  CHECK(versions.last_commit() == 1);
}

TEST_CASE("stamps are raised even when the outcome of COMMIT is unknown") {
  group_fixture b;
  auto before = b.context.versions().now();
  b.disk.commit_fates = {GENERATE(failed_commit::unreadable_but_done, failed_commit::unreadable_and_undone,
                                  failed_commit::fails, failed_commit::unsure_but_done)};
  b.send("a", "put t 1 x");
  b.end_group();
  auto stamp = b.context.versions().changed_at("t").load();
  CHECK(stamp > before);
  CHECK(stamp <= b.context.versions().now());
  CHECK(!b.context.versions().committing());
}

TEST_CASE("a COMMIT that throws leaves no stamp in doubt for ever") {
  group_fixture b;
  auto before = b.context.versions().now();
  b.disk.commit_fates = {failed_commit::throws_done};
  b.send("a", "put t 1 x");
  CHECK_THROWS(b.group.finish_group());
  auto stamp = b.context.versions().changed_at("t").load();
  CHECK(stamp > before);
  CHECK(stamp <= b.context.versions().now());
}

TEST_CASE("a finished group lists once the tables that its commits changed") {
  group_fixture b;
  b.send("a", "put t 1 x");
  b.send("bad", "fail");
  b.send("b", "put u 1 x");
  b.send("c", "put t 2 x");
  b.end_group();
  REQUIRE(b.changes.size() == 1);
  CHECK(b.changes[0].tables == std::vector<std::string>{"t", "u"});
  CHECK(b.changes[0].commit_seq == 1);
  CHECK(b.changes[0].db == "app.db");
  CHECK(!b.changes[0].everything);
}

TEST_CASE("each commit of a failed group's halves is published by itself, and failed requests are not") {
  group_fixture b;
  b.send("a", "put t 1 x");
  b.send(a_write("bad", {"put never 1 x", "poison"}));
  b.send("b", "put u 1 x");
  b.end_group();
  REQUIRE(b.changes.size() == 2);
  CHECK(b.changes[0].commit_seq == 1);
  CHECK(b.changes[0].tables == std::vector<std::string>{"t"});
  CHECK(b.changes[1].commit_seq == 2);
  CHECK(b.changes[1].tables == std::vector<std::string>{"u"});
}

TEST_CASE("a commit that changed no table is published, and a group of replays is not") {
  group_fixture b;
  b.send("a", "hook", "key");
  b.end_group();
  REQUIRE(b.changes.size() == 1);
  CHECK(b.changes[0].commit_seq == 1);
  CHECK(b.changes[0].tables.empty());
  CHECK(!b.changes[0].everything);
  auto again = a_write("b", {"hook"}, "key");
  b.send(again);
  b.end_group();
  CHECK(b.answers.at("b")->replayed);
  CHECK(b.changes.size() == 1);
}

TEST_CASE("a commit of unknown outcome is published as a change of everything") {
  group_fixture b;
  b.disk.commit_fates = {GENERATE(failed_commit::unreadable_but_done, failed_commit::unreadable_and_undone)};
  b.send("a", "put t 1 x");
  b.end_group();
  REQUIRE(b.changes.size() == 1);
  CHECK(b.changes[0].commit_seq == 0);
  CHECK(b.changes[0].everything);
}

TEST_CASE("a schema change and an external commit invalidate everything") {
  group_fixture b;
  auto before = b.context.versions().now();
  auto foreign = GENERATE(true, false);
  b.disk.external_commit = foreign;
  b.send("a", foreign ? "put t 1 x" : "schema");
  if (foreign)
    CHECK(b.context.versions().everything_changed_at().load() > before);
  b.end_group();
  CHECK(b.context.versions().everything_changed_at().load() > before);
  REQUIRE(b.changes.size() == (foreign ? 2 : 1));
  CHECK(b.changes[0].everything);
  // An external commit has no number, and came before this commit.
  CHECK(b.changes[0].commit_seq == (foreign ? 0 : 1));
  CHECK(b.changes.back().commit_seq == 1);
  CHECK(b.context.counters().foreign_commits == (foreign ? 1 : 0));
  auto audited = std::count_if(b.records.begin(), b.records.end(),
                               [](const auto& x) { return x.type == request_type::foreign_commit; });
  CHECK(audited == (foreign ? 1 : 0));
}

TEST_CASE("an external commit is found on request, without disturbing an open transaction") {
  group_fixture b;
  b.send("a", "put t 1 x");
  b.disk.external_commit = true;
  b.group.look_for_external_commit();
  CHECK(b.context.counters().foreign_commits == 0);
  CHECK(b.store.in_transaction());
  b.end_group();
  b.group.look_for_external_commit();
  CHECK(b.context.counters().foreign_commits == 1);
  CHECK(!b.store.in_transaction());
  b.finish_group();
  CHECK(b.records.back().type == request_type::foreign_commit);
  b.group.look_for_external_commit();
  CHECK(b.context.counters().foreign_commits == 1);
}

TEST_CASE("every request has one audit record with its outcome") {
  group_fixture b;
  b.send("first", "put t 1 x", "k");
  auto full = a_write("second", {"put t 2 x"});
  full.request_id = "mine";
  full.correlation_id = "trace";
  full.peer = {1000, 42};
  b.time.advance(1ms);
  full.received = b.time.now() - 3ms;
  b.send(full);
  b.send("repeat", "put t 1 x", "k");
  b.send("bad", "fail");
  b.end_group();
  REQUIRE(b.records.size() == 4);
  const auto& r = b.records[1];
  CHECK(b.records[0].key == "k");
  CHECK(b.records[0].status == "committed");
  CHECK(r.request_id == "mine");
  CHECK(r.agent == "second");
  CHECK(r.db == "app.db");
  CHECK(r.correlation_id == "trace");
  CHECK(r.peer.pid == 42);
  CHECK(r.commit_seq == 1);
  CHECK(r.latency_us == 3'000);
  CHECK(r.ts_us == wall_us(b.time));
  REQUIRE(r.tables);
  CHECK(*r.tables == std::vector<std::string>{"t"});
  CHECK(b.records[2].status == "replayed");
  CHECK(b.records[2].commit_seq == 1);
  CHECK(b.records[3].status == "constraint");
  CHECK(b.records[3].commit_seq == 0);
  auto& counters = b.context.counters();
  CHECK(counters.committed_requests == 2);
  CHECK(counters.replayed_requests == 1);
  CHECK(counters.failed_requests == 1);
  CHECK(counters.commits == 1);
}

TEST_CASE("requests without an id get one that no other has, and the answer carries it") {
  group_fixture b;
  std::set<std::string> ids;
  for (auto i = 0; i < 100; ++i)
    b.send(std::to_string(i), "put t k v");
  b.end_group();
  for (const auto& [agent, answer] : b.answers)
    ids.insert(answer->request_id);
  CHECK(ids.size() == 100);
  CHECK(ids.count("") == 0);
  for (const auto& r : b.records)
    CHECK(ids.count(r.request_id) == 1);
}

} // namespace sluice::test::group_commit_bounds_test
