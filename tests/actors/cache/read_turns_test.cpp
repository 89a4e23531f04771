#include "tests/support/read_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::read_turns_test {

using namespace std::chrono_literals;

namespace {

// A database with the given number of readers, all of them started.
struct fixture : read_fixture {
  explicit fixture(uint64_t readers) : read_fixture(100, {}, readers) { add_readers(readers); }

  void ask(const std::string& agent, const std::string& sql, std::chrono::milliseconds timeout = 10s) {
    ask_from(0, agent, sql, timeout);
  }

  void ask_from(uint32_t pid, const std::string& agent, const std::string& sql,
                std::chrono::milliseconds timeout = 10s) {
    auto request = a_read(sql, sql);
    request.agent = agent;
    request.peer.pid = pid;
    request.limits.timeout = timeout;
    submit(request);
  }

  void expire() {
    read_scheduler::effects out;
    scheduler.expire(out);
    apply(std::move(out));
  }

  std::chrono::milliseconds time_of(const std::string& id) const {
    for (const auto& each : running)
      if (each.request.request_id == id)
        return each.request.limits.timeout;
    return 0ms;
  }

  bool runs(const std::string& id) const { return time_of(id) > 0ms; }

  executed_read answer_after(std::chrono::milliseconds ran) {
    auto result = answer_of(1, {"t"});
    result.busy_us = static_cast<uint32_t>(std::chrono::microseconds{ran}.count());
    return result;
  }

  size_t place_of(const std::string& id) const {
    for (size_t i = 0; i < running.size(); ++i)
      if (running[i].request.request_id == id)
        return i;
    throw std::logic_error(id + " does not run");
  }
};

} // namespace

TEST_CASE("a waiting read is answered at its time-out even if no reader becomes idle") {
  fixture b{1};
  b.ask("a", "first");
  b.ask("b", "waits", 1s);
  b.time.advance(999ms);
  b.expire();
  CHECK(!b.answered("waits"));
  b.time.advance(1ms);
  b.expire();
  CHECK(b.failure_of("waits").code == errc::deadline_exceeded);
  CHECK(!b.answered("first"));
}

TEST_CASE("a query that does not return is answered shortly after its time-out, and its reader stays busy") {
  fixture b{1};
  b.ask("a", "hangs", 1s);
  b.time.advance(1s);
  b.expire();
  CHECK(!b.answered("hangs"));
  b.time.advance(100ms);
  b.expire();
  CHECK(b.failure_of("hangs").code == errc::deadline_exceeded);
  CHECK(b.running.at(0).request.cancel.cancelled());
  b.ask("b", "next");
  CHECK(!b.runs("next"));
  b.finish(0, make_error(errc::cancelled, "interrupted"));
  CHECK(b.runs("next"));
}

TEST_CASE("one reader is reserved for short queries") {
  fixture b{3};
  b.ask_from(1, "a", "one");
  b.ask_from(2, "b", "two");
  b.ask_from(3, "c", "three");
  CHECK(b.time_of("one") > 9s);
  CHECK(b.time_of("two") > 9s);
  CHECK(b.time_of("three") == brief_time);
}

TEST_CASE("with one reader, a short query waits no longer than the time slice for one that turns out long") {
  fixture b{1};
  b.ask("a", "report");
  CHECK(b.time_of("report") == brief_time);
  b.ask("b", "look up");
  CHECK(!b.runs("look up"));
  CHECK(b.wants_readers.empty());
  b.finish(0, make_error(errc::deadline_exceeded, "interrupted"), brief_time);
  REQUIRE(b.runs("look up"));
  b.finish(0, b.answer_after(1ms));
  REQUIRE(b.time_of("report") > 9s);
  CHECK(b.wants_readers.empty());
  // A second reader exists while the long report runs, and only if a read waits.
  b.ask("b", "look again");
  CHECK(!b.runs("look again"));
  REQUIRE(b.wants_readers.size() == 1);
  b.add_readers(1);
  CHECK(b.time_of("look again") == brief_time);
  b.finish(b.place_of("report"), b.answer_after(1s));
  b.ask("b", "look once more");
  CHECK(!b.runs("look once more"));
  b.finish(b.place_of("look again"), b.answer_after(1ms));
  CHECK(b.runs("look once more"));
  b.ask("b", "and once more");
  CHECK(!b.runs("and once more"));
}

