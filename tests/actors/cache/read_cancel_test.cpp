#include "tests/support/read_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::read_cancel_test {

using namespace std::chrono_literals;

namespace {

struct fixture : read_fixture {
  using read_fixture::read_fixture;

  bool cancel(const std::string& id) {
    read_scheduler::effects out;
    auto found = scheduler.cancel(id, out);
    apply(std::move(out));
    return found;
  }

  bool interrupted(size_t i) const { return running.at(i).request.cancel.cancelled(); }
};

} // namespace

TEST_CASE("a read that waits for a reader is cancelled without having run") {
  fixture b;
  b.submit("a", "q");
  b.submit("b", "r");
  CHECK(b.cancel("a"));
  CHECK(b.failure_of("a").code == errc::cancelled);
  CHECK(b.failure_of("a").request_id == "a");
  CHECK(b.records.back().status == "cancelled");
  CHECK(!b.cancel("a"));
  b.add_readers(2);
  REQUIRE(b.running.size() == 1);
  CHECK(b.running[0].request.request_id == "b");
}

TEST_CASE("a cancelled read frees its place in the queue") {
  fixture b{1};
  b.submit("a", "q");
  b.submit("refused", "r");
  CHECK(b.failure_of("refused").code == errc::overloaded);
  b.cancel("a");
  b.submit("b", "r");
  CHECK(!b.answered("b"));
}

TEST_CASE("a query that runs for one caller only is interrupted, and its reader is idle when it has returned") {
  fixture b;
  b.add_readers();
  b.submit("a", "q");
  CHECK(!b.interrupted(0));
  CHECK(b.cancel("a"));
  CHECK(b.failure_of("a").code == errc::cancelled);
  CHECK(b.interrupted(0));
  b.submit("b", "r");
  CHECK(b.running.size() == 1);
  b.finish(0, make_error(errc::cancelled, "interrupted"));
  REQUIRE(b.running.size() == 1);
  CHECK(b.running[0].request.request_id == "b");
  CHECK(!b.interrupted(0));
}

TEST_CASE("no read joins a query that is being interrupted") {
  fixture b;
  b.add_readers(2);
  b.submit("a", "q");
  b.cancel("a");
  b.submit("b", "q");
  REQUIRE(b.running.size() == 2);
  b.finish(0, make_error(errc::cancelled, "interrupted"));
  CHECK(!b.answered("b"));
  b.finish(0, b.answer_of(7, {"t"}));
  CHECK(b.cell("b") == 7);
}

TEST_CASE("an answer that arrived before its query was interrupted is ignored") {
  fixture b;
  b.add_readers();
  b.submit("a", "q");
  b.cancel("a");
  b.finish(0, b.answer_of(7, {"t"}));
  CHECK(b.answers.size() == 1);
  CHECK(b.hits.empty());
  b.submit("b", "q");
  REQUIRE(b.running.size() == 1);
}

TEST_CASE("callers that share a query get their answer when any other one cancels, started or not") {
  auto first = GENERATE(false, true);
  auto started = GENERATE(false, true);
  CAPTURE(first, started);
  fixture b;
  if (started)
    b.add_readers();
  b.submit("a", "q");
  b.submit("b", "q");
  b.submit("c", "q");
  CHECK(b.cancel(first ? "a" : "b"));
  CHECK(b.failure_of(first ? "a" : "b").code == errc::cancelled);
  if (!started)
    b.add_readers();
  REQUIRE(b.running.size() == 1);
  CHECK(!b.interrupted(0));
  b.finish(0, b.answer_of(7, {"t"}));
  CHECK(b.cell("c") == 7);
  CHECK(b.cell(first ? "b" : "a") == 7);
  CHECK(b.source("c") == read_source::joined);
  // The answer is cached as usual.
  CHECK(b.hit("q"));
}

