#include "tests/support/writer_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::writer_actor_test {

using namespace std::chrono_literals;
using agents = std::vector<std::string>;

using fixture = writer_fixture;

TEST_CASE("the writer commits once for everything in its mailbox, and later requests have the next commit") {
  fixture f;
  auto a = f.write("a", "put t 1 x");
  auto b = f.write("b", "fail");
  auto c = f.write("c", "put t 2 x");
  f.run_until_executed(1);
  auto late = f.write("late", "put t 3 x");
  CHECK(f.disk.commits.empty());
  f.run();
  CHECK(ok(a));
  CHECK(ok(c));
  CHECK(failure_of(b).code == errc::constraint);
  REQUIRE(f.disk.commits.size() == 2);
  CHECK(f.disk.commits[0].agents == agents{"a", "c"});
  CHECK((**late)->commit_seq == 2);
}

TEST_CASE("the marker of a group that the request cap has ended does not end the next one") {
  writer_settings settings;
  settings.group.max_requests = 3;
  fixture f{settings};
  for (auto* agent : {"a", "b", "c", "d"})
    f.write(agent, "put t k v");
  f.run_until_executed(3);
  REQUIRE(f.disk.commits.size() == 1);
  // The old marker is in the mailbox behind d; now e gets in behind it.
  f.write("e", "put t k v");
  auto& jobs = f.sched().jobs;
  std::rotate(jobs.begin(), jobs.end() - 1, jobs.end());
  f.run();
  REQUIRE(f.disk.commits.size() == 2);
  CHECK(f.disk.commits[1].agents == agents{"d", "e"});
}

TEST_CASE(
  "the cache is notified of a commit if it may have an answer from the tables, and the audit of every request") {
  fixture f;
  f.write("unnoticed", "put t 0 x");
  f.run();
  CHECK(f.log.changes.empty());
  f.log.records.clear();
  f.context.versions().changed_at("T").note_kept();
  f.write("a", "put t 1 x");
  f.write("b", "fail");
  f.run();
  REQUIRE(f.log.changes.size() == 1);
  CHECK(f.log.changes[0].tables == agents{"t"});
  REQUIRE(f.log.records.size() == 2);
  CHECK(f.log.records[0].status == "committed");
  CHECK(f.log.records[1].status == "constraint");
}

TEST_CASE("listeners are notified of every commit in order, before it is acknowledged, and other actors are not") {
  fixture f;
  std::vector<invalidation> heard;
  auto listener = f.listener(&heard);
  f.write("unheard", "put t 0 x");
  f.run();
  f.context.listen(listener);
  f.context.listen(listener);
  auto first = f.write("a", "put t 1 x");
  f.run();
  f.write("b", "hook");
  f.run();
  f.write("c", "schema");
  f.run();
  f.write("d", "fail");
  f.run();
  REQUIRE(heard.size() == 3);
  CHECK(heard[0].db == "app.db");
  CHECK(heard[0].commit_seq == 2);
  CHECK(heard[0].tables == agents{"t"});
  CHECK(heard[1].commit_seq == 3);
  CHECK(heard[1].tables.empty());
  CHECK(heard[2].commit_seq == 4);
  CHECK(heard[2].everything);
  // The cache is notified of the change of the schema only.
  CHECK(f.log.changes.size() == 1);
  f.context.unlisten(listener);
  f.write("e", "put t 1 x");
  f.run();
  CHECK(heard.size() == 3);
}

TEST_CASE("a commit is published before it is acknowledged") {
  fixture f;
  std::vector<invalidation> heard;
  auto listener = f.listener(&heard);
  f.context.listen(listener);
  auto a = f.write("a", "put t 1 x");
  while (!a->has_value() && f.sched().try_run_once())
    CHECK((!a->has_value() || heard.size() == 1));
  CHECK(heard.size() == 1);
}

TEST_CASE("listening does not keep a listener alive, and a dead one is forgotten") {
  fixture f;
  std::vector<invalidation> heard;
  auto listener = f.listener(&heard);
  auto address = listener.address();
  f.context.listen(listener);
  f.kill(listener);
  listener = nullptr;
  CHECK(!caf::actor_cast<invalidation_listener>(address));
  auto a = f.write("a", "put t 1 x");
  f.run();
  CHECK(ok(a));
  CHECK(heard.empty());
}

TEST_CASE("an answered request makes room in the queue, whatever the answer") {
  fixture f;
  for (auto* sql : {"put t 1 x", "fail", "lose"}) {
    auto x = a_write("a", {sql});
    CHECK(!f.queue->admit(x, clock::steady::max()).refused);
    f.write(x);
  }
  f.run();
  CHECK(f.queue->queued().requests == 0);
  CHECK(f.queue->queued().bytes == 0);
}

