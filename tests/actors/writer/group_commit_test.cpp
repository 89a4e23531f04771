#include "tests/support/group_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

namespace sluice::test::group_commit_test {

using namespace std::chrono_literals;

using agents = group_fixture::agents;

TEST_CASE("all requests queued before the marker share one commit and are answered after it") {
  group_fixture b;
  b.send("a", "put t 1 x");
  b.send("b", "put u 2 y");
  b.send("c", "put t 3 z");
  CHECK(b.answers.empty());
  CHECK(b.disk.commits.empty());
  b.end_group();
  REQUIRE(b.disk.commits.size() == 1);
  CHECK(b.disk.commits[0].agents == agents{"a", "b", "c"});
  CHECK(b.applied() == agents{"a", "b", "c"});
  CHECK(b.answer_order == agents{"a", "b", "c"});
  for (auto* agent : {"a", "b", "c"})
    CHECK(b.seq_of(agent) == 1);
  CHECK(b.group.empty());
}

TEST_CASE("the next group has the next commit number, and its results come back with it") {
  group_fixture b;
  b.send("a", "put t 1 x");
  b.end_group();
  b.send(a_write("b", {"put t 1 y", "put t 2 y"}));
  b.end_group();
  CHECK(b.seq_of("b") == 2);
  CHECK(b.answers.at("b")->results.size() == 2);
  CHECK(b.context.versions().last_commit() == 2);
}

TEST_CASE("a failing request fails alone while the rest of its group commits") {
  group_fixture b;
  b.send("a", "put t 1 x");
  b.send(a_write("bad", {"put t 2 x", "fail"}));
  b.send("c", "put t 3 x");
  b.end_group();
  CHECK(b.applied() == agents{"a", "c"});
  CHECK(b.disk.durable.tables["t"].count("2") == 0);
  CHECK(b.failure_of("bad").code == errc::constraint);
  CHECK(b.failure_of("bad").outcome == outcome::not_committed);
  CHECK(!b.failure_of("bad").request_id.empty());
  CHECK(b.disk.executions["a"] == 1);
}

TEST_CASE("a group in which every request fails makes no commit") {
  group_fixture b;
  b.send("a", "fail");
  b.send("b", "fail");
  b.end_group();
  CHECK(b.disk.commits.empty());
  CHECK(!b.store.in_transaction());
  CHECK(b.answers.size() == 2);
}

TEST_CASE("when a request rolls back the transaction the others run again, once each and in order, without it") {
  group_fixture b;
  b.send("a", "put t 1 x");
  b.send("b", "put t 2 x");
  auto culprit = a_write("culprit", {GENERATE("lose", "full", "late")});
  culprit.deadline = 10ms;
  b.send(culprit);
  b.send("c", "put t 3 x");
  b.end_group();
  CHECK(b.applied() == agents{"a", "b", "c"});
  CHECK(!b.committed("culprit"));
  CHECK(b.disk.executions["culprit"] == 1);
  CHECK(b.disk.executions["a"] == 2);
  CHECK(b.disk.commits.size() == 1);
}

TEST_CASE("several failing requests each fail once, and all others commit") {
  group_fixture b;
  for (auto i = 0; i < 9; ++i)
    b.send(std::to_string(i), i % 3 == 1 ? "lose" : "put t k v");
  b.end_group();
  CHECK(b.applied() == agents{"0", "2", "3", "5", "6", "8"});
  for (auto* agent : {"1", "4", "7"}) {
    CHECK(b.failure_of(agent).code == errc::io_error);
    CHECK(b.disk.executions[agent] == 1);
  }
}

TEST_CASE("the outcome of a failing request does not depend on others that passed their deadline in the second run") {
  group_fixture b;
  auto hasty = a_write("hasty", {"put t 1 x"});
  hasty.deadline = 10ms;
  b.send(hasty);
  auto slow = a_write("slow", {"late"});
  slow.deadline = 1s;
  b.send(slow);
  b.end_group();
  CHECK(b.failure_of("hasty").code == errc::deadline_exceeded);
  CHECK(b.failure_of("hasty").outcome == outcome::not_committed);
  CHECK(b.applied().empty());
}

TEST_CASE("a COMMIT that fails permanently isolates the failing requests by halving") {
  group_fixture b;
  auto size = GENERATE(1, 2, 3, 7, 16);
  auto bad = GENERATE(0, 1, 5);
  for (auto i = 0; i < size; ++i)
    b.send(std::to_string(i), i == bad || i == bad + 1 ? "poison" : "put t k v");
  b.end_group();
  agents expected;
  for (auto i = 0; i < size; ++i) {
    auto agent = std::to_string(i);
    auto poisonous = i == bad || i == bad + 1;
    CHECK(b.committed(agent) != poisonous);
    if (!poisonous)
      expected.push_back(agent);
    else
      CHECK(b.failure_of(agent).outcome == outcome::not_committed);
  }
  CHECK(b.applied() == expected);
  for (const auto& record : b.disk.commits)
    for (const auto& agent : record.agents)
      CHECK(b.seq_of(agent) == record.seq);
}

TEST_CASE("a COMMIT that fails once fails only a request that is alone in its group") {
  group_fixture b;
  b.disk.commit_fates = {failed_commit::fails};
  b.disk.commit_error = errc::disk_full;
  b.send("a", "put t 1 x");
  auto alone = GENERATE(true, false);
  if (!alone)
    b.send("b", "put t 2 x");
  b.end_group();
  if (alone) {
    CHECK(b.failure_of("a").code == errc::disk_full);
    CHECK(b.applied().empty());
  } else {
    CHECK(b.applied() == agents{"a", "b"});
    CHECK(b.committed("a"));
    CHECK(b.committed("b"));
  }
}

TEST_CASE("a COMMIT of unknown outcome is read back: done means committed") {
  group_fixture b;
  b.disk.commit_fates = {failed_commit::unsure_but_done};
  b.send("a", "put t 1 x");
  b.send("b", "put t 2 x");
  b.end_group();
  CHECK(b.applied() == agents{"a", "b"});
  CHECK(b.committed("a"));
  CHECK(b.committed("b"));
  CHECK(b.context.versions().last_commit() == 1);
  CHECK(b.disk.executions["a"] == 1);
}

TEST_CASE("a COMMIT of unknown outcome is read back: undone means that it is tried in halves") {
  group_fixture b;
  b.disk.commit_fates = {failed_commit::unsure_and_undone};
  b.send("a", "put t 1 x");
  b.send("b", "put t 2 x");
  b.end_group();
  CHECK(b.applied() == agents{"a", "b"});
  CHECK(b.committed("b"));
}

TEST_CASE("a COMMIT that cannot be read back leaves the outcome unknown, and a retry with the key applies once") {
  auto fate = GENERATE(failed_commit::unreadable_but_done, failed_commit::unreadable_and_undone);
  group_fixture b;
  b.disk.commit_fates = {fate};
  b.send("a", "put t 1 x", "k");
  b.send("failed", "fail");
  b.end_group();
  CHECK(b.failure_of("a").outcome == outcome::unknown);
  CHECK(b.failure_of("failed").outcome == outcome::not_committed);
  b.send("again", "put t 1 x", "k");
  b.end_group();
  REQUIRE(b.committed("again"));
  CHECK(b.answers.at("again")->replayed == takes_effect(fate));
  CHECK(b.applied().size() == 1);
}

TEST_CASE("a commit that appears after its outcome was unknown invalidates every cached answer") {
  auto turns_up = GENERATE(true, false);
  group_fixture b;
  b.send("first", "put t 1 x");
  b.end_group();
  b.disk.commit_fates = {failed_commit::unreadable_and_undone};
  b.send("lost", "put t 2 x");
  b.end_group();
  REQUIRE(b.failure_of("lost").outcome == outcome::unknown);
  auto version = b.context.versions().now();
  // The commit appears, as after a recovery of the WAL.
  b.disk.last_seq += turns_up ? 1 : 0;
  b.changes.clear();
  b.send("next", "put u 1 x");
  b.end_group();
  REQUIRE(b.committed("next"));
  CHECK((b.context.versions().everything_changed_at().load() > version) == turns_up);
  REQUIRE(b.changes.size() == (turns_up ? 2 : 1));
  CHECK(b.changes[0].everything == turns_up);
}

TEST_CASE("a key is replayed within its own group and later, and applies once") {
  group_fixture b;
  b.send("first", "put t 1 x", "k");
  b.send("same group", "put t 1 x", "k");
  b.end_group();
  b.send("later", "put t 1 x", "k");
  b.end_group();
  CHECK(b.applied() == agents{"first"});
  CHECK(!b.answers.at("first")->replayed);
  for (auto* agent : {"same group", "later"}) {
    CHECK(b.answers.at(agent)->replayed);
    CHECK(b.seq_of(agent) == 1);
    CHECK(b.answers.at(agent)->results.size() == 1);
  }
  CHECK(b.disk.commits.size() == 1);
}

TEST_CASE("a key with another payload is a mismatch, in the same group and later") {
  group_fixture b;
  b.send("first", "put t 1 x", "k");
  b.send("same group", "put t 1 y", "k");
  b.end_group();
  b.send("later", "put t 1 y", "k");
  b.end_group();
  CHECK(b.failure_of("same group").code == errc::payload_mismatch);
  CHECK(b.failure_of("later").code == errc::payload_mismatch);
  CHECK(b.applied() == agents{"first"});
}

TEST_CASE("a failed attempt is not remembered: its key applies when it is tried again") {
  group_fixture b;
  b.send(a_write("failed", {"put t 1 x", "fail"}, "k"));
  b.end_group();
  b.send("again", "put t 1 x", "k");
  b.end_group();
  CHECK(b.committed("again"));
  CHECK(!b.answers.at("again")->replayed);
  CHECK(b.applied() == agents{"again"});
}

TEST_CASE("a replay within the group has the outcome of the request that it repeats") {
  group_fixture b;
  b.send("first", "poison", "k");
  b.send("repeat", "poison", "k");
  b.send("other", "put t 1 x");
  b.end_group();
  CHECK(!b.committed("first"));
  CHECK(!b.committed("repeat"));
  CHECK(b.applied() == agents{"other"});
}

TEST_CASE("a replay of an earlier commit is answered regardless of the rest of its group") {
  group_fixture b;
  b.send("first", "put t 1 x", "k");
  b.end_group();
  auto fate = GENERATE(failed_commit::fails, failed_commit::unreadable_and_undone, failed_commit::unreadable_but_done);
  b.disk.commit_fates = {fate};
  b.send("repeat", "put t 1 x", "k");
  b.send("neighbour", "put t 2 x");
  b.end_group();
  CHECK(!b.committed("neighbour"));
  REQUIRE(b.committed("repeat"));
  CHECK(b.answers.at("repeat")->replayed);
  CHECK(b.seq_of("repeat") == 1);
}

TEST_CASE("a replay of an earlier commit is answered even when the lock cannot be had a second time") {
  group_fixture b;
  b.send("first", "put t 1 x", "k");
  b.end_group();
  b.send("repeat", "put t 1 x", "k");
  b.disk.begin_errors = {errc::io_error};
  b.send("culprit", "lose");
  b.end_group();
  REQUIRE(b.committed("repeat"));
  CHECK(b.answers.at("repeat")->replayed);
}

TEST_CASE("a request whose key cannot be stored leaves nothing behind and fails no other one") {
  group_fixture b;
  b.send("a", "put t 1 x");
  b.send(a_write("forgetful", {"put t 2 x", "forgetful"}, "k"));
  b.send("c", "put t 3 x");
  b.end_group();
  CHECK(b.applied() == agents{"a", "c"});
  CHECK(b.disk.durable.tables["t"].count("2") == 0);
  CHECK(b.failure_of("forgetful").code == errc::io_error);
}

TEST_CASE("a request past its deadline is refused before it is executed") {
  group_fixture b;
  auto late = a_write("late", {"put t 1 x"});
  late.deadline = 20ms;
  late.received = b.time.now();
  b.time.advance(20ms);
  b.send(late);
  auto in_time = a_write("in time", {"put t 2 x"});
  in_time.received = b.time.now() - 29'999ms;
  b.send(in_time);
  auto default_passed = a_write("default passed", {"put t 3 x"});
  default_passed.received = b.time.now() - 30s;
  b.send(default_passed);
  b.end_group();
  CHECK(b.failure_of("late").code == errc::deadline_exceeded);
  CHECK(b.failure_of("late").outcome == outcome::not_committed);
  CHECK(b.failure_of("default passed").code == errc::deadline_exceeded);
  CHECK(b.committed("in time"));
  CHECK(b.disk.executions["late"] == 0);
}

TEST_CASE("a database that cannot be opened fails every request with its reason") {
  group_fixture b;
  b.disk.begin_errors = {errc::corrupt};
  b.send("a", "put t 1 x");
  CHECK(b.failure_of("a").code == errc::corrupt);
  CHECK(b.context.retries().snapshot(b.time).lock_errors == 0);
  b.send("b", "put t 1 x");
  b.end_group();
  CHECK(b.committed("b"));
}

TEST_CASE("a new ledger is recorded with the commit that makes it durable, once") {
  group_fixture b;
  b.disk.new_epoch = "epoch";
  b.disk.last_seq = 7;
  auto epochs = [&] {
    return std::count_if(b.records.begin(), b.records.end(),
                         [](const auto& x) { return x.type == request_type::ledger_epoch; });
  };
  b.send("a", "fail");
  b.end_group();
  CHECK(epochs() == 0);
  b.send("b", "put t 1 x");
  b.end_group();
  b.send("c", "put t 2 x");
  b.end_group();
  REQUIRE(epochs() == 1);
  auto found = std::find_if(b.records.begin(), b.records.end(),
                            [](const auto& x) { return x.type == request_type::ledger_epoch; });
  CHECK((found->key == "epoch" && found->commit_seq == 8 && found->db == "app.db"));
}

TEST_CASE("after a gap between epochs readers get the existing commit, and writers the next number") {
  group_fixture b;
  b.context.versions().start_at(9);
  b.disk.last_seq = 3;
  b.disk.epoch_first = 10;
  b.send("a", "put t 1 x");
  CHECK(b.context.versions().last_commit() == 3);
  CHECK(b.context.known_ledger().issued == 9);
  b.end_group();
  CHECK(b.seq_of("a") == 10);
  CHECK(b.context.versions().last_commit() == 10);
  b.send("b", "put t 2 x");
  b.end_group();
  CHECK(b.seq_of("b") == 11);
}

TEST_CASE("a migration that several requests ask for is executed once, and recorded as one") {
  group_fixture b;
  auto migration_by = [](const char* agent, uint64_t number, const char* hash) {
    auto result = a_write(agent, {"put t 1 x"});
    result.migration = std::make_shared<const migration>(migration{number, "1_a.sql", hash, {}});
    return result;
  };
  b.send(migration_by("a", 1, "h"));
  b.send(migration_by("b", 1, "h"));
  // The others of the group run again.
  b.send("culprit", "lose");
  b.send(migration_by("c", 1, "other"));
  b.end_group();
  b.send(migration_by("d", 1, "h"));
  b.end_group();
  CHECK(b.applied() == agents{"a"});
  CHECK((b.answers.at("b")->replayed && b.answers.at("d")->replayed));
  CHECK((b.seq_of("d") == b.seq_of("a") && b.disk.commits.size() == 1));
  CHECK(b.failure_of("c").code == errc::conflict);
  for (const auto& record : b.records)
    CHECK(record.type == (record.agent == "culprit" ? request_type::write : request_type::migrate));
}

} // namespace sluice::test::group_commit_test
