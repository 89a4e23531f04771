#include "tests/support/read_fixture.hpp"

namespace sluice::test::read_lock_test {

using namespace std::chrono_literals;

namespace {

/// A scheduler fixture that stores the time of the next retry, as the cache actor does.
struct lock_fixture : read_fixture {
  lock_fixture() { add_readers(); }

  std::optional<std::chrono::milliseconds> retry_in;

  void run(const std::function<void(read_scheduler::effects&)>& call) {
    read_scheduler::effects out;
    call(out);
    if (out.retry_in)
      retry_in = out.retry_in;
    apply(std::move(out));
  }

  void refuse(size_t i = 0) {
    auto flight = running.at(i).flight;
    running.erase(running.begin() + static_cast<ptrdiff_t>(i));
    run([&](auto& out) {
      scheduler.finished(flight, make_error(errc::busy, "process 7 (other) holds the lock of this database"), {}, out);
    });
  }

  void wait() {
    time.advance(*std::exchange(retry_in, std::nullopt));
    run([&](auto& out) { scheduler.retry_locked(out); });
  }
};

read_request hasty(std::string id, std::chrono::milliseconds timeout, std::string sql = "t") {
  auto result = a_read(std::move(id), std::move(sql));
  result.limits.timeout = timeout;
  return result;
}

} // namespace

TEST_CASE("a read that finds the database locked runs again after growing pauses, and is answered") {
  lock_fixture b;
  b.submit("a", "t");
  std::vector<std::chrono::milliseconds> pauses;
  for (int i = 0; i < 4; ++i) {
    b.refuse();
    CHECK(b.running.empty());
    pauses.push_back(*b.retry_in);
    b.wait();
    REQUIRE(b.running.size() == 1);
  }
  CHECK(pauses[1] > pauses[0]);
  CHECK(pauses[2] > pauses[1]);
  CHECK(pauses[3] <= 501ms);
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(b.cell("a") == 1);
  auto counted = b.context.retries().snapshot(b.time);
  CHECK(counted.lock_errors == 4);
  CHECK(counted.retries == 4);
  CHECK(counted.successes_after_retry == 1);
}

TEST_CASE("a read that finds the database locked needs no reader while it waits") {
  lock_fixture b;
  b.submit("a", "t");
  b.refuse();
  b.submit("b", "u");
  REQUIRE(b.running.size() == 1);
  b.finish(0, b.answer_of(2, {"u"}));
  CHECK(b.cell("b") == 2);
  b.wait();
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(b.cell("a") == 1);
}

TEST_CASE("a read waits for a lock until its time-out, and the error names the holder") {
  lock_fixture b;
  b.submit(hasty("a", 1'000ms));
  for (int i = 0; i < 20 && !b.answered("a"); ++i) {
    b.refuse();
    if (!b.answered("a"))
      b.wait();
  }
  auto error = b.failure_of("a");
  CHECK(error.code == errc::busy);
  CHECK(error.attempts >= 3);
  CHECK((error.waited_ms >= 1'000 && error.waited_ms <= 1'002));
  CHECK_THAT(error.message, Catch::Contains("process 7 (other)") && Catch::Contains("attempts"));
  CHECK(b.records.back().status == "busy");
  CHECK(b.context.retries().snapshot(b.time).failures == 1);
}

TEST_CASE("reads that join a read that waits for a lock keep their own time limits") {
  lock_fixture b;
  b.submit(hasty("patient", 5'000ms));
  b.refuse();
  read_scheduler::effects out;
  b.run([&](auto& o) { b.scheduler.submit(b.context, hasty("hasty", 10ms), {}, o); });
  CHECK(b.running.empty());
  REQUIRE(*b.retry_in <= 11ms);
  b.wait();
  CHECK(b.failure_of("hasty").code == errc::busy);
  CHECK(!b.answered("patient"));
  REQUIRE(b.retry_in);
  b.wait();
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(b.cell("patient") == 1);
}

TEST_CASE("a read that waits for a lock can be cancelled, and leaves nothing behind") {
  lock_fixture b;
  b.submit("a", "t");
  b.refuse();
  b.run([&](auto& out) { CHECK(b.scheduler.cancel("a", out)); });
  CHECK(b.failure_of("a").code == errc::cancelled);
  b.wait();
  CHECK(b.running.empty());
  CHECK(!b.retry_in);
}

TEST_CASE("reads that wait for a lock are refused when the database is closed or the broker shuts down") {
  lock_fixture b;
  b.submit("a", "t");
  b.refuse();
  SECTION("the database") {
    failure closed;
    closed.code = errc::unavailable;
    b.context.close(closed, true);
    b.wait();
  }
  SECTION("the broker") {
    b.run([&](auto& out) { b.scheduler.abandon(out); });
  }
  CHECK(b.failure_of("a").code == errc::unavailable);
}

} // namespace sluice::test::read_lock_test
