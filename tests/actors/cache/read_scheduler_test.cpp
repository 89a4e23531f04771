#include "tests/support/read_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::read_scheduler_test {

using namespace std::chrono_literals;

namespace {

/// Runs the statement once, so that the scheduler knows its tables.
void teach(read_fixture& b, const std::string& sql, std::vector<std::string> tables, bool deterministic = true) {
  b.submit("teach " + sql, sql);
  b.finish(0, b.answer_of(0, std::move(tables), deterministic));
  b.hits.clear();
}

} // namespace

TEST_CASE("a read runs on an idle reader, and its answer is cached") {
  read_fixture b;
  b.add_readers();
  b.submit("a", "q");
  REQUIRE(b.running.size() == 1);
  b.finish(0, b.answer_of(7, {"t"}));
  CHECK(b.cell("a") == 7);
  CHECK(b.source("a") == read_source::database);
  CHECK(b.answers.at("a")->as_of_seq == 10);
  CHECK(b.hit("q"));
  CHECK(b.scheduler.misses() == 1);
}

TEST_CASE("reads without an idle reader wait in order, and more readers are requested") {
  read_fixture b;
  b.add_readers();
  b.submit("a", "q1");
  CHECK(b.wants_readers.empty());
  b.submit("b", "q2");
  b.submit("c", "q3");
  CHECK(b.wants_readers.size() == 2);
  CHECK(b.running.size() == 1);
  b.add_readers();
  REQUIRE(b.running.size() == 2);
  CHECK(b.running[1].request.request_id == "b");
  b.finish(0, b.answer_of(1, {"t"}));
  REQUIRE(b.running.size() == 2);
  CHECK(b.running[1].request.request_id == "c");
}

TEST_CASE("identical reads that wait for a reader share one query, whatever was written meanwhile") {
  read_fixture b;
  b.submit("a", "q");
  commit_to(b.context.versions(), {"t"});
  b.submit("b", "q");
  b.add_readers(2);
  REQUIRE(b.running.size() == 1);
  b.finish(0, b.answer_of(7, {"t"}));
  CHECK(b.source("a") == read_source::database);
  CHECK(b.source("b") == read_source::joined);
  CHECK(b.cell("b") == 7);
  CHECK(b.answers.at("b")->as_of_seq == 11);
  CHECK(b.scheduler.joined() == 1);
}

TEST_CASE("a read joins a flight under way when nothing has been written since it began") {
  read_fixture b;
  b.add_readers(2);
  b.submit("a", "q");
  b.submit("b", "q");
  CHECK(b.running.size() == 1);
}

TEST_CASE("a read never joins a flight that began before a write to a table that it reads") {
  read_fixture b;
  b.add_readers(2);
  teach(b, "q", {"t"});
  b.submit("a", "q");
  commit_to(b.context.versions(), {"t"});
  b.submit("b", "q");
  REQUIRE(b.running.size() == 2);
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(!b.answered("b"));
  CHECK(!b.hit("q"));
  b.finish(0, b.answer_of(2, {"t"}));
  CHECK(b.cell("a") == 1);
  CHECK(b.cell("b") == 2);
  CHECK(*b.hit("q")->rows->at(0, 0).integer() == 2);
}

TEST_CASE("a write to an unrelated table does not keep reads with known tables from sharing a query") {
  read_fixture b;
  b.add_readers(2);
  teach(b, "q", {"t"});
  b.submit("a", "q");
  commit_to(b.context.versions(), {"other"});
  b.submit("b", "q");
  CHECK(b.running.size() == 1);
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(b.source("b") == read_source::joined);
  CHECK(b.hit("q"));
}

TEST_CASE("while the tables of a statement are unknown, any write keeps its reads from sharing a query") {
  read_fixture b;
  b.add_readers(2);
  auto forgotten = GENERATE(false, true);
  if (forgotten) {
    teach(b, "q", {"t"});
    b.scheduler.forget_statements();
  }
  b.submit("a", "q");
  commit_to(b.context.versions(), {"other"});
  b.submit("b", "q");
  CHECK(b.running.size() == 2);
}

TEST_CASE("no read joins while a COMMIT is under way, nor a query that began during one") {
  read_fixture b;
  b.add_readers(3);
  teach(b, "q", {"t"});
  std::vector<std::string> other{"other"};
  commit_window window{b.context.versions(), other, false};
  b.submit("a", "q");
  b.submit("b", "q");
  CHECK(b.running.size() == 2);
  window.close();
  b.submit("c", "q");
  CHECK(b.running.size() == 3);
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(!b.hit("q"));
}

