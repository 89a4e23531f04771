#include "tests/support/writer_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::writer_turns_test {

using fixture = writer_fixture;

TEST_CASE("agents are served in order of arrival, and by turns once more requests wait than fit one group") {
  writer_settings settings;
  settings.group.max_requests = 4;
  fixture f{settings};
  std::vector<actor_fixture::answer<write_result>> chatty;
  for (auto i = 0; i < 12; ++i)
    chatty.push_back(f.write("chatty", "put t " + std::to_string(i) + " x"));
  auto quiet = f.write("quiet", "put t quiet x");
  f.run();
  REQUIRE(ok(quiet));
  CHECK((**quiet)->commit_seq == 2);
  uint64_t last = 0;
  for (const auto& x : chatty) {
    REQUIRE(ok(x));
    CHECK((**x)->commit_seq >= last);
    last = (**x)->commit_seq;
  }
  CHECK(last == 4);
  // Nothing waits any more.
  auto one = f.write("chatty", "put t a x");
  auto two = f.write("quiet", "put t b x");
  f.run();
  CHECK((**one)->commit_seq == 5);
  CHECK((**two)->commit_seq == 5);
}

TEST_CASE("requests that waited behind a schema change are served by turns once they exceed one group") {
  writer_settings settings;
  settings.group.max_requests = 2;
  fixture f{settings};
  // A writer sends only these two of the buffer's messages.
  auto buffer = f.sys.spawn([]() -> caf::behavior {
    return {[](quiesce_atom, const std::string&) { return flush_report{}; }, [](resume_atom, const std::string&) {}};
  });
  f.actors->set(caf::actor_cast<buffer_actor>(buffer));
  auto change = f.write("owner", "drop t 1");
  std::vector<actor_fixture::answer<write_result>> chatty;
  for (auto i = 0; i < 8; ++i)
    chatty.push_back(f.write("chatty", "put t " + std::to_string(i) + " x"));
  auto quiet = f.write("quiet", "put t quiet x");
  f.run();
  CHECK(change->has_value());
  REQUIRE(ok(quiet));
  uint64_t last = 0;
  for (const auto& x : chatty) {
    REQUIRE(ok(x));
    CHECK((**x)->commit_seq >= last);
    last = (**x)->commit_seq;
  }
  CHECK((**quiet)->commit_seq <= 2);
  CHECK(last >= 4);
  f.kill(buffer);
}

TEST_CASE("a writer that ends executes the requests that wait for their turn") {
  writer_settings settings;
  settings.group.max_requests = 2;
  fixture f{settings};
  std::vector<actor_fixture::answer<write_result>> all;
  for (auto i = 0; i < 9; ++i)
    all.push_back(f.write("a", "put t " + std::to_string(i) + " x"));
  auto closed = f.ask<caf::ok_atom>(f.aut, caf::close_atom_v);
  f.run();
  CHECK(ok(closed));
  for (const auto& x : all)
    CHECK(ok(x));
}

TEST_CASE("a write that was given up while it waited is not executed, and makes room in the queue") {
  fixture f;
  auto x = a_write("a", {"put t 1 x"});
  CHECK(!f.queue->admit(x, clock::steady::max()).refused);
  auto given_up = x.ticket;
  caf::scoped_actor client{f.sys};
  given_up->answer_to(caf::strong_actor_ptr{client->ctrl()}, caf::make_message_id().response_id());
  failure error;
  error.code = errc::cancelled;
  CHECK(given_up->give_up(error));
  f.write(std::move(x));
  f.run();
  CHECK(f.disk.executions.count("a") == 0);
  CHECK(f.queue->queued().requests == 0);
  REQUIRE(!f.log.records.empty());
  CHECK(f.log.records.back().status == "cancelled");
}

} // namespace sluice::test::writer_turns_test