TEST_CASE("a killed writer leaves no request without an answer and no partial write") {
  fixture f;
  std::vector<actor_fixture::answer<write_result>> waiting;
  for (auto i = 0; i < 6; ++i)
    waiting.push_back(f.write(std::to_string(i), "put t k v"));
  f.run_until_executed(3);
  f.kill(f.aut);
  auto too_late = f.write("too late", "put t k v");
  f.run();
  waiting.push_back(too_late);
  for (const auto& x : waiting) {
    REQUIRE(x->has_value());
    if (!ok(x)) {
      CHECK(failure_of(x).code == errc::unavailable);
      CHECK(failure_of(x).outcome == outcome::not_committed);
      CHECK(failure_of(x).retry_after_ms > 0);
    }
  }
  auto answered_ok = std::count_if(waiting.begin(), waiting.end(), [](const auto& x) { return ok(x); });
  CHECK(static_cast<size_t>(answered_ok) == f.disk.durable.applied.size());
  CHECK(!ok(too_late));
  CHECK(f.disk.open_stores == 0);
}

TEST_CASE("a writer that throws before COMMIT refuses all its requests") {
  fixture f;
  auto a = f.write("a", "put t 1 x");
  auto b = f.write("b", "throw");
  auto c = f.write("c", "put t 2 x");
  f.run();
  for (const auto& x : {a, b, c}) {
    CHECK(failure_of(x).code == errc::unavailable);
    CHECK(failure_of(x).outcome == outcome::not_committed);
  }
  CHECK(f.disk.durable.applied.empty());
}

TEST_CASE("a writer that throws inside COMMIT answers all requests of the commit with the outcome unknown") {
  fixture f;
  f.write("earlier", "put t 0 x", "old");
  f.run();
  f.disk.commit_fates = {GENERATE(failed_commit::throws_done, failed_commit::throws_undone)};
  auto a = f.write("a", "put t 1 x", "k");
  auto repeat = f.write("repeat", "put t 1 x", "k");
  auto failed = f.write("failed", "fail");
  f.run();
  CHECK(failure_of(a).outcome == outcome::unknown);
  CHECK(failure_of(repeat).outcome == outcome::unknown);
  CHECK(failure_of(failed).outcome == outcome::not_committed);
  CHECK(!f.context.versions().committing());
}

TEST_CASE("the writer waits for an external lock without blocking, then commits") {
  fixture f;
  f.disk.begin_errors = {errc::busy, errc::busy};
  auto a = f.write("a", "put t 1 x");
  f.run();
  CHECK(!a->has_value());
  f.advance(130ms);
  auto b = f.write("b", "put t 2 x");
  f.run();
  CHECK(!a->has_value());
  f.advance(300ms);
  CHECK(ok(a));
  CHECK(ok(b));
  CHECK(f.disk.durable.applied == agents{"a", "b"});
}

TEST_CASE("a request that gives up on the lock is answered while others go on waiting") {
  fixture f;
  f.disk.on_begin = [] { return errc::busy; };
  auto hasty = a_write("early", {"put t 1 x"});
  hasty.deadline = 800ms;
  auto early = f.write(hasty);
  f.run();
  f.advance(130ms);
  f.advance(260ms);
  auto late = f.write("late", "put t 2 x");
  f.run();
  f.advance(520ms);
  CHECK(failure_of(early).code == errc::busy);
  CHECK(failure_of(early).attempts == 4);
  CHECK(!late->has_value());
  f.disk.on_begin = [] { return std::nullopt; };
  f.advance(3s);
  CHECK(ok(late));
}

TEST_CASE("requests to look for external commits do not make the writer ask for a lock more often") {
  fixture f;
  f.disk.on_begin = [] { return errc::busy; };
  f.write("a", "put t 1 x");
  f.run();
  for (auto i = 0; i < 3; ++i)
    caf::anon_send(f.aut, verify_atom{});
  f.run();
  CHECK(f.disk.begins == 1);
  f.advance(130ms);
  CHECK(f.disk.begins == 2);
  f.advance(100ms);
  CHECK(f.disk.begins == 2);
}

TEST_CASE("an external commit found on request is counted, audited and sent to the cache") {
  fixture f;
  f.write("a", "put t 1 x");
  f.run();
  f.disk.external_commit = true;
  caf::anon_send(f.aut, verify_atom{});
  f.run();
  CHECK(f.context.counters().foreign_commits == 1);
  CHECK(f.log.changes.back().everything);
  CHECK(f.log.records.back().type == request_type::foreign_commit);
}

TEST_CASE("an idle writer truncates the WAL and prunes keys, and then sleeps") {
  fixture f;
  f.write("a", "put t 1 x");
  f.run();
  f.advance(600ms);
  f.write("b", "put t 2 x");
  f.run();
  f.advance(600ms);
  CHECK(f.disk.checkpoints.empty());
  f.advance(1s);
  CHECK(f.disk.checkpoints == std::vector{checkpoint_mode::truncate});
  CHECK(f.disk.prunes == 1);
  CHECK(f.quiet());
  f.write("c", "put t 3 x");
  f.run();
  f.advance(2s);
  CHECK(f.disk.checkpoints.size() == 2);
  CHECK(f.disk.prunes == 2);
  CHECK(f.quiet());
}

