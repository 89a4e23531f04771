#include "tests/runtime/client/channel_fixture.hpp"

#include <algorithm>

namespace sluice::test::channel_bounds_test {

using namespace std::chrono_literals;
using call_state = channel::call_state;
using nlohmann::json;
using fixture = channel_fixture;

namespace {

json result_of(const channel::call& call) { return json::parse(call.answer).at("result"); }

} // namespace

TEST_CASE("requests of any size and those after them are sent") {
  fixture r;
  fake_leader leader{r.path, echo};
  auto result = r.open();
  for (auto size : std::vector<size_t>{600'000, 1'500'000, 10, 550'000, 1'100'000, 10}) {
    auto text = json(std::string(size, 'x')).dump();
    channel::call call;
    result->ask(call, "ping", text, in(2min));
    REQUIRE(call.state == call_state::answered);
    CHECK(result_of(call).get_ref<const std::string&>().size() == size);
  }
}

TEST_CASE("posted requests are sent regardless of their total size") {
  fixture r;
  fake_leader leader{r.path, echo};
  auto result = r.open();
  auto text = json(std::string(2'000, 'x')).dump();
  std::vector<channel::call> calls(900);
  for (auto& call : calls)
    REQUIRE(result->post(call, "ping", text));
  for (size_t completed = 0; completed < calls.size();)
    completed += result->await_posted(in(2min)).size();
  CHECK(std::all_of(calls.begin(), calls.end(), [](const auto& call) { return call.state == call_state::answered; }));
  channel::call last;
  result->ask(last, "ping", "1", in(2min));
  CHECK(last.state == call_state::answered);
}

TEST_CASE("a leader that sends nothing, not even an answer to a ping, is reported as silent, and calls may end") {
  fixture r;
  std::atomic<bool> wakes = false;
  json unanswered;
  fake_leader leader{r.path, [&](const json& request, fake_connection& from) {
                       if (wakes)
                         from.answer(request, "awake");
                       else
                         unanswered = request;
                     }};
  std::atomic<int> warnings = 0;
  auto result = r.open({.after = 50ms, .ends_calls = true, .warn = [&](std::string_view text) {
                          ++warnings;
                          CHECK_THAT(std::string{text}, Catch::Contains(std::to_string(getpid())));
                        }});
  channel::call call;
  auto start = std::chrono::steady_clock::now();
  result->ask(call, "slow", "1", start + 10min);
  CHECK(std::chrono::steady_clock::now() < start + 5min);
  CHECK(call.state == call_state::pending);
  CHECK(call.sent);
  CHECK(warnings == 1);
  REQUIRE(result->silence());
  leader.await_requests(2);
  CHECK(leader.requests()[1].at("method") == "ping");
  // After any message the leader no longer counts as silent.
  wakes = true;
  result->ask(call, "ping", "2", in(2min));
  CHECK(call.state == call_state::answered);
  CHECK_FALSE(result->silence());
}

TEST_CASE("a leader that answers pings is slow, and not silent") {
  fixture r;
  json slow;
  fake_leader leader{r.path, [&](const json& request, fake_connection& from) {
                       if (request.at("method") != "ping") {
                         slow = request;
                         return;
                       }
                       from.answer(request, "pong");
                       from.answer(slow, "at last");
                     }};
  auto result = r.open({.after = 1min, .ends_calls = true});
  channel::call call;
  result->ask(call, "slow", "1", in(2min));
  REQUIRE(call.state == call_state::answered);
  CHECK(result_of(call) == "at last");
}

} // namespace sluice::test::channel_bounds_test
