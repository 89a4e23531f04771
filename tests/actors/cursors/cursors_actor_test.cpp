#include "actors/cursors/cursor_reader.hpp"
#include "actors/cursors/cursors.hpp"
#include "tests/support/actor_bench.hpp"
#include "tests/support/fake_cursor_store.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::cursors_actor_test {

using std::chrono::milliseconds;

namespace {

struct cursors_bench : actor_bench {
  told log;
  fake_pages pages;
  bool spawning_fails = false;
  std::vector<cursor_reader_actor> readers;
  cursors_actor aut;

  cursors_bench() {
    actors->set(sys.spawn(audit_stub, &log));
    cursors_parts parts;
    parts.spawn_reader = [this](const std::string&, const statement&) {
      if (spawning_fails)
        throw std::runtime_error("no memory");
      auto own = std::make_shared<cursor_reader_parts>();
      own->store = std::make_unique<fake_cursor_store>(pages);
      return readers.emplace_back(sys.spawn(cursor_reader, std::move(own)));
    };
    parts.actors = actors;
    parts.time = &time;
    parts.limits = {4, 2, 2, milliseconds{10'000}, milliseconds{60'000}};
    aut = sys.spawn(cursors, std::move(parts));
    actors->set(aut);
    run();
  }

  ~cursors_bench() { readers.clear(); }

  answer<cursor_page> ask_open(std::string agent = "a", cancel_token cancel = {}) {
    open_cursor x;
    x.request.db = "app.db";
    x.request.agent = std::move(agent);
    x.request.limits = {10, 1'000, milliseconds{5'000}};
    x.request.received = time.now();
    x.request.cancel = std::move(cancel);
    x.as_of_seq = 7;
    return ask<cursor_page>(aut, x);
  }

  uint64_t open() {
    auto page = ask_open();
    run();
    REQUIRE(ok(page));
    return (**page)->cursor;
  }

  answer<cursor_page> next(uint64_t id) {
    auto page = ask<cursor_page>(aut, next_page{id});
    run();
    return page;
  }

  std::vector<std::string> statuses() const {
    std::vector<std::string> result;
    for (const auto& x : log.records)
      result.push_back(x.status);
    return result;
  }
};

using words = std::vector<std::string>;

} // namespace

TEST_CASE("a cursor answers page by page, and is closed and on record when it ends") {
  cursors_bench bench;
  auto first = bench.ask_open();
  bench.run();
  REQUIRE(ok(first));
  CHECK((**first)->as_of_seq == 7);
  CHECK((**first)->rows->size() == 1);
  bench.pages.then_ends();
  auto last = bench.next((**first)->cursor);
  REQUIRE(ok(last));
  CHECK((**last)->is_last);
  CHECK(bench.pages.open_stores == 0);
  CHECK(bench.statuses() == words{"ok"});
  CHECK(bench.log.records[0].type == request_type::cursor_open);
  CHECK(why(bench.next((**first)->cursor)).code == errc::invalid_request);
}

TEST_CASE("any error ends a cursor, but that the memory for answers is used up") {
  cursors_bench bench;
  auto id = bench.open();
  bench.pages.then_fails(errc::overloaded);
  CHECK(why(bench.next(id)).code == errc::overloaded);
  CHECK(ok(bench.next(id)));
  bench.pages.then_fails(errc::file_replaced);
  CHECK(why(bench.next(id)).code == errc::file_replaced);
  CHECK(bench.pages.open_stores == 0);
  CHECK(bench.statuses() == words{"file_replaced"});
}

TEST_CASE("a first page that fails leaves no cursor") {
  cursors_bench bench;
  bench.pages.then_fails(errc::overloaded);
  auto page = bench.ask_open();
  bench.run();
  CHECK(why(page).code == errc::overloaded);
  CHECK(bench.pages.open_stores == 0);
}

TEST_CASE("a file that another program has locked is tried again until the time-out of the first page") {
  cursors_bench bench;
  for (auto i = 0; i < 3; ++i)
    bench.pages.then_fails(errc::busy);
  auto page = bench.ask_open();
  bench.run();
  CHECK(!page->has_value());
  for (auto i = 0; i < 3; ++i)
    bench.advance(milliseconds{50});
  CHECK(ok(page));
}

TEST_CASE("a cursor that nobody asks for pages is closed") {
  cursors_bench bench;
  auto id = bench.open();
  bench.advance(milliseconds{10'000});
  CHECK(bench.pages.open_stores == 0);
  CHECK(why(bench.next(id)).code == errc::deadline_exceeded);
  CHECK(bench.statuses() == words{"deadline_exceeded"});
}

TEST_CASE("cursors beyond the bounds, and without memory for them, are refused and on record") {
  cursors_bench bench;
  bench.open();
  bench.open();
  auto third = bench.ask_open();
  bench.run();
  CHECK(why(third).code == errc::overloaded);
  bench.spawning_fails = true;
  auto other = bench.ask_open("b");
  bench.run();
  CHECK(why(other).code == errc::unavailable);
  CHECK(bench.statuses() == words{"overloaded", "unavailable"});
}

TEST_CASE("a cancelled cursor is closed as soon as somebody says so") {
  cursors_bench bench;
  auto cancel = cancel_token::make();
  auto page = bench.ask_open("a", cancel);
  bench.run();
  REQUIRE(ok(page));
  cancel.cancel();
  caf::anon_send(bench.aut, caf::tick_atom_v);
  bench.run();
  CHECK(bench.pages.open_stores == 0);
  CHECK(bench.pages.last_cancel.cancelled());
  CHECK(why(bench.next((**page)->cursor)).code == errc::cancelled);
}

TEST_CASE("the cursors of a database can be ended, and their clients are told why") {
  cursors_bench bench;
  auto id = bench.open();
  failure reason;
  reason.code = errc::unavailable;
  reason.message = "the log is too large";
  bench.actors->end_cursors_of("other.db", reason);
  bench.run();
  CHECK(bench.pages.open_stores == 1);
  bench.actors->end_cursors_of("app.db", reason);
  bench.run();
  CHECK(bench.pages.open_stores == 0);
  CHECK(why(bench.next(id)).message == "the log is too large");
}

TEST_CASE("a reader that fails costs its own cursor alone") {
  cursors_bench bench;
  auto id = bench.open();
  auto other = bench.open();
  bench.kill(bench.readers.front());
  CHECK(why(bench.next(id)).code == errc::unavailable);
  CHECK(ok(bench.next(other)));
}

TEST_CASE("a draining broker opens no cursor and ends those that are open") {
  cursors_bench bench;
  auto id = bench.open();
  caf::anon_send(bench.aut, drain_atom{});
  bench.run();
  CHECK(bench.pages.open_stores == 0);
  CHECK(why(bench.next(id)).code == errc::unavailable);
  auto late = bench.ask_open("b");
  bench.run();
  CHECK(why(late).code == errc::unavailable);
}

TEST_CASE("closing answers when every connection is closed") {
  cursors_bench bench;
  bench.open();
  auto closed = bench.ask<caf::ok_atom>(bench.aut, caf::close_atom_v);
  bench.run();
  CHECK(ok(closed));
  CHECK(bench.pages.open_stores == 0);
}

} // namespace sluice::test::cursors_actor_test