TEST_CASE("an idle writer prunes until no key is old, some at a time, with writes in between") {
  fixture f;
  f.disk.old_keys = {1'000, 1'000, 7};
  f.write("a", "put t 1 x");
  f.run();
  f.advance(1s);
  CHECK(f.disk.prunes == 4);
  CHECK(f.disk.checkpoints == std::vector{checkpoint_mode::truncate});
  CHECK(f.quiet());
}

TEST_CASE("old commit records that the audit has are removed now and then, some at a time") {
  writer_settings settings;
  settings.prune_every = 60s;
  fixture f{settings};
  f.disk.old_commits = {1'000, 7};
  f.write("a", "put t 1 x");
  f.run();
  // The stub of the audit has all records.
  CHECK(f.disk.commits_pruned == std::vector<uint64_t>{1, 1});
  f.write("a", "put t 1 x");
  f.run();
  f.advance(30s);
  f.write("a", "put t 1 x");
  f.run();
  CHECK(f.disk.commits_pruned.size() == 2);
  f.advance(30s);
  f.write("a", "put t 1 x");
  f.run();
  CHECK(f.disk.commits_pruned == std::vector<uint64_t>{1, 1, 4});
  f.advance(100s);
  f.advance(2s);
  CHECK(f.quiet());
  CHECK(f.disk.commits_pruned.size() == 3);
}

TEST_CASE("commit records are removed between groups") {
  writer_settings settings;
  settings.prune_every = 60s;
  fixture f{settings};
  f.disk.old_commits = {1'000, 1'000, 7};
  f.write("a", "put t 1 x");
  // The fake disk refuses it within a transaction.
  for (auto i = 0; i < 20; ++i) {
    f.write("b", "put t 2 x");
    f.sched().try_run_once();
    f.sched().try_run_once();
  }
  f.run();
  CHECK(f.disk.commits_pruned.size() == 3);
}

TEST_CASE("without a retention the audit is not asked for old commit records") {
  fixture f;
  f.disk.old_commits = {1'000};
  f.write("a", "put t 1 x");
  f.run();
  f.advance(100s);
  CHECK(f.disk.commits_pruned.empty());
}

TEST_CASE("a writer that has had no request has nothing scheduled") {
  fixture f;
  CHECK(f.quiet());
}

TEST_CASE("a WAL that has grown is moved into the file without waiting for idleness") {
  fixture f;
  f.disk.wal_bytes = f.settings.checkpoint_wal_bytes - 1;
  f.write("a", "put t 1 x");
  f.run();
  CHECK(f.disk.checkpoints.empty());
  CHECK(f.context.counters().wal_bytes == f.settings.checkpoint_wal_bytes - 1);
  f.disk.wal_bytes = f.settings.checkpoint_wal_bytes;
  f.write("b", "put t 1 x");
  f.run();
  CHECK(f.disk.checkpoints == std::vector{checkpoint_mode::passive});
}

TEST_CASE("closing commits queued requests, truncates the WAL and closes the file") {
  fixture f;
  auto a = f.write("a", "put t 1 x");
  auto b = f.write("b", "put t 2 x");
  auto closed = f.ask<caf::ok_atom>(f.aut, caf::close_atom_v);
  auto late = f.write("late", "put t 3 x");
  f.run();
  CHECK(ok(a));
  CHECK(ok(b));
  CHECK(ok(closed));
  CHECK(failure_of(late).code == errc::unavailable);
  CHECK(failure_of(late).outcome == outcome::not_committed);
  CHECK(f.disk.durable.applied == agents{"a", "b"});
  CHECK(f.disk.checkpoints == std::vector{checkpoint_mode::truncate});
  CHECK(f.disk.open_stores == 0);
  CHECK(f.log.records.size() == 2);
}

TEST_CASE("closing while an external process holds the lock still answers the requests that wait for it") {
  fixture f;
  f.disk.on_begin = [] { return errc::busy; };
  auto a = f.write("a", "put t 1 x");
  f.run();
  auto closed = f.ask<caf::ok_atom>(f.aut, caf::close_atom_v);
  f.run();
  CHECK(ok(closed));
  REQUIRE(a->has_value());
  CHECK(failure_of(a).outcome == outcome::not_committed);
  CHECK(f.disk.open_stores == 0);
}

TEST_CASE("closing a writer that fails while it closes is answered") {
  fixture f;
  f.write("a", "put t 1 x");
  f.run();
  f.disk.checkpoint_throws = true;
  auto closed = f.ask<caf::ok_atom>(f.aut, caf::close_atom_v);
  f.run();
  CHECK(closed->has_value());
  CHECK(f.disk.open_stores == 0);
}

} // namespace sluice::test::writer_actor_test