TEST_CASE("a query that exceeds the time slice of the reserved reader waits for another one, and the next query runs") {
  fixture b{2};
  b.ask("a", "report");
  b.ask("b", "another report");
  b.ask("c", "look up");
  CHECK(!b.runs("look up"));
  b.finish(b.place_of("another report"), make_error(errc::deadline_exceeded, "interrupted"));
  CHECK(!b.answered("another report"));
  CHECK(!b.runs("another report"));
  REQUIRE(b.runs("look up"));
  b.finish(b.place_of("look up"), b.answer_of(1, {"t"}));
  CHECK(b.answered("look up"));
  CHECK(!b.runs("another report"));
  b.finish(b.place_of("report"), b.answer_of(2, {"t"}));
  CHECK(b.time_of("another report") > 9s);
}

TEST_CASE("a query whose time-out is shorter than the time slice fails at it and does not count as long") {
  fixture b{2};
  b.ask("a", "report");
  b.ask("b", "hasty", 100ms);
  b.time.advance(100ms);
  b.finish(b.place_of("hasty"), make_error(errc::deadline_exceeded, "interrupted"));
  CHECK(b.failure_of("hasty").code == errc::deadline_exceeded);
}

TEST_CASE("neither one agent nor one process with several names gets all readers for long queries") {
  fixture b{4};
  for (auto* sql : {"one", "two"})
    b.ask_from(7, "greedy", sql);
  CHECK(b.time_of("one") > 9s);
  CHECK(b.time_of("two") == brief_time);
  b.finish(b.place_of("two"), make_error(errc::deadline_exceeded, "interrupted"));
  CHECK(!b.runs("two"));
  b.ask_from(7, "other", "three");
  CHECK(b.time_of("three") > 9s);
  b.ask_from(7, "third", "four");
  CHECK(b.time_of("four") == brief_time);
  b.finish(b.place_of("four"), make_error(errc::deadline_exceeded, "interrupted"));
  CHECK(!b.runs("four"));
  b.ask_from(8, "greedy", "five");
  CHECK(b.time_of("five") > 9s);
}

TEST_CASE("reads wait by turns of their agents") {
  fixture b{1};
  b.ask("a", "runs");
  for (auto* sql : {"a1", "a2", "a3"})
    b.ask("a", sql);
  b.ask("b", "b1");
  b.time.advance(200ms);
  b.finish(0, b.answer_after(200ms));
  CHECK(b.runs("b1"));
  b.finish(0, b.answer_after(1ms));
  CHECK(b.runs("a1"));
}

TEST_CASE("reads wait by turns of their processes, regardless of the number of agent names") {
  fixture b{1};
  b.ask_from(7, "a", "runs");
  for (auto i = 0; i < 40; ++i)
    b.ask_from(7, "name " + std::to_string(i), "many " + std::to_string(i));
  for (auto* sql : {"one", "two", "three"})
    b.ask_from(8, "b", sql);
  b.finish(0, b.answer_after(5ms));
  for (auto* sql : {"one", "two", "three"}) {
    auto turns = 0;
    for (; !b.runs(sql); ++turns)
      b.finish(0, b.answer_after(5ms));
    CHECK(turns <= 1);
    b.finish(0, b.answer_after(5ms));
  }
}

TEST_CASE("all callers inside this process count as one process") {
  fixture b{1};
  b.ask_from(7, "a", "runs");
  for (auto i = 0; i < 40; ++i)
    b.ask("name " + std::to_string(i), "many " + std::to_string(i));
  b.ask_from(7, "a", "one");
  b.finish(0, b.answer_after(1ms));
  b.finish(0, b.answer_after(5ms));
  CHECK(b.runs("one"));
}

