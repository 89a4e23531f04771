#include "tests/support/group_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::group_commit_timing_test {

using namespace std::chrono_literals;

namespace {

const slow_request& by(const std::vector<slow_request>& all, const std::string& agent) {
  for (const auto& x : all)
    if (x.agent == agent)
      return x;
  throw std::logic_error("not among the slow: " + agent);
}

struct fixture : group_fixture {
  explicit fixture(group_settings settings = {}) : group_fixture(settings) {
    disk.hook = [this] { time.advance(execution); };
    disk.before_commit = [this] { time.advance(30ms); };
  }

  // The front door received the request some time ago.
  void send_after(std::chrono::milliseconds wait, std::string agent, std::string sql) {
    auto x = a_write(std::move(agent), {std::move(sql)});
    x.received = time.now() - wait;
    send(std::move(x));
  }

  slow_request timing(const std::string& agent) const { return by(slow.slowest(), agent); }

  std::chrono::milliseconds execution = 20ms;
};

} // namespace

TEST_CASE("a request's time is split into its wait, its execution and the end of its group") {
  fixture b;
  b.send_after(5ms, "a", "hook");
  b.send_after(7ms, "b", "hook");
  b.send_after(0ms, "c", "put t 1 x");
  b.end_group();
  auto a = b.timing("a");
  CHECK(a.operation == "write");
  CHECK(a.db == "app.db");
  CHECK(a.sql == "hook");
  CHECK(a.status == "ok");
  CHECK_FALSE(a.request_id.empty());
  CHECK(a.ts_us == wall_us(b.time));
  CHECK(a.total_us == 75'000);
  CHECK(a.queue_us == 5'000);
  CHECK(a.lock_us == 0);
  CHECK(a.execute_us == 20'000);
  CHECK(a.commit_us == 50'000);
  auto second = b.timing("b");
  CHECK(second.queue_us == 7'000);
  CHECK(second.execute_us == 20'000);
  CHECK(second.commit_us == 30'000);
  auto third = b.timing("c");
  CHECK(third.execute_us == 0);
  CHECK(third.commit_us == 30'000);
}

TEST_CASE("the parts of the time of writes are counted by database") {
  fixture b;
  b.send_after(5ms, "a", "hook");
  b.send_after(0ms, "b", "put t 1 x");
  b.end_group();
  auto& x = b.context.timings();
  CHECK(x.queue.read().sum == 5ms);
  CHECK(x.queue.read().count() == 2);
  CHECK(x.execution.read().sum == 20ms);
  CHECK(x.execution.read().count() == 2);
  CHECK(x.commit.read().sum == 30ms);
  CHECK(x.commit.read().count() == 1);
}

TEST_CASE("the wait for an external process's lock does not count as a wait in the queue") {
  fixture b;
  b.send("opens the file", "put t 0 x");
  b.end_group();
  b.disk.begin_errors = {errc::busy, errc::busy};
  // The time of SQLite's own wait.
  b.disk.on_begin = [&b]() -> std::optional<errc> {
    b.time.advance(200ms);
    return std::nullopt;
  };
  b.send_after(5ms, "a", "put t 1 x");
  auto began = b.time.now();
  REQUIRE(b.retry_due);
  b.time.advance(10ms);
  b.send_after(0ms, "b", "put t 2 x");
  b.retry();
  REQUIRE(b.retry_due);
  auto sent = b.time.now();
  b.retry();
  auto got = b.time.now();
  // This request was in the mailbox while the writer waited for the lock, like the others.
  auto x = a_write("c", {"put t 3 x"});
  x.received = sent;
  b.send(x);
  b.end_group();
  auto us = [](auto time) {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  };
  auto a = b.timing("a");
  CHECK(a.queue_us == 5'000);
  CHECK(a.lock_us == us(got - began));
  CHECK(a.commit_us == 30'000);
  auto second = b.timing("b");
  CHECK(second.queue_us == 0);
  CHECK(second.lock_us == us(got - began - 10ms));
  auto third = b.timing("c");
  CHECK(third.queue_us == 0);
  CHECK(third.lock_us == us(got - sent));
  // The wait has ended, so the next group does not count it again.
  b.disk.on_begin = [] { return std::nullopt; };
  b.send_after(0ms, "d", "put t 4 x");
  b.end_group();
  CHECK(b.timing("d").lock_us == 0);
}

TEST_CASE("opening the file does not count as a wait for a lock") {
  fixture b;
  b.disk.on_begin = [&b]() -> std::optional<errc> {
    b.time.advance(50ms);
    return std::nullopt;
  };
  b.send_after(0ms, "first", "put t 1 x");
  b.end_group();
  CHECK(b.timing("first").lock_us == 0);
  CHECK(b.timing("first").queue_us == 50'000);
  b.send_after(0ms, "second", "put t 1 x");
  b.end_group();
  CHECK(b.timing("second").lock_us == 50'000);
  CHECK(b.timing("second").queue_us == 0);
}

TEST_CASE("the time of a request that gives up on the lock counts as lock time only") {
  fixture b;
  b.disk.on_begin = [] { return errc::busy; };
  b.send_after(3ms, "a", "put t 1 x");
  while (b.retry_due && !b.answered("a"))
    b.retry();
  REQUIRE(b.failure_of("a").code == errc::busy);
  auto a = b.timing("a");
  CHECK(a.status == "busy");
  CHECK(a.queue_us == 3'000);
  CHECK(a.lock_us == a.total_us - 3'000);
  CHECK(a.execute_us == 0);
  CHECK(a.commit_us == 0);
}

TEST_CASE("a request refused because its deadline passed in the queue is reported as slow") {
  fixture b;
  std::vector<std::string> warnings;
  b.slow.on_warning([&](const std::string& text, const std::string&) { warnings.push_back(text); });
  auto x = a_write("late", {"put t 1 x"});
  x.deadline = 20s;
  x.received = b.time.now() - 21s;
  b.send(x);
  b.end_group();
  CHECK(b.failure_of("late").code == errc::deadline_exceeded);
  auto late = b.timing("late");
  CHECK(late.status == "deadline_exceeded");
  CHECK(late.queue_us == 21'000'000);
  CHECK(late.execute_us == 0);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("slow write by late on app.db: 21.0 s in all, 21.0 s in the queue") == 0);
}

TEST_CASE("a long execution causes a warning at its end, with or without an error") {
  fixture b;
  b.execution = 6s;
  b.send_after(0ms, "good", "hook");
  auto bad = a_write("bad", {"hook", "fail"});
  b.send(bad);
  b.end_group();
  CHECK(b.slow.warnings() == 2);
  CHECK(b.timing("bad").status == "constraint");
  CHECK(b.timing("bad").execute_us == 6'000'000);
}

TEST_CASE("ordinary requests appear only in the counts") {
  group_fixture b;
  b.send("a", "put t 1 x");
  b.end_group();
  CHECK(b.slow.slowest().empty());
  CHECK(b.context.timings().execution.read().count() == 1);
}

TEST_CASE("a request that ran again has the time of its last run") {
  fixture b;
  b.send_after(0ms, "a", "hook");
  b.send_after(0ms, "culprit", "lose");
  b.end_group();
  CHECK(b.committed("a"));
  CHECK(b.timing("a").execute_us == 20'000);
  CHECK(b.timing("a").queue_us == 20'000);
  CHECK(b.timing("a").commit_us == 30'000);
}

} // namespace sluice::test::group_commit_timing_test
