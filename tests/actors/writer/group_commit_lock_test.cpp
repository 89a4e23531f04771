#include "tests/support/group_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::group_commit_lock_test {

using namespace std::chrono_literals;

using agents = group_fixture::agents;

namespace {

std::deque<errc> busy(size_t times) { return std::deque<errc>(times, errc::busy); }

} // namespace

TEST_CASE("a lock held by an external process is retried after growing, jittered pauses") {
  auto seed = GENERATE(range(1u, 30u));
  group_fixture b{{}, seed};
  b.disk.begin_errors = busy(3);
  b.send("a", "put t 1 x");
  while (b.retry_due)
    b.retry();
  REQUIRE(b.pauses.size() == 3);
  auto nominal = 100ms;
  for (auto pause : b.pauses) {
    CHECK(pause >= nominal * 3 / 4);
    CHECK(pause <= nominal * 5 / 4);
    nominal *= 2;
  }
  b.end_group();
  CHECK(b.committed("a"));
  auto counted = b.context.retries().snapshot(b.time);
  CHECK(counted.lock_errors == 3);
  CHECK(counted.retries == 3);
  CHECK(counted.successes_after_retry == 1);
  CHECK(counted.failures == 0);
  CHECK(counted.total_wait_ms == static_cast<uint64_t>((b.pauses[0] + b.pauses[1] + b.pauses[2]).count()));
}

TEST_CASE("the writer waits for a lock until the deadline, and busy has the number of attempts") {
  group_fixture b;
  b.disk.on_begin = [] { return errc::busy; };
  b.send("a", "put t 1 x");
  while (b.retry_due)
    b.retry();
  auto error = b.failure_of("a");
  CHECK(error.code == errc::busy);
  CHECK(error.outcome == outcome::not_committed);
  CHECK(error.attempts == b.disk.begins);
  CHECK((error.waited_ms >= 30'000 && error.waited_ms <= 30'002));
  CHECK_THAT(error.message, Catch::Contains("begin refused; ") && Catch::Contains("attempts in"));
  CHECK(!error.request_id.empty());
  CHECK(b.records.at(0).status == "busy");
  CHECK(b.context.retries().snapshot(b.time).failures == 1);
  // After three growing pauses the length stays the same.
  for (size_t i = 3; i + 1 < b.pauses.size(); ++i)
    CHECK((b.pauses[i] >= 300ms && b.pauses[i] <= 500ms));
}