TEST_CASE("when all callers that share a query cancel one after the other, the last one interrupts it") {
  fixture b;
  b.add_readers();
  b.submit("a", "q");
  b.submit("b", "q");
  b.cancel("a");
  CHECK(!b.interrupted(0));
  b.cancel("b");
  CHECK(b.interrupted(0));
  b.finish(0, make_error(errc::cancelled, "interrupted"));
  CHECK(b.answers.size() == 2);
}

TEST_CASE("a caller that has joined a query runs it again after the time-out of the caller that cancelled") {
  fixture b;
  b.add_readers();
  auto hurried = a_read("hurried", "q");
  hurried.limits.timeout = 100ms;
  b.submit(hurried);
  b.submit("patient", "q");
  b.cancel("hurried");
  b.time.advance(200ms);
  b.finish(0, make_error(errc::deadline_exceeded, "too slow"));
  CHECK(!b.answered("patient"));
  REQUIRE(b.running.size() == 1);
  b.finish(0, b.answer_of(7, {"t"}));
  CHECK(b.cell("patient") == 7);
}

TEST_CASE(
  "who has joined a query that answers differently each time asks for itself, even if the first one cancelled") {
  fixture b;
  b.add_readers();
  b.submit("a", "random");
  b.submit("b", "random");
  b.cancel("a");
  b.finish(0, b.answer_of(7, {}, false));
  CHECK(!b.answered("b"));
  REQUIRE(b.running.size() == 1);
  b.finish(0, b.answer_of(8, {}, false));
  CHECK(b.cell("b") == 8);
}

TEST_CASE("one id cancels every read with it") {
  fixture b;
  b.add_readers();
  for (auto* sql : {"q", "q", "r"}) {
    auto request = a_read("same", sql);
    b.submit(std::move(request));
  }
  read_scheduler::effects out;
  CHECK(b.scheduler.cancel("same", out));
  CHECK(out.deliveries.size() == 3);
}

TEST_CASE("cancelling by id leaves the caller's own token alone, which cancels the query as before") {
  fixture b;
  b.add_readers(2);
  auto token = cancel_token::make();
  for (auto* id : {"a", "b"}) {
    auto request = a_read(id, id);
    request.cancel = token;
    b.submit(request);
  }
  REQUIRE(b.running.size() == 2);
  b.cancel("a");
  CHECK(b.interrupted(0));
  CHECK(!b.interrupted(1));
  CHECK(!token.cancelled());
  token.cancel();
  CHECK(b.interrupted(1));
}

TEST_CASE("a read whose query was interrupted for another caller, which has left, runs it again") {
  fixture b;
  b.add_readers();
  auto first = a_read("first", "q");
  first.cancel = cancel_token::make();
  b.submit(first);
  auto second = a_read("second", "q");
  second.cancel = cancel_token::make();
  b.submit(second);
  auto third = a_read("third", "q");
  third.cancel = cancel_token::make();
  b.submit(third);
  REQUIRE(b.running.size() == 1);
  first.cancel.cancel();
  third.cancel.cancel();
  CHECK(b.interrupted(0));
  b.finish(0, make_error(errc::cancelled, "interrupted"));
  CHECK(b.failure_of("first").code == errc::cancelled);
  CHECK(b.failure_of("third").code == errc::cancelled);
  CHECK(!b.answered("second"));
  REQUIRE(b.running.size() == 1);
  b.finish(0, b.answer_of(7, {"t"}));
  CHECK(b.cell("second") == 7);
}

TEST_CASE("running queries are interrupted when the scheduler ends every read, and when it is destroyed") {
  auto b = std::make_unique<fixture>();
  b->add_readers();
  b->submit("a", "q");
  auto token = b->running.at(0).request.cancel;
  CHECK(!token.cancelled());
  if (GENERATE(false, true)) {
    read_scheduler::effects out;
    b->scheduler.abandon(out);
    CHECK(out.deliveries.size() == 1);
  } else {
    b.reset();
  }
  CHECK(token.cancelled());
}

} // namespace sluice::test::read_cancel_test
