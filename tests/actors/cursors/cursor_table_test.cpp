#include "actors/cursors/cursor_table.hpp"

#include "tests/support/fake_clock.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::cursor_table_test {

using std::chrono::milliseconds;

namespace {

struct table_bench {
  fake_clock time;
  cursor_table table{{4, 2, 2, milliseconds{10'000}, milliseconds{60'000}}, 100};

  uint64_t open(std::string agent, milliseconds timeout = milliseconds{5'000}) {
    open_cursor x;
    x.request.db = "app.db";
    x.request.agent = std::move(agent);
    x.request.limits = {10, 1'000, timeout};
    x.request.cancel = cancel_token::make();
    x.ended = x.request.cancel.derive();
    return table.open(std::move(x), time.now());
  }

  std::vector<uint64_t> started() {
    std::vector<uint64_t> result;
    for (const auto& x : table.take_starts(time.now()))
      result.push_back(x.id);
    return result;
  }

  uint64_t open_idle(std::string agent) {
    auto id = open(std::move(agent));
    started();
    page_made(id);
    return id;
  }

  void page_made(uint64_t id) {
    table.freed(id);
    table.answered(id, 1, time.now());
  }

  std::vector<errc> due() {
    std::vector<errc> result;
    for (const auto& x : table.end_due(time.now()))
      result.push_back(x.why->code);
    return result;
  }
};

using ids = std::vector<uint64_t>;
using codes = std::vector<errc>;

} // namespace

TEST_CASE("an agent, and all of them together, have a bounded number of cursors") {
  table_bench bench;
  CHECK(!bench.table.why_full("a", 0));
  bench.open("a");
  bench.open("a");
  auto why = bench.table.why_full("a", 2);
  REQUIRE(why);
  CHECK(why->code == errc::overloaded);
  CHECK(why->retry_after_ms > 0);
  CHECK_THAT(why->message, Catch::Contains("max_agent_cursors"));
  CHECK(!bench.table.why_full("b", 2));
  bench.open("b");
  bench.open("c");
  CHECK_THAT(bench.table.why_full("d", 4)->message, Catch::Contains("max_cursors"));
}

TEST_CASE("connections that are not closed yet count as cursors") {
  table_bench bench;
  CHECK(bench.table.why_full("a", 4));
}

TEST_CASE("as many pages are made at once as there are threads, for agents by turns") {
  table_bench bench;
  auto a1 = bench.open("a");
  auto a2 = bench.open("a");
  bench.time.advance(milliseconds{1});
  auto b = bench.open("b");
  CHECK(bench.started() == ids{a1, b});
  CHECK(bench.started().empty());
  bench.page_made(b);
  CHECK(bench.started().empty());
  bench.page_made(a1);
  CHECK(bench.started() == ids{a2});
}

TEST_CASE("an agent and a process leave a thread to others") {
  fake_clock time;
  cursor_table table{{16, 8, 3, milliseconds{10'000}, milliseconds{60'000}}, 100};
  auto open = [&](std::string agent, uint32_t pid) {
    open_cursor x;
    x.request.agent = std::move(agent);
    x.request.peer.pid = static_cast<decltype(x.request.peer.pid)>(pid);
    x.request.limits.timeout = milliseconds{50'000};
    x.request.cancel = cancel_token::make();
    return table.open(std::move(x), time.now());
  };
  auto started = [&] {
    ids result;
    for (const auto& x : table.take_starts(time.now()))
      result.push_back(x.id);
    return result;
  };
  auto first = open("a", 7);
  auto second = open("b", 7);
  open("c", 7);
  CHECK(started() == ids{first, second});
  auto other = open("c", 8);
  CHECK(started() == ids{other});
  CHECK(started().empty());
}

TEST_CASE("a client may take as long for a page as it says, up to the life of its cursor") {
  table_bench bench;
  open_cursor x;
  x.request.agent = "a";
  x.request.limits.timeout = milliseconds{1'000};
  x.request.limits.idle = milliseconds{100'000};
  x.request.cancel = cancel_token::make();
  auto id = bench.table.open(std::move(x), bench.time.now());
  CHECK(bench.started() == ids{id});
  bench.page_made(id);
  bench.time.advance(milliseconds{59'999});
  CHECK(bench.due().empty());
  bench.time.advance(milliseconds{1});
  CHECK(bench.due() == codes{errc::deadline_exceeded});
}

TEST_CASE("a thread that works for a cursor that has ended is not free") {
  table_bench bench;
  auto a = bench.open("a");
  bench.open("b");
  auto c = bench.open("c");
  bench.started();
  bench.table.end(a, std::nullopt);
  CHECK(bench.started().empty());
  bench.table.freed(a);
  CHECK(bench.started() == ids{c});
}

TEST_CASE("a cursor ends when nobody asks for its next page, and says so to who asks late") {
  table_bench bench;
  auto id = bench.open_idle("a");
  bench.time.advance(milliseconds{9'999});
  CHECK(bench.due().empty());
  CHECK(bench.table.next_look() == bench.time.now() + milliseconds{1});
  bench.time.advance(milliseconds{1});
  CHECK(bench.due() == codes{errc::deadline_exceeded});
  CHECK_THAT(bench.table.ask(id, bench.time.now())->message, Catch::Contains("cursor_idle_ms"));
  CHECK(bench.table.ask(id, bench.time.now())->code == errc::invalid_request);
}

TEST_CASE("a cursor ends at its age, however busy it is") {
  table_bench bench;
  auto id = bench.open_idle("a");
  for (auto i = 0; i < 12; ++i) {
    bench.time.advance(milliseconds{4'999});
    CHECK(bench.due().empty());
    CHECK(!bench.table.ask(id, bench.time.now()));
    bench.started();
    bench.page_made(id);
  }
  bench.time.advance(milliseconds{12});
  REQUIRE(bench.due() == codes{errc::deadline_exceeded});
  CHECK_THAT(bench.table.ask(id, bench.time.now())->message, Catch::Contains("cursor_lifetime_ms"));
}

TEST_CASE("a page has to be there at its time-out, whether it waits or is made") {
  table_bench bench;
  bench.open("a", milliseconds{100});
  bench.open("b", milliseconds{200});
  bench.open("c", milliseconds{300});
  bench.started();
  bench.time.advance(milliseconds{100});
  CHECK(bench.due() == codes{errc::deadline_exceeded});
  bench.time.advance(milliseconds{200});
  CHECK(bench.due() == codes{errc::deadline_exceeded, errc::deadline_exceeded});
}

TEST_CASE("one page of a cursor is asked for at a time") {
  table_bench bench;
  auto id = bench.open("a");
  CHECK(bench.table.ask(id, bench.time.now())->code == errc::invalid_request);
  CHECK(bench.table.ask(1, bench.time.now())->code == errc::invalid_request);
  bench.started();
  CHECK(bench.table.ask(id, bench.time.now())->code == errc::invalid_request);
  bench.page_made(id);
  CHECK(!bench.table.ask(id, bench.time.now()));
}

TEST_CASE("a cursor whose file was locked before its first page is tried again until its time-out") {
  table_bench bench;
  auto id = bench.open("a", milliseconds{120});
  bench.started();
  bench.table.freed(id);
  CHECK(bench.table.try_later(id, bench.time.now()));
  CHECK(bench.started().empty());
  bench.time.advance(milliseconds{50});
  CHECK(bench.started() == ids{id});
  bench.table.freed(id);
  CHECK(bench.table.try_later(id, bench.time.now()));
  bench.time.advance(milliseconds{50});
  bench.started();
  bench.table.freed(id);
  CHECK(!bench.table.try_later(id, bench.time.now()));
  auto other = bench.open_idle("b");
  CHECK(!bench.table.try_later(other, bench.time.now()));
}

TEST_CASE("the cursors of one database end together, and others stay") {
  table_bench bench;
  auto mine = bench.open_idle("a");
  auto other = bench.open_idle("b");
  bench.table.find(other)->what.request.db = "other.db";
  failure why;
  why.code = errc::unavailable;
  why.message = "the log is too large";
  std::string db = "app.db";
  CHECK(bench.table.end_all(&db, why, false).size() == 1);
  CHECK(bench.table.ask(mine, bench.time.now())->message == why.message);
  CHECK(!bench.table.ask(other, bench.time.now()));
}

TEST_CASE("a cursor ends when its client cancels it") {
  table_bench bench;
  auto id = bench.open_idle("a");
  bench.table.find(id)->what.request.cancel.cancel();
  CHECK(bench.due() == codes{errc::cancelled});
}

TEST_CASE("an open cursor is listed with its rows") {
  table_bench bench;
  bench.open_idle("a");
  bench.time.advance(milliseconds{30});
  auto all = bench.table.list(bench.time.now());
  REQUIRE(all.size() == 1);
  CHECK(all[0].operation == "cursor");
  CHECK(all[0].rows == 1);
  CHECK(all[0].since_ms == 30);
  CHECK(!all[0].is_running);
}

} // namespace sluice::test::cursor_table_test