TEST_CASE("SQLite's own wait for the lock ends with the first deadline") {
  group_fixture b;
  b.disk.begin_errors = busy(2);
  auto hasty = a_write("hasty", {"put t 1 x"});
  hasty.deadline = 70ms;
  b.send("patient", "put t 2 x");
  b.send(hasty);
  b.retry();
  REQUIRE(b.disk.waits.size() == 2);
  CHECK(b.disk.waits[0] == 30'000ms);
  CHECK(b.disk.waits[1] == 0ms);
}

TEST_CASE("requests that arrive during the pause are not executed before it ends and keep their order") {
  group_fixture b;
  b.disk.begin_errors = busy(1);
  b.send("a", "put t 1 x");
  b.send("b", "put t 2 x");
  CHECK(b.disk.begins == 1);
  b.retry();
  CHECK(b.answers.empty());
  b.end_group();
  CHECK(b.applied() == agents{"a", "b"});
  CHECK(b.disk.commits.size() == 1);
}

TEST_CASE("a request that arrives during the pause has a deadline of its own") {
  group_fixture b;
  b.disk.begin_errors = busy(6);
  auto early = a_write("early", {"put t 1 x"});
  early.deadline = 300ms;
  b.send(early);
  b.retry();
  b.send("late", "put t 2 x");
  while (b.retry_due && !b.answered("early"))
    b.retry();
  CHECK(b.failure_of("early").code == errc::busy);
  CHECK(!b.answered("late"));
  REQUIRE(b.retry_due);
  while (b.retry_due)
    b.retry();
  b.end_group();
  CHECK(b.committed("late"));
  CHECK(b.disk.begins == 7);
}

TEST_CASE("no request waits for a lock past the deadline") {
  group_fixture b;
  b.disk.on_begin = [] { return errc::busy; };
  auto hasty = a_write("hasty", {"put t 1 x"});
  hasty.deadline = 30ms;
  b.send(hasty);
  b.send("patient", "put t 2 x");
  REQUIRE(b.pauses.size() == 1);
  CHECK(b.pauses[0] <= 31ms);
  b.retry();
  CHECK(b.failure_of("hasty").code == errc::busy);
  CHECK(b.failure_of("hasty").attempts == 2);
  CHECK(b.failure_of("hasty").waited_ms <= 31);
  CHECK(!b.answered("patient"));
}

TEST_CASE("a request whose deadline passed in the pause is not executed when the lock is released") {
  group_fixture b;
  b.disk.begin_errors = busy(1);
  auto hasty = a_write("hasty", {"put t 1 x"});
  hasty.deadline = 30ms;
  b.send(hasty);
  b.send("patient", "put t 2 x");
  b.retry();
  b.end_group();
  CHECK(b.failure_of("hasty").code == errc::deadline_exceeded);
  CHECK(b.applied() == agents{"patient"});
}

TEST_CASE("with no retries allowed the first refusal is the answer") {
  group_settings settings;
  settings.retry.attempts = 0;
  group_fixture b{settings};
  b.disk.begin_errors = busy(1);
  b.send("a", "put t 1 x");
  CHECK(b.failure_of("a").attempts == 1);
  CHECK(!b.retry_due);
  b.send("b", "put t 1 x");
  b.end_group();
  CHECK(b.committed("b"));
}

TEST_CASE("an error other than a refused lock ends the wait of all requests") {
  group_fixture b;
  b.disk.begin_errors = {errc::busy, errc::io_error};
  b.send("a", "put t 1 x");
  b.send("b", "put t 1 x");
  b.retry();
  CHECK(b.failure_of("a").code == errc::io_error);
  CHECK(b.failure_of("b").code == errc::io_error);
  CHECK(!b.retry_due);
}

TEST_CASE("a lock that is taken while a lost transaction begins again is waited for like any other") {
  group_fixture b;
  b.send("a", "put t 1 x");
  b.send("b", "put t 2 x");
  b.disk.begin_errors = busy(1);
  b.send("culprit", "lose");
  CHECK(b.failure_of("culprit").code == errc::io_error);
  CHECK(!b.answered("a"));
  REQUIRE(b.retry_due);
  b.send("c", "put t 3 x");
  b.retry();
  b.end_group();
  CHECK(b.applied() == agents{"a", "b", "c"});
  CHECK(b.committed("a"));
}

TEST_CASE("a lock that is taken between the halves of a failed COMMIT delays the rest and keeps the order") {
  group_fixture b;
  auto refused_begin = GENERATE(1, 2, 3, 4);
  for (auto i = 0; i < 4; ++i)
    b.send(std::to_string(i), i == 2 ? "poison" : "put t k v");
  auto begins = 0;
  b.disk.on_begin = [&]() -> std::optional<errc> {
    return ++begins == refused_begin ? std::optional{errc::busy} : std::nullopt;
  };
  b.end_group();
  while (b.retry_due)
    b.retry();
  b.end_group();
  CHECK(b.applied() == agents{"0", "1", "3"});
  CHECK(b.answers.size() == 4);
  CHECK(b.failure_of("2").code == errc::io_error);
  for (const auto& record : b.disk.commits)
    for (const auto& agent : record.agents)
      CHECK(b.seq_of(agent) == record.seq);
}

TEST_CASE("looking for an external commit during the pause asks for no lock") {
  group_fixture b;
  b.disk.begin_errors = busy(1);
  b.send("a", "put t 1 x");
  b.group.look_for_external_commit();
  CHECK(b.disk.begins == 1);
  CHECK(b.context.counters().foreign_commits == 0);
}

} // namespace sluice::test::group_commit_lock_test
