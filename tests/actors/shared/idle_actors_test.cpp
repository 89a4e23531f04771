#include "actors/reader/reader.hpp"
#include "actors/writer/writer.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/group_fixture.hpp"
#include "tests/support/read_fixture.hpp"

#include <catch2/catch.hpp>

// Idle writers and readers close their files and stay alive.
namespace sluice::test::idle_actors_test {

using namespace std::chrono_literals;

namespace {

struct writer_fixture : actor_fixture {
  fake_disk disk;
  received_messages log;
  database_context& context = actors->context("app.db");
  bool is_to_be_closed = false;
  writer_actor aut;

  writer_fixture() {
    actors->set(sys.spawn(cache_stub, &log));
    actors->set(sys.spawn(audit_stub, &log, &actors->audit_records()));
    auto parts = std::make_shared<writer_dependencies>();
    parts->store = std::make_unique<fake_write_store>(disk, time);
    parts->context = &context;
    parts->queue = std::make_shared<write_quota>(write_quota_limits{});
    parts->actors = actors;
    parts->time = &time;
    parts->settings.close_idle_after = 60s;
    parts->is_to_be_closed = [this] { return is_to_be_closed; };
    aut = sys.spawn(writer, parts);
    run();
  }

  ~writer_fixture() {
    kill(aut);
    actors->clear();
    run();
  }

  answer<write_result> write(std::string agent, std::string sql, std::string key = {}) {
    auto result = ask<write_result>(aut, a_write(std::move(agent), {std::move(sql)}, std::move(key)));
    run();
    return result;
  }
};

struct reader_fixture : actor_fixture {
  fake_view view;
  uint64_t idle_notices = 0;
  bool is_to_be_closed = false;
  reader_actor aut;

  explicit reader_fixture(std::chrono::milliseconds close_idle_after) {
    auto parts = std::make_shared<reader_dependencies>();
    parts->store = std::make_unique<fake_read_store>(view);
    parts->time = &time;
    parts->close_idle_after = close_idle_after;
    parts->on_idle_closed = [this] { ++idle_notices; };
    parts->is_to_be_closed = [this] { return is_to_be_closed; };
    aut = sys.spawn(reader, parts);
    run();
  }

  ~reader_fixture() { kill(aut); }

  void read() {
    auto done = ask<read_done>(aut, run_read{1, a_read("a", "q")});
    run();
    REQUIRE(ok(done));
  }
};

} // namespace

TEST_CASE("a writer that has had no request for long closes its file, and the next request opens it again") {
  writer_fixture f;
  f.write("a", "put t 1 x", "key");
  f.advance(1s);
  f.advance(59s);
  CHECK(f.disk.idle_closings == 0);
  f.write("b", "put t 2 x");
  // The timer of the first write finds that there was a second.
  f.advance(1s);
  CHECK(f.disk.idle_closings == 0);
  f.advance(60s);
  CHECK(f.disk.idle_closings == 1);
  CHECK(f.quiet());
  auto again = f.write("a", "put t 1 x", "key");
  REQUIRE(ok(again));
  CHECK((**again)->replayed);
  CHECK(f.context.versions().last_commit() == 2);
}

TEST_CASE("a writer whose file a reader keeps open tries to close it again later") {
  writer_fixture f;
  f.disk.stays_open = true;
  f.write("a", "put t 1 x");
  f.advance(1s);
  f.advance(60s);
  CHECK(f.disk.idle_closings == 1);
  f.disk.stays_open = false;
  f.advance(60s);
  CHECK(f.disk.idle_closings == 2);
  CHECK(f.quiet());
}

TEST_CASE("an idle reader has the writer clean up, which keeps a recently used file open") {
  writer_fixture f;
  caf::anon_send(f.aut, close_idle_atom{}, uint64_t{0});
  f.run();
  CHECK(f.disk.idle_closings == 1);
  f.write("a", "put t 1 x");
  f.write("b", "put t 2 x");
  caf::anon_send(f.aut, close_idle_atom{}, uint64_t{0});
  f.run();
  CHECK(f.disk.idle_closings == 1);
}

TEST_CASE("a reader closes its connection when it has had no query for long, and the next query is answered") {
  reader_fixture f{60s};
  f.read();
  f.advance(40s);
  f.read();
  f.advance(40s);
  CHECK(f.view.idle_closings == 0);
  f.advance(20s);
  CHECK(f.view.idle_closings == 1);
  CHECK(f.idle_notices == 1);
  CHECK(f.quiet());
  f.read();
  f.advance(60s);
  CHECK(f.view.idle_closings == 2);
}

TEST_CASE("a writer closes its file early on request, unless it was used meanwhile") {
  writer_fixture f;
  f.write("a", "put t 1 x");
  f.is_to_be_closed = true;
  f.disk.stays_open = true;
  caf::anon_send(f.aut, close_idle_atom{}, any_group);
  f.run();
  CHECK(f.disk.idle_closings == 1);
  f.disk.stays_open = false;
  caf::anon_send(f.aut, close_idle_atom{}, any_group);
  f.run();
  CHECK(f.disk.idle_closings == 2);
  f.write("a", "put t 2 x");
  f.is_to_be_closed = false;
  caf::anon_send(f.aut, close_idle_atom{}, any_group);
  f.run();
  CHECK(f.disk.idle_closings == 2);
  CHECK(f.context.versions().last_commit() == 2);
}

TEST_CASE("a reader closes its connection early on request, and its timer goes on") {
  reader_fixture f{60s};
  f.read();
  f.advance(10s);
  caf::anon_send(f.aut, close_idle_atom{});
  f.run();
  CHECK(f.view.idle_closings == 0);
  f.is_to_be_closed = true;
  caf::anon_send(f.aut, close_idle_atom{});
  f.run();
  CHECK(f.view.idle_closings == 1);
  CHECK(f.idle_notices == 1);
  f.is_to_be_closed = false;
  f.read();
  f.advance(50s);
  CHECK(f.view.idle_closings == 1);
  f.advance(10s);
  CHECK(f.view.idle_closings == 2);
  CHECK(f.quiet());
}

TEST_CASE("a reader that is to keep its connection has nothing scheduled") {
  reader_fixture f{0s};
  f.read();
  CHECK(f.quiet());
  CHECK(f.view.idle_closings == 0);
}

} // namespace sluice::test::idle_actors_test
