#include "actors/cursors/cursor_reader.hpp"
#include "actors/cursors/cursors.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fake_cursor_store.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::cursors_actor_test {

using std::chrono::milliseconds;

namespace {

struct cursors_fixture : actor_fixture {
  received_messages log;
  fake_pages pages;
  bool spawning_fails = false;
  std::vector<cursor_reader_actor> readers;
  cursors_actor aut;

  cursors_fixture() {
    actors->set(sys.spawn(audit_stub, &log, &actors->audit_records()));
    cursors_dependencies parts;
    parts.spawn_reader = [this](const std::string&, const statement&) {
      if (spawning_fails)
        throw std::runtime_error("no memory");
      auto dependencies = std::make_shared<cursor_reader_dependencies>();
      dependencies->store = std::make_unique<fake_cursor_store>(pages);
      return readers.emplace_back(sys.spawn(cursor_reader, std::move(dependencies)));
    };
    parts.actors = actors;
    parts.time = &time;
    parts.limits = {4, 2, 2, milliseconds{10'000}, milliseconds{60'000}};
    aut = sys.spawn(cursors, std::move(parts));
    actors->set(aut);
    run();
  }

  ~cursors_fixture() { readers.clear(); }

  answer<cursor_page> ask_open(std::string agent = "a", cancel_token cancel = {}) {
    open_cursor cursor;
    cursor.request.db = "app.db";
    cursor.request.agent = std::move(agent);
    cursor.request.limits = {10, 1'000, milliseconds{5'000}};
    cursor.request.received = time.now();
    cursor.request.cancel = std::move(cancel);
    cursor.as_of_seq = 7;
    return ask<cursor_page>(aut, cursor);
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
    for (const auto& record : log.records)
      result.push_back(record.status);
    return result;
  }
};

using words = std::vector<std::string>;

} // namespace

TEST_CASE("a cursor answers page by page, and is closed and audited at its end") {
  cursors_fixture fixture;
  auto first = fixture.ask_open();
  fixture.run();
  REQUIRE(ok(first));
  CHECK((**first)->as_of_seq == 7);
  CHECK((**first)->rows->size() == 1);
  fixture.pages.then_ends();
  auto last = fixture.next((**first)->cursor);
  REQUIRE(ok(last));
  CHECK((**last)->is_last);
  CHECK(fixture.pages.open_stores == 0);
  CHECK(fixture.statuses() == words{"ok"});
  CHECK(fixture.log.records[0].type == request_type::cursor_open);
  CHECK(failure_of(fixture.next((**first)->cursor)).code == errc::invalid_request);
}

TEST_CASE("any error ends a cursor, except a lack of memory for answers") {
  cursors_fixture fixture;
  auto id = fixture.open();
  fixture.pages.then_fails(errc::overloaded);
  CHECK(failure_of(fixture.next(id)).code == errc::overloaded);
  CHECK(ok(fixture.next(id)));
  fixture.pages.then_fails(errc::file_replaced);
  CHECK(failure_of(fixture.next(id)).code == errc::file_replaced);
  CHECK(fixture.pages.open_stores == 0);
  CHECK(fixture.statuses() == words{"file_replaced"});
}

TEST_CASE("a first page that fails leaves no cursor") {
  cursors_fixture fixture;
  fixture.pages.then_fails(errc::overloaded);
  auto page = fixture.ask_open();
  fixture.run();
  CHECK(failure_of(page).code == errc::overloaded);
  CHECK(fixture.pages.open_stores == 0);
}

TEST_CASE("a file that another program has locked is tried again until the time-out of the first page") {
  cursors_fixture fixture;
  for (auto i = 0; i < 3; ++i)
    fixture.pages.then_fails(errc::busy);
  auto page = fixture.ask_open();
  fixture.run();
  CHECK(!page->has_value());
  for (auto i = 0; i < 3; ++i)
    fixture.advance(milliseconds{50});
  CHECK(ok(page));
}

TEST_CASE("an idle cursor is closed") {
  cursors_fixture fixture;
  auto id = fixture.open();
  fixture.advance(milliseconds{10'000});
  CHECK(fixture.pages.open_stores == 0);
  CHECK(failure_of(fixture.next(id)).code == errc::deadline_exceeded);
  CHECK(fixture.statuses() == words{"deadline_exceeded"});
}

TEST_CASE("cursors beyond the bounds or without memory are refused and audited") {
  cursors_fixture fixture;
  fixture.open();
  fixture.open();
  auto third = fixture.ask_open();
  fixture.run();
  CHECK(failure_of(third).code == errc::overloaded);
  fixture.spawning_fails = true;
  auto other = fixture.ask_open("b");
  fixture.run();
  CHECK(failure_of(other).code == errc::unavailable);
  CHECK(fixture.statuses() == words{"overloaded", "unavailable"});
}

TEST_CASE("a cancelled cursor is closed at the next message") {
  cursors_fixture fixture;
  auto cancel = cancel_token::make();
  auto page = fixture.ask_open("a", cancel);
  fixture.run();
  REQUIRE(ok(page));
  cancel.cancel();
  caf::anon_send(fixture.aut, caf::tick_atom_v);
  fixture.run();
  CHECK(fixture.pages.open_stores == 0);
  CHECK(fixture.pages.last_cancel.cancelled());
  CHECK(failure_of(fixture.next((**page)->cursor)).code == errc::cancelled);
}

TEST_CASE("the cursors of a database can be ended, and their clients get the reason") {
  cursors_fixture fixture;
  auto id = fixture.open();
  failure reason;
  reason.code = errc::unavailable;
  reason.message = "the log is too large";
  fixture.actors->end_cursors_of("other.db", reason);
  fixture.run();
  CHECK(fixture.pages.open_stores == 1);
  fixture.actors->end_cursors_of("app.db", reason);
  fixture.run();
  CHECK(fixture.pages.open_stores == 0);
  CHECK(failure_of(fixture.next(id)).message == "the log is too large");
}

TEST_CASE("a reader that fails ends only its own cursor") {
  cursors_fixture fixture;
  auto id = fixture.open();
  auto other = fixture.open();
  fixture.kill(fixture.readers.front());
  CHECK(failure_of(fixture.next(id)).code == errc::unavailable);
  CHECK(ok(fixture.next(other)));
}

TEST_CASE("a draining broker opens no cursor and ends the open ones") {
  cursors_fixture fixture;
  auto id = fixture.open();
  caf::anon_send(fixture.aut, drain_atom{});
  fixture.run();
  CHECK(fixture.pages.open_stores == 0);
  CHECK(failure_of(fixture.next(id)).code == errc::unavailable);
  auto late = fixture.ask_open("b");
  fixture.run();
  CHECK(failure_of(late).code == errc::unavailable);
}

TEST_CASE("closing answers when every connection is closed") {
  cursors_fixture fixture;
  fixture.open();
  auto closed = fixture.ask<caf::ok_atom>(fixture.aut, caf::close_atom_v);
  fixture.run();
  CHECK(ok(closed));
  CHECK(fixture.pages.open_stores == 0);
}

} // namespace sluice::test::cursors_actor_test