TEST_CASE("an answer that arrives during a COMMIT to its table is delivered but not cached") {
  read_fixture b;
  b.add_readers();
  b.submit("a", "q");
  std::vector<std::string> tables{"t"};
  commit_window window{b.context.versions(), tables, false};
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(b.cell("a") == 1);
  window.close();
  CHECK(!b.hit("q"));
}

TEST_CASE("the answer of a non-deterministic statement is neither shared nor cached") {
  read_fixture b;
  b.add_readers(3);
  b.submit("a", "random");
  b.submit("b", "random");
  b.submit("c", "random");
  REQUIRE(b.running.size() == 1);
  b.finish(0, b.answer_of(1, {}, false));
  CHECK(b.cell("a") == 1);
  CHECK(!b.answered("b"));
  REQUIRE(b.running.size() == 2);
  b.finish(0, b.answer_of(2, {}, false));
  b.finish(0, b.answer_of(3, {}, false));
  CHECK(b.cell("b") == 2);
  CHECK(b.cell("c") == 3);
  CHECK(b.source("c") == read_source::database);
  CHECK(!b.hit("random"));
  b.submit("d", "random");
  b.submit("e", "random");
  CHECK(b.running.size() == 2);
}

TEST_CASE("waiting reads of a non-deterministic statement share no query") {
  read_fixture b;
  b.add_readers(1);
  teach(b, "random", {}, false);
  b.submit("other", "q");
  b.submit("a", "random");
  b.submit("b", "random");
  b.finish(0, b.answer_of(0, {"t"}));
  b.finish(0, b.answer_of(1, {}, false));
  CHECK(!b.answered("b"));
  b.finish(0, b.answer_of(2, {}, false));
  CHECK(b.cell("b") == 2);
}

TEST_CASE("only reads with the same parameters and limits share a query") {
  read_fixture b;
  b.add_readers(6);
  b.submit("a", "q", {1});
  b.submit("b", "q", {1.0});
  b.submit("c", "q", {"1"});
  auto request = a_read("d", "q", {1});
  request.limits.max_rows = 1;
  b.submit(request);
  database_context other{"app.db"};
  other.open({});
  read_scheduler::effects out;
  b.scheduler.submit(other, a_read("e", "q", {1}), {}, out);
  CHECK(b.scheduler.joined() == 0);
  CHECK(b.running.size() == 4);
}

TEST_CASE("a fresh read shares no query and is not cached") {
  read_fixture b;
  b.add_readers(3);
  b.submit("a", "q");
  auto request = a_read("alone", "q");
  request.freshness = freshness::fresh;
  b.submit(request);
  b.submit("b", "q");
  REQUIRE(b.running.size() == 2);
  b.hits.clear();
  b.finish(1, b.answer_of(1, {"t"}));
  CHECK(b.answered("alone"));
  CHECK(!b.answered("b"));
  CHECK(!b.hit("q"));
}

TEST_CASE("a full queue refuses at once with retry_after") {
  read_fixture b{2};
  b.submit("a", "q1");
  b.submit("b", "q2");
  b.submit("joins", "q2");
  b.submit("c", "q3");
  CHECK(b.failure_of("c").code == errc::overloaded);
  CHECK(b.failure_of("c").retry_after_ms > 0);
  CHECK(b.failure_of("c").request_id == "c");
  CHECK(!b.answered("joins"));
}

TEST_CASE("a read whose time-out passes in the queue is not run, and the wait counts towards the time-out") {
  read_fixture b;
  auto hasty = a_read("hasty", "q");
  hasty.limits.timeout = 10ms;
  b.submit(hasty);
  b.submit("patient", "q");
  auto alone = a_read("alone", "q2");
  alone.limits.timeout = 10ms;
  b.submit(alone);
  b.time.advance(1s);
  b.add_readers(2);
  CHECK(b.failure_of("hasty").code == errc::deadline_exceeded);
  CHECK(b.failure_of("alone").code == errc::deadline_exceeded);
  REQUIRE(b.running.size() == 1);
  CHECK(b.running[0].request.request_id == "patient");
  CHECK(b.running[0].request.limits.timeout == 4s);
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(b.cell("patient") == 1);
}

