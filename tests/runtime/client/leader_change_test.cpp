#include "tests/runtime/client/client_fixture.hpp"

#include <map>
#include <random>
#include <set>
#include <sys/wait.h>

namespace sluice::test::leader_change_test {

using Catch::Contains;

TEST_CASE("a call waits for a leader that steps down, and is sent to its successor") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto leader = r.lead([&](const json& request, fake_connection& from) {
    if (from.number() == 1)
      return from.fail(request, "unavailable", {{"draining", true}});
    from.answer(request, committed(7));
  });
  auto result = r.open({.add_keys = false});
  auto asked = std::async(std::launch::async, [&] { return write_by(waiting, *result, insert()); });
  leader->await_requests(1);
  CHECK(asked.wait_for(20ms) == std::future_status::timeout);
  leader = r.lead([](const json& request, fake_connection& from) { from.answer(request, committed(8)); });
  auto written = asked.get();
  REQUIRE(written);
  CHECK(written->commit_seq == 8);
  CHECK(leader->requests().size() == 1);
}

TEST_CASE("an error names a permanent leader of another version, and nothing is committed") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto leader = r.lead([](const json& request, fake_connection& from) { from.fail(request, "protocol_mismatch"); },
                       [](const json& request, fake_connection& from) {
                         from.fail(request, "protocol_mismatch", {{"hands_over", false}});
                       });
  auto result = r.open();
  for (auto i = 0; i < 2; ++i) {
    auto failed = failure_of(write_by(waiting, *result, insert()));
    CHECK(failed.code == errc::protocol_mismatch);
  }
}

TEST_CASE("an older leader that gives way to a newer client is succeeded") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto leader = r.lead([](const json& request, fake_connection& from) { from.fail(request, "protocol_mismatch"); },
                       [](const json& request, fake_connection& from) {
                         from.fail(request, "protocol_mismatch", {{"hands_over", true}});
                       });
  auto result = r.open();
  auto asked = std::async(std::launch::async, [&] { return write_by(waiting, *result, insert()); });
  leader->await_requests(1);
  leader = r.lead(after(0, {}));
  CHECK(asked.get());
}

TEST_CASE("a leader without room for a connection is tried again") {
  client_fixture r;
  auto leader = r.lead([](const json& request, fake_connection& from) {
    if (from.number() < 3) {
      from.fail({{"id", nullptr}}, "overloaded");
      return from.hang_up();
    }
    from.answer(request, committed(7));
  });
  // The leader did not execute it, so the outcome is known even for a write without a key.
  auto result = r.open({.add_keys = false});
  CHECK(result->write(insert()));
}

TEST_CASE("a request beyond the leader's bound is too_large and not repeated") {
  client_fixture r;
  auto leader = r.lead([](const json&, fake_connection& from) {
    from.fail({{"id", nullptr}}, "too_large");
    from.hang_up();
  });
  auto result = r.open();
  auto request = insert();
  request.statements[0].params.positional[0] = std::string(100'000, 'x');
  CHECK(failure_of(result->write(request)).code == errc::too_large);
  CHECK(leader->connections() == 1);
}

TEST_CASE("an invalid answer is a mismatch of unknown outcome") {
  client_fixture r;
  auto leader = r.lead([](const json& request, fake_connection& from) { from.answer(request, {{"x", 1}}); });
  auto result = r.open();
  auto failed = failure_of(result->write(insert()));
  CHECK(failed.code == errc::protocol_mismatch);
  CHECK(failed.outcome == outcome::unknown);
}

TEST_CASE("without a leader the client leads the store in its process") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto leader = r.lead([](const json&, fake_connection& from) { from.hang_up(); });
  auto result = r.open();
  auto request = insert();
  request.statements[0].sql = "CREATE TABLE t (n)";
  request.statements[0].params = {};
  auto asked = std::async(std::launch::async, [&] { return write_by(waiting, *result, request); });
  leader->await_requests(2);
  leader.reset();
  r.lock.reset();
  auto written = asked.get();
  REQUIRE(written);
  CHECK(result->write(insert()));
  CHECK(result->write_async(insert()).get());
  CHECK(result->read(select())->rows->size() == 2);
  CHECK(result->read_async(select()).get()->rows->size() == 2);
  CHECK((*result->status())["leader"]["in_process"] == true);
  CHECK_FALSE(store_lock::acquire(r.root, 0ms));
}

