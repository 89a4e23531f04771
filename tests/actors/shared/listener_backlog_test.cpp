#include "actors/shared/listener_backlog.hpp"

#include "actors/shared/database_context.hpp"
#include "tests/support/actor_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::listener_backlog_test {

namespace {

constexpr auto bound = listener_backlog::max_waiting;

struct fixture : actor_fixture {
  std::vector<invalidation> heard;
  std::function<void()> while_hearing;
  database_context& context = actors->context("app.db");
  invalidation_listener listener =
    sys.spawn([this](invalidation_listener::pointer) -> invalidation_listener::behavior_type {
      // A message that a listener has stored does not count as waiting.
      return {[this](invalidation& invalidation) {
        heard.push_back(std::move(invalidation));
        if (while_hearing)
          while_hearing();
      }};
    });

  fixture() {
    run();
    context.listen(listener);
  }

  void commit(uint64_t seq) { context.notify({"app.db", seq, {"t"}, false}); }

  void commit(uint64_t first, uint64_t last) {
    for (auto seq = first; seq <= last; ++seq)
      commit(seq);
  }
};

} // namespace

TEST_CASE("a stalled listener gets messages up to its bound, and one for all the rest") {
  fixture f;
  f.commit(1, bound + 5'000);
  f.run();
  // Messages arrived while the replacement message waited, so it is sent once more.
  REQUIRE(f.heard.size() == bound + 2);
  for (size_t i = 0; i < bound; ++i)
    REQUIRE(f.heard[i].commit_seq == i + 1);
  for (auto i : {bound, bound + 1}) {
    CHECK(f.heard[i].commit_seq == 0);
    CHECK(f.heard[i].everything);
    CHECK(f.heard[i].db == "app.db");
  }
  // The listener has caught up.
  f.commit(20'000);
  f.run();
  REQUIRE(f.heard.size() == bound + 3);
  CHECK(f.heard.back().commit_seq == 20'000);
  CHECK_FALSE(f.heard.back().everything);
}

TEST_CASE("one message beyond the bound is replaced once") {
  fixture f;
  f.commit(1, bound + 1);
  f.run();
  CHECK(f.heard.size() == bound + 1);
  CHECK(f.heard.back().everything);
}

TEST_CASE("messages that arrive while a listener handles the replacement message are not lost") {
  fixture f;
  f.commit(1, bound + 1);
  f.while_hearing = [&] {
    if (f.heard.size() == bound + 1)
      f.commit(bound + 2);
  };
  f.run();
  REQUIRE(f.heard.size() == bound + 2);
  CHECK(f.heard.back().everything);
}

TEST_CASE("a listener that handles its messages knows of each commit, however many there are") {
  fixture f;
  for (uint64_t round = 0; round < 3; ++round) {
    f.commit(round * bound + 1, (round + 1) * bound);
    f.run();
  }
  CHECK(f.heard.size() == 3 * bound);
  CHECK(f.heard.back().commit_seq == 3 * bound);
}

TEST_CASE("a listener that has left, or ended, while it was behind is sent nothing more") {
  fixture f;
  f.commit(1, bound + 2);
  SECTION("left") {
    f.context.unlisten(f.listener);
    f.run();
    CHECK(f.heard.size() == bound + 1);
  }
  SECTION("ended") {
    f.kill(f.listener);
    f.heard.clear();
    f.listener = nullptr;
    f.commit(bound + 3, bound + 4);
    f.run();
    CHECK(f.heard.empty());
  }
}

} // namespace sluice::test::listener_backlog_test