TEST_CASE("reads that the end of the broker cuts short are not said to be late") {
  read_fixture b;
  b.add_readers(1);
  b.submit("runs", "q");
  b.submit("waits", "q2");
  auto hasty = a_read("hasty", "q3");
  hasty.limits.timeout = 10ms;
  b.submit(hasty);
  read_scheduler::effects out;
  b.scheduler.drain(1s, out);
  b.apply(std::move(out));
  b.pass(2s);
  CHECK(b.failure_of("runs").code == errc::unavailable);
  CHECK(b.failure_of("waits").code == errc::unavailable);
  CHECK(b.failure_of("hasty").code == errc::deadline_exceeded);
}

TEST_CASE("a joined read is not failed by the shorter time-out of the one that runs the query") {
  read_fixture b;
  b.add_readers(2);
  auto hasty = a_read("hasty", "q");
  hasty.limits.timeout = 10ms;
  b.submit(hasty);
  b.submit("patient", "q");
  REQUIRE(b.running.size() == 1);
  b.time.advance(10ms);
  b.finish(0, make_error(errc::deadline_exceeded, "interrupted"));
  CHECK(b.failure_of("hasty").code == errc::deadline_exceeded);
  CHECK(!b.answered("patient"));
  REQUIRE(b.running.size() == 1);
  b.time.advance(5s);
  b.finish(0, make_error(errc::deadline_exceeded, "interrupted"));
  CHECK(b.failure_of("patient").code == errc::deadline_exceeded);
  CHECK(b.running.empty());
}

TEST_CASE("a read that is cancelled while it waits is not run") {
  read_fixture b;
  auto request = a_read("a", "q");
  request.cancel = cancel_token::make();
  b.submit(request);
  request.cancel.cancel();
  b.add_readers();
  CHECK(b.running.empty());
  CHECK(b.failure_of("a").code == errc::cancelled);
}

TEST_CASE("a failed query fails all callers that share it, each under its own id, and its reader runs the next one") {
  read_fixture b;
  b.add_readers();
  b.submit("a", "q");
  b.submit("b", "q");
  b.submit("c", "q2");
  b.finish(0, make_error(errc::sql_error, "no such table"));
  CHECK(b.failure_of("a").code == errc::sql_error);
  CHECK(b.failure_of("b").code == errc::sql_error);
  CHECK(b.failure_of("b").request_id == "b");
  CHECK(b.running.size() == 1);
}

TEST_CASE("a read as new as a commit that has not happened is refused, and any older one served") {
  read_fixture b;
  b.add_readers();
  auto request = a_read("future", "q");
  request.min_seq = 11;
  b.submit(request);
  CHECK(b.failure_of("future").code == errc::invalid_request);
  request = a_read("now", "q");
  request.min_seq = 10;
  b.submit(request);
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(b.answers.at("now")->as_of_seq >= 10);
}

TEST_CASE("reads of a database that is closed are refused with its reason") {
  read_fixture b;
  b.context.close(describe(make_error(errc::unavailable, "in quarantine")), true);
  b.submit("a", "q");
  CHECK(b.failure_of("a").code == errc::unavailable);
  CHECK(b.failure_of("a").message == "in quarantine");
}

TEST_CASE("abandoning answers all waiting callers, running or not") {
  read_fixture b;
  b.add_readers();
  b.submit("a", "q");
  b.submit("b", "q");
  b.submit("c", "q2");
  read_scheduler::effects out;
  b.scheduler.abandon(out);
  b.apply(std::move(out));
  for (auto* id : {"a", "b", "c"})
    CHECK(b.failure_of(id).code == errc::unavailable);
  b.finish(0, b.answer_of(1, {"t"}));
}

TEST_CASE("every read has one audit record, refused ones as well") {
  read_fixture b{1};
  auto request = a_read("a", "q");
  request.correlation_id = "trace";
  request.peer = {1000, 42};
  b.submit(request);
  b.submit("b", "q");
  b.submit("refused", "q2");
  b.time.advance(2ms);
  b.add_readers();
  b.finish(0, b.answer_of(1, {"t"}));
  REQUIRE(b.records.size() == 3);
  CHECK(b.records[0].status == "overloaded");
  const auto& r = b.records[1];
  CHECK(r.type == request_type::read);
  CHECK(r.key == read_fingerprint(request.query));
  CHECK(r.agent == "a");
  CHECK(r.status == "ok");
  CHECK(r.latency_us == 2'000);
  CHECK(r.commit_seq == 10);
  CHECK(r.correlation_id == "trace");
  CHECK(r.peer.pid == 42);
}

} // namespace sluice::test::read_scheduler_test