TEST_CASE("a client that requires a broker does not lead without a leader") {
  client_fixture r;
  auto leader = r.lead(after(0, {}));
  auto result = r.open({.require_broker = true});
  leader.reset();
  r.lock.reset();
  CHECK(failure_of(result->write(insert())).code == errc::route_required);
}

TEST_CASE("any number of calls may be under way, and find the next leader together") {
  client_fixture r;
  std::atomic<int> seen = 0;
  auto leader = r.lead([&](const json& request, fake_connection& from) {
    if (++seen == 300)
      return from.hang_up();
    if (seen > 300)
      from.answer(request, committed(static_cast<uint64_t>(seen)));
  });
  auto result = r.open();
  std::vector<std::future<caf::expected<write_result>>> answers;
  for (auto i = 0; i < 500; ++i)
    answers.push_back(result->write_async(insert()));
  std::set<uint64_t> seqs;
  for (auto& answer : answers) {
    auto written = answer.get();
    REQUIRE(written);
    seqs.insert(written->commit_seq);
  }
  CHECK(seqs.size() == 500);
  CHECK(leader->connections() == 2);
}

TEST_CASE("a call ends at its own deadline while others continue") {
  client_fixture r;
  auto leader = r.lead([](const json&, fake_connection&) {});
  auto result = r.open();
  auto patient = result->write_async(insert(20s));
  leader->await_requests(1);
  auto start = std::chrono::steady_clock::now();
  CHECK(failure_of(result->write_async(insert(10ms)).get()).code == errc::deadline_exceeded);
  CHECK(std::chrono::steady_clock::now() - start < 10s);
}

TEST_CASE("closing a client ends its calls, and reports which may have taken effect") {
  client_fixture r;
  auto leader = r.lead([](const json&, fake_connection&) {});
  auto result = r.open();
  auto write = result->write_async(insert());
  auto read = result->read_async(select());
  leader->await_requests(2);
  SECTION("while it waits for answers") {}
  SECTION("while it looks for a leader") { leader.reset(); }
  result.reset();
  auto failed = failure_of(write.get());
  CHECK(failed.code == errc::cancelled);
  CHECK(failed.outcome == outcome::unknown);
  auto unread = read.get();
  REQUIRE_FALSE(unread);
  CHECK(describe(unread.error()).outcome == outcome::not_committed);
}

TEST_CASE("a client in a forked process refuses to work") {
  client_fixture r;
  auto leader = r.lead(after(0, {}));
  auto result = r.open();
  CHECK(result->write(insert()));
  auto child = fork();
  if (child == 0) {
    auto written = result->write(insert());
    _exit(!written && code_of(written.error()) == errc::invalid_request ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(result->write(insert()));
}

TEST_CASE("with connections that end at random each write is applied once, and every answer is correct") {
  client_fixture r;
  std::mutex mutex;
  std::minstd_rand random{42};
  std::map<std::string, uint64_t> applied;
  int ends = 0;
  auto leader = r.lead([&](const json& request, fake_connection& from) {
    std::lock_guard held{mutex};
    auto dice = random() % 40;
    if (dice == 0 && ++ends)
      return from.hang_up();
    auto [at, fresh] = applied.emplace(params(request).at("idempotency_key").get<std::string>(), applied.size() + 1);
    if (dice == 1 && ++ends)
      return from.hang_up();
    if (dice == 2 && ++ends)
      from.send(R"({"id":)");
    if (dice == 2)
      return from.hang_up();
    from.answer(request, committed(at->second, !fresh));
  });
  auto result = r.open();
  std::mutex answers_mutex;
  std::multiset<uint64_t> answers;
  std::vector<std::thread> threads;
  for (auto t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      std::vector<std::future<caf::expected<write_result>>> posted;
      std::vector<uint64_t> mine;
      for (auto i = 0; i < 200; ++i) {
        if (t % 2 == 0)
          posted.push_back(result->write_async(insert()));
        else if (auto written = result->write(insert()))
          mine.push_back(written->commit_seq);
      }
      for (auto& answer : posted)
        if (auto written = answer.get())
          mine.push_back(written->commit_seq);
      std::lock_guard held{answers_mutex};
      answers.insert(mine.begin(), mine.end());
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(ends > 20);
  CHECK(answers.size() == 1'200);
  CHECK(applied.size() == 1'200);
  CHECK(std::set<uint64_t>(answers.begin(), answers.end()).size() == 1'200);
}

} // namespace sluice::test::leader_change_test
