#include "actors/cursors/cursor_table.hpp"

#include "tests/support/fake_clock.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::cursor_table_test {

using std::chrono::milliseconds;

namespace {

struct table_fixture {
  fake_clock time;
  cursor_table table{{4, 2, 2, milliseconds{10'000}, milliseconds{60'000}}, 100};

  uint64_t open(std::string agent, milliseconds timeout = milliseconds{5'000}) {
    open_cursor cursor;
    cursor.request.db = "app.db";
    cursor.request.agent = std::move(agent);
    cursor.request.limits = {10, 1'000, timeout};
    cursor.request.cancel = cancel_token::make();
    cursor.ended = cursor.request.cancel.derive();
    return table.open(std::move(cursor), time.now());
  }

  std::vector<uint64_t> started() {
    std::vector<uint64_t> result;
    for (const auto& start : table.take_starts(time.now()))
      result.push_back(start.id);
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
    for (const auto& each : table.end_due(time.now()))
      result.push_back(each.error->code);
    return result;
  }
};

using ids = std::vector<uint64_t>;
using codes = std::vector<errc>;

} // namespace

TEST_CASE("the cursors of one agent and of all agents are bounded") {
  table_fixture fixture;
  CHECK(!fixture.table.capacity_error("a", 0));
  fixture.open("a");
  fixture.open("a");
  auto error = fixture.table.capacity_error("a", 2);
  REQUIRE(error);
  CHECK(error->code == errc::overloaded);
  CHECK(error->retry_after_ms > 0);
  CHECK_THAT(error->message, Catch::Contains("max_agent_cursors"));
  CHECK(!fixture.table.capacity_error("b", 2));
  fixture.open("b");
  fixture.open("c");
  CHECK_THAT(fixture.table.capacity_error("d", 4)->message, Catch::Contains("max_cursors"));
}

TEST_CASE("connections that are not closed yet count as cursors") {
  table_fixture fixture;
  CHECK(fixture.table.capacity_error("a", 4));
}

TEST_CASE("one page per thread is made at a time, for agents by turns") {
  table_fixture fixture;
  auto a1 = fixture.open("a");
  auto a2 = fixture.open("a");
  fixture.time.advance(milliseconds{1});
  auto b = fixture.open("b");
  CHECK(fixture.started() == ids{a1, b});
  CHECK(fixture.started().empty());
  fixture.page_made(b);
  CHECK(fixture.started().empty());
  fixture.page_made(a1);
  CHECK(fixture.started() == ids{a2});
}

TEST_CASE("an agent and a process leave a thread to others") {
  fake_clock time;
  cursor_table table{{16, 8, 3, milliseconds{10'000}, milliseconds{60'000}}, 100};
  auto open = [&](std::string agent, uint32_t pid) {
    open_cursor cursor;
    cursor.request.agent = std::move(agent);
    cursor.request.peer.pid = static_cast<decltype(cursor.request.peer.pid)>(pid);
    cursor.request.limits.timeout = milliseconds{50'000};
    cursor.request.cancel = cancel_token::make();
    return table.open(std::move(cursor), time.now());
  };
  auto started = [&] {
    ids result;
    for (const auto& start : table.take_starts(time.now()))
      result.push_back(start.id);
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

TEST_CASE("a client may set the idle time of its cursor, up to the cursor's lifetime") {
  table_fixture fixture;
  open_cursor cursor;
  cursor.request.agent = "a";
  cursor.request.limits.timeout = milliseconds{1'000};
  cursor.request.limits.idle = milliseconds{100'000};
  cursor.request.cancel = cancel_token::make();
  auto id = fixture.table.open(std::move(cursor), fixture.time.now());
  CHECK(fixture.started() == ids{id});
  fixture.page_made(id);
  fixture.time.advance(milliseconds{59'999});
  CHECK(fixture.due().empty());
  fixture.time.advance(milliseconds{1});
  CHECK(fixture.due() == codes{errc::deadline_exceeded});
}

TEST_CASE("a thread that works for an ended cursor still counts as used") {
  table_fixture fixture;
  auto a = fixture.open("a");
  fixture.open("b");
  auto c = fixture.open("c");
  fixture.started();
  fixture.table.end(a, std::nullopt);
  CHECK(fixture.started().empty());
  fixture.table.freed(a);
  CHECK(fixture.started() == ids{c});
}

TEST_CASE("a cursor ends when its next page is not requested in time, and a late request gets the reason") {
  table_fixture fixture;
  auto id = fixture.open_idle("a");
  fixture.time.advance(milliseconds{9'999});
  CHECK(fixture.due().empty());
  CHECK(fixture.table.next_deadline() == fixture.time.now() + milliseconds{1});
  fixture.time.advance(milliseconds{1});
  CHECK(fixture.due() == codes{errc::deadline_exceeded});
  CHECK_THAT(fixture.table.ask(id, fixture.time.now())->message, Catch::Contains("cursor_idle_ms"));
  CHECK(fixture.table.ask(id, fixture.time.now())->code == errc::invalid_request);
}

TEST_CASE("a cursor ends at its age, however busy it is") {
  table_fixture fixture;
  auto id = fixture.open_idle("a");
  for (auto i = 0; i < 12; ++i) {
    fixture.time.advance(milliseconds{4'999});
    CHECK(fixture.due().empty());
    CHECK(!fixture.table.ask(id, fixture.time.now()));
    fixture.started();
    fixture.page_made(id);
  }
  fixture.time.advance(milliseconds{12});
  REQUIRE(fixture.due() == codes{errc::deadline_exceeded});
  CHECK_THAT(fixture.table.ask(id, fixture.time.now())->message, Catch::Contains("cursor_lifetime_ms"));
}

TEST_CASE("a page fails at its time-out, waiting or being made") {
  table_fixture fixture;
  fixture.open("a", milliseconds{100});
  fixture.open("b", milliseconds{200});
  fixture.open("c", milliseconds{300});
  fixture.started();
  fixture.time.advance(milliseconds{100});
  CHECK(fixture.due() == codes{errc::deadline_exceeded});
  fixture.time.advance(milliseconds{200});
  CHECK(fixture.due() == codes{errc::deadline_exceeded, errc::deadline_exceeded});
}

TEST_CASE("a second request for a page of the same cursor is refused") {
  table_fixture fixture;
  auto id = fixture.open("a");
  CHECK(fixture.table.ask(id, fixture.time.now())->code == errc::invalid_request);
  CHECK(fixture.table.ask(1, fixture.time.now())->code == errc::invalid_request);
  fixture.started();
  CHECK(fixture.table.ask(id, fixture.time.now())->code == errc::invalid_request);
  fixture.page_made(id);
  CHECK(!fixture.table.ask(id, fixture.time.now()));
}

TEST_CASE("a cursor whose file was locked before its first page is tried again until its time-out") {
  table_fixture fixture;
  auto id = fixture.open("a", milliseconds{120});
  fixture.started();
  fixture.table.freed(id);
  CHECK(fixture.table.try_later(id, fixture.time.now()));
  CHECK(fixture.started().empty());
  fixture.time.advance(milliseconds{50});
  CHECK(fixture.started() == ids{id});
  fixture.table.freed(id);
  CHECK(fixture.table.try_later(id, fixture.time.now()));
  fixture.time.advance(milliseconds{50});
  fixture.started();
  fixture.table.freed(id);
  CHECK(!fixture.table.try_later(id, fixture.time.now()));
  auto other = fixture.open_idle("b");
  CHECK(!fixture.table.try_later(other, fixture.time.now()));
}

TEST_CASE("the cursors of one database end together, and others stay") {
  table_fixture fixture;
  auto mine = fixture.open_idle("a");
  auto other = fixture.open_idle("b");
  fixture.table.find(other)->opening.request.db = "other.db";
  failure error;
  error.code = errc::unavailable;
  error.message = "the log is too large";
  std::string db = "app.db";
  CHECK(fixture.table.end_all(&db, error, false).size() == 1);
  CHECK(fixture.table.ask(mine, fixture.time.now())->message == error.message);
  CHECK(!fixture.table.ask(other, fixture.time.now()));
}

TEST_CASE("a cursor ends when its client cancels it") {
  table_fixture fixture;
  auto id = fixture.open_idle("a");
  fixture.table.find(id)->opening.request.cancel.cancel();
  CHECK(fixture.due() == codes{errc::cancelled});
}

TEST_CASE("an open cursor is listed with its rows") {
  table_fixture fixture;
  fixture.open_idle("a");
  fixture.time.advance(milliseconds{30});
  auto all = fixture.table.list(fixture.time.now());
  REQUIRE(all.size() == 1);
  CHECK(all[0].operation == "cursor");
  CHECK(all[0].rows == 1);
  CHECK(all[0].since_ms == 30);
  CHECK(!all[0].is_running);
}

} // namespace sluice::test::cursor_table_test
