#include "actors/reader.hpp"
#include "tests/support/actor_bench.hpp"
#include "tests/support/read_bench.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::reader_actor_test {

using namespace std::chrono_literals;

namespace {

struct fixture : actor_bench {
  fake_view view;
  reader_actor aut;

  explicit fixture(std::chrono::milliseconds close_idle_after) {
    auto parts = std::make_shared<reader_parts>();
    parts->store = std::make_unique<fake_read_store>(view);
    parts->time = &time;
    parts->close_idle_after = close_idle_after;
    aut = sys.spawn(reader, parts);
    run();
  }

  ~fixture() { kill(aut); }

  void read() {
    auto done = ask<read_done>(aut, run_read{1, a_read("a", "q")});
    run();
    REQUIRE(ok(done));
  }
};

} // namespace

TEST_CASE("a reader closes its connection when it has had no query for long, and the next query is answered") {
  fixture f{60s};
  f.read();
  f.advance(40s);
  f.read();
  f.advance(40s);
  CHECK(f.view.rests == 0);
  f.advance(20s);
  CHECK(f.view.rests == 1);
  CHECK(f.quiet());
  f.read();
  f.advance(60s);
  CHECK(f.view.rests == 2);
}

TEST_CASE("a reader that is to keep its connection has nothing scheduled") {
  fixture f{0s};
  f.read();
  CHECK(f.quiet());
  CHECK(f.view.rests == 0);
}

} // namespace sluice::test::reader_actor_test
