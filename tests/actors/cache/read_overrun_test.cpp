#include "tests/support/read_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::read_overrun_test {

using namespace std::chrono_literals;

namespace {

// A database with the given number of readers, at most two, and two statements that were tiny so far.
struct fixture : read_fixture {
  explicit fixture(uint64_t readers) : read_fixture(100, {}, 2) {
    add_readers(readers);
    for (auto* sql : {"look", "peek"}) {
      submit("teaches " + std::string{sql}, sql);
      finish(0, answer_of(1, {"t"}));
    }
  }

  void ask(const std::string& id, const std::string& sql, std::chrono::milliseconds timeout = 5s) {
    auto request = a_read(id, sql);
    request.limits.timeout = timeout;
    request.freshness = freshness::fresh;
    submit(request);
  }

  // The number of times that it was given to a reader without an answer yet.
  size_t runs(const std::string& id) const {
    return static_cast<size_t>(
      std::count_if(running.begin(), running.end(), [&](const auto& x) { return x.request.request_id == id; }));
  }
};

const auto cancelled = make_error(errc::cancelled, "the request was cancelled before it ran");

} // namespace

TEST_CASE("queries that wait at a reader behind a slow one run on another reader") {
  fixture b{2};
  b.ask("slow", "look");
  b.ask("one", "peek");
  b.ask("two", "peek");
  REQUIRE(b.running.size() == 3);
  b.pass(50ms);
  REQUIRE(b.running.size() == 5);
  CHECK(b.runs("slow") == 1);
  for (auto i : {1, 2})
    CHECK(b.running[static_cast<size_t>(i)].request.cancel.cancelled());
  for (auto i : {3, 4})
    CHECK(!b.running[static_cast<size_t>(i)].request.cancel.cancelled());
  b.finish(3, b.answer_of(1, {"t"}));
  b.finish(3, b.answer_of(2, {"t"}));
  CHECK(b.cell("one") == 1);
  CHECK(b.cell("two") == 2);
  // Their former reader runs other queries once it has answered for them.
  b.finish(0, b.answer_of(3, {"t"}));
  CHECK(b.answered("slow"));
  b.finish(0, cancelled);
  b.finish(0, cancelled);
  CHECK(b.running.empty());
  for (auto* id : {"three", "four"}) {
    b.submit(id, std::string{"nobody knows "} + id);
    CHECK(b.runs(id) == 1);
  }
}

TEST_CASE("a reader gets no more queries behind a slow one") {
  fixture b{2};
  b.ask("slow", "look");
  b.ask("one", "peek");
  b.pass(50ms);
  REQUIRE(b.runs("one") == 2);
  b.ask("two", "peek");
  b.finish(2, b.answer_of(1, {"t"}));
  CHECK(b.answered("one"));
  b.pass(50ms);
  CHECK(b.runs("two") == 1);
}

TEST_CASE("a query that has begun meanwhile is answered once, by the reader that took it over") {
  fixture b{2};
  b.ask("slow", "look");
  b.ask("one", "peek");
  b.pass(50ms);
  REQUIRE(b.runs("one") == 2);
  b.finish(1, b.answer_of(1, {"t"}));
  CHECK(!b.answered("one"));
  b.finish(1, b.answer_of(2, {"t"}));
  CHECK(b.cell("one") == 2);
}

TEST_CASE("queries that follow each other quickly stay at their reader") {
  fixture b{2};
  b.ask("0", "look");
  for (auto i = 1; i < 40; ++i) {
    b.ask(std::to_string(i), "look");
    REQUIRE(b.running.size() == 2);
    b.pass(3ms);
    CHECK(!b.running[1].request.cancel.cancelled());
    b.finish(0, b.answer_of(i, {"t"}));
  }
}

TEST_CASE("queries stay at their reader while no other one could run them, and move when one can") {
  fixture b{2};
  b.submit("busy", "nobody knows");
  b.ask("slow", "look");
  b.ask("one", "peek");
  b.pass(100ms);
  CHECK(b.runs("one") == 1);
  b.finish(0, b.answer_of(1, {"t"}));
  b.pass(50ms);
  CHECK(b.runs("one") == 2);
}

TEST_CASE("queries behind a slow one take turns with those that wait for a reader") {
  fixture b{2};
  b.submit("busy", "nobody knows");
  b.ask("slow", "look");
  b.ask("one", "peek");
  b.submit("other", "nobody knows either");
  b.pass(50ms);
  CHECK(b.runs("one") == 1);
  b.finish(0, b.answer_of(1, {"t"}));
  REQUIRE(b.runs("other") == 1);
  b.finish(2, b.answer_of(2, {"t"}));
  CHECK(b.runs("one") == 2);
  CHECK(!b.answered("slow"));
}

TEST_CASE("another reader is requested if the bound allows one more") {
  fixture b{1};
  b.ask("slow", "look");
  b.ask("one", "peek");
  CHECK(b.wants_readers.empty());
  b.pass(50ms);
  CHECK(b.wants_readers.size() == 1);
  CHECK(b.runs("one") == 1);
  b.add_readers(1);
  CHECK(b.runs("one") == 2);
}

TEST_CASE(
  "a query that moved to another reader ends at its time-out or with its client, whichever reader answers first") {
  fixture b{1};
  b.ask("slow", "look");
  b.ask("hasty", "peek", 200ms);
  b.ask("unwanted", "peek");
  b.pass(50ms);
  read_scheduler::effects out;
  CHECK(b.scheduler.cancel("unwanted", out));
  b.apply(std::move(out));
  CHECK(b.failure_of("unwanted").code == errc::cancelled);
  b.pass(160ms);
  CHECK(b.failure_of("hasty").code == errc::deadline_exceeded);
  b.finish(0, b.answer_of(1, {"t"}));
  b.finish(0, cancelled);
  b.finish(0, cancelled);
  b.submit("next", "nobody knows");
  CHECK(b.runs("next") == 1);
}

TEST_CASE("a read is answered at its time-out also after an earlier check of its reader was cancelled") {
  fixture b{2};
  b.ask("first", "look", 10s);
  // The scheduler asks for both times at once.
  b.ask("hangs", "peek", 300ms);
  b.finish(0, b.answer_of(1, {"t"}));
  b.pass(500ms);
  CHECK(b.failure_of("hangs").code == errc::deadline_exceeded);
  CHECK(b.calls.size() <= 3);
}

} // namespace sluice::test::read_overrun_test