TEST_CASE("long reads also wait by turns of their processes") {
  fixture b{2};
  b.ask_from(7, "a", "runs");
  for (auto i = 0; i < 6; ++i) {
    auto sql = "long " + std::to_string(i);
    b.ask_from(7, "name " + std::to_string(i), sql);
    b.finish(b.place_of(sql), make_error(errc::deadline_exceeded, "interrupted"), brief_time);
  }
  b.ask_from(8, "b", "report");
  b.finish(b.place_of("report"), make_error(errc::deadline_exceeded, "interrupted"), brief_time);
  auto turns = 0;
  for (; !b.runs("report"); ++turns)
    b.finish(0, b.answer_after(300ms));
  CHECK(turns <= 2);
}

TEST_CASE("a read that shares one that waits has the turn of its own process, if that comes first") {
  fixture b{1};
  b.ask_from(7, "a", "runs");
  for (auto i = 0; i < 20; ++i)
    b.ask_from(7, "name " + std::to_string(i), "many " + std::to_string(i));
  b.ask_from(7, "last", "wanted by both");
  auto request = a_read("joins", "wanted by both");
  request.agent = "b";
  request.peer.pid = 8;
  b.submit(request);
  CHECK(b.scheduler.joined() == 1);
  b.finish(0, b.answer_after(5ms));
  REQUIRE(b.runs("wanted by both"));
  b.finish(0, b.answer_after(5ms));
  CHECK(b.answered("joins"));
  while (!b.running.empty())
    b.finish(0, b.answer_after(5ms));
  // The first caller had a place of its own in the queue, which is skipped.
  CHECK(b.answers.size() == 23);
}

TEST_CASE("one process on a socket may fill half of the queue, and its places are freed again") {
  fixture b{1};
  b.ask_from(7, "a", "runs");
  for (auto i = 0; i < 50; ++i)
    b.ask_from(7, "name " + std::to_string(i), "many " + std::to_string(i));
  b.ask_from(7, "one more", "too many");
  CHECK(b.failure_of("too many").code == errc::overloaded);
  CHECK(b.failure_of("too many").retry_after_ms > 0);
  for (auto i = 0; i < 50; ++i)
    b.ask_from(8, "b", "other " + std::to_string(i));
  CHECK(!b.answered("other 49"));
  b.ask_from(9, "c", "beyond all");
  CHECK(b.failure_of("beyond all").code == errc::overloaded);
  for (auto i = 0; i < 4; ++i)
    b.finish(0, b.answer_after(1ms));
  b.ask_from(7, "one more", "not too many");
  CHECK(!b.answered("not too many"));
}

TEST_CASE("an agent is charged for the execution time of its read, not for its wait") {
  fixture b{1};
  for (auto* sql : {"look", "peek"}) {
    b.ask("anybody", sql);
    b.finish(0, b.answer_after(0ms));
  }
  // The query is known to be tiny, so it goes to the same reader.
  for (const auto& [agent, sql] : {std::pair{"slow", "look"}, std::pair{"quiet", "peek"}}) {
    auto request = a_read(agent, sql);
    request.freshness = freshness::fresh;
    b.submit(request);
    REQUIRE(b.runs(agent));
  }
  b.ask("slow", "slow next");
  b.ask("quiet", "quiet next");
  b.time.advance(200ms);
  SECTION("both are answered") {
    b.finish(b.place_of("slow"), b.answer_after(200ms));
    b.finish(b.place_of("quiet"), b.answer_after(0ms));
  }
  SECTION("both fail") {
    b.finish(b.place_of("slow"), make_error(errc::sql_error, "integer overflow"), 200ms);
    b.finish(b.place_of("quiet"), make_error(errc::sql_error, "integer overflow"), 0ms);
  }
  CHECK(b.runs("quiet next"));
  CHECK(!b.runs("slow next"));
}

TEST_CASE("requests under way are listed with their agent, age and state") {
  fixture b{1};
  b.ask("a", "one");
  b.time.advance(70ms);
  b.ask("b", "two");
  b.time.advance(30ms);
  auto all = b.scheduler.running();
  REQUIRE(all.size() == 2);
  auto& one = all[0].agent == "a" ? all[0] : all[1];
  auto& two = all[0].agent == "a" ? all[1] : all[0];
  CHECK(one.is_running);
  CHECK(one.since_ms == 100);
  CHECK(one.sql == "one");
  CHECK(!two.is_running);
  CHECK(two.since_ms == 30);
}

} // namespace sluice::test::read_turns_test
