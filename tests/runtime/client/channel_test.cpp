#include "tests/runtime/client/channel_fixture.hpp"

#include <fstream>
#include <future>
#include <random>
#include <unistd.h>

namespace sluice::test::channel_test {

using namespace std::chrono_literals;
using call_state = channel::call_state;
using nlohmann::json;
using fixture = channel_fixture;

namespace {

// Waits until a thread of this process sleeps, as in a wait for a descriptor.
void await_sleep(pid_t thread) {
  auto path = "/proc/self/task/" + std::to_string(thread) + "/stat";
  for (std::string text; text.find(") S ") == std::string::npos;) {
    std::this_thread::yield();
    std::getline(std::ifstream{path}, text);
  }
}

// Runs a call in a new thread, and returns when that thread waits.
template <class Work> auto start_waiting(Work work) {
  std::promise<pid_t> thread;
  auto known = thread.get_future();
  auto result = std::async(std::launch::async, [&thread, work] {
    thread.set_value(gettid());
    return work();
  });
  await_sleep(known.get());
  return result;
}

json result_of(const channel::call& call) { return json::parse(call.answer).at("result"); }

} // namespace

TEST_CASE("the first request is sent together with the greeting, which is sent once") {
  fixture r;
  fake_leader leader{r.path, echo};
  auto result = r.open();
  CHECK(leader.greetings() == 0);
  for (auto i = 0; i < 3; ++i) {
    channel::call call;
    result->ask(call, "ping", std::to_string(i), in(2min));
    REQUIRE(call.state == call_state::answered);
    CHECK(call.sent);
    CHECK(result_of(call) == i);
  }
  CHECK(leader.greetings() == 1);
  CHECK(leader.requests()[0].at("method") == "ping");
}

TEST_CASE("answers in any order reach their callers, over one connection") {
  fixture r;
  std::vector<json> held;
  std::minstd_rand random{7};
  // Answers when a few requests have come, or when no other can be expected, in an order of its own.
  fake_leader leader{r.path, [&](const json& request, fake_connection& from) {
                       held.push_back(request);
                       if (held.size() < 3 && request.at("params") != "last")
                         return;
                       std::shuffle(held.begin(), held.end(), random);
                       for (const auto& each : held)
                         from.answer(each, each.at("params"));
                       held.clear();
                     }};
  auto result = r.open();
  std::atomic<int> right = 0;
  std::atomic<int> running = 8;
  std::vector<std::thread> threads;
  for (auto t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (auto i = 0; i < 1'000; ++i) {
        channel::call call;
        auto question = t * 1'000 + i;
        result->ask(call, "ping", std::to_string(question), in(2min));
        right += call.state == call_state::answered && result_of(call) == question;
      }
      // With fewer than three threads left their requests would be held for ever.
      for (--running; running > 0;) {
        channel::call call;
        result->ask(call, "ping", "\"last\"", in(2min));
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(right == 8'000);
  CHECK(leader.connections() == 1);
}

TEST_CASE("a posted call is returned to the thread that awaits it, whichever thread reads") {
  fixture r;
  fake_leader leader{r.path, echo};
  auto result = r.open();
  std::vector<channel::call> calls(500);
  std::atomic<bool> over = false;
  std::thread blocking{[&] {
    while (!over) {
      channel::call call;
      result->ask(call, "ping", "1", in(2min));
    }
  }};
  std::thread posting{[&] {
    for (size_t i = 0; i < calls.size(); ++i)
      result->post(calls[i], "ping", std::to_string(i));
  }};
  size_t completed = 0;
  while (completed < calls.size())
    for (auto* call : result->await_posted(in(2min))) {
      ++completed;
      CHECK(result_of(*call) == call - calls.data());
    }
  posting.join();
  over = true;
  blocking.join();
}

TEST_CASE("a wait for posted calls ends when it is poked") {
  fixture r;
  fake_leader leader{r.path, [](const json&, fake_connection&) {}};
  auto result = r.open();
  auto await_posted = [&] { return result->await_posted(in(2min)).size(); };
  auto begun = std::chrono::steady_clock::now();
  channel::call call;
  REQUIRE(result->post(call, "ping", "1"));
  SECTION("before it begins") {
    result->poke();
    CHECK(await_posted() == 0);
  }
  SECTION("while it reads") {
    auto waiting = start_waiting(await_posted);
    result->poke();
    CHECK(waiting.get() == 0);
  }
  SECTION("while another one reads") {
    auto reading = start_waiting([&] {
      channel::call other;
      result->ask(other, "ping", "2", in(2min));
      return other.state;
    });
    auto waiting = start_waiting(await_posted);
    result->poke();
    CHECK(waiting.get() == 0);
    result->close();
    CHECK(reading.get() == call_state::lost);
  }
  CHECK(std::chrono::steady_clock::now() - begun < 1min);
}

TEST_CASE("bytes without room are sent though the reading thread has nothing to read") {
  fixture r;
  json first;
  fake_leader leader{r.path, [&](const json& request, fake_connection& from) {
                       if (first.is_null()) {
                         first = request;
                         return;
                       }
                       from.answer(request, 2);
                       from.answer(first, 1);
                     }};
  auto result = r.open();
  auto reading = start_waiting([&] {
    channel::call call;
    result->ask(call, "ping", "1", in(2min));
    return call.state;
  });
  channel::call call;
  result->ask(call, "ping", '"' + std::string(4'000'000, 'x') + '"', in(2min));
  CHECK(call.state == call_state::answered);
  CHECK(reading.get() == call_state::answered);
}

TEST_CASE("neither side waits for the other to read first") {
  fixture r;
  // It reads nothing while its answer is not taken, and the answers are as long as the requests.
  fake_leader leader{r.path, echo};
  auto result = r.open();
  auto text = '"' + std::string(250'000, 'x') + '"';
  SECTION("with posted calls") {
    std::vector<channel::call> calls(40);
    for (auto& call : calls)
      REQUIRE(result->post(call, "ping", text));
    size_t completed = 0;
    for (auto limit = in(2min); completed < calls.size() && std::chrono::steady_clock::now() < limit;)
      completed += result->await_posted(limit).size();
    CHECK(completed == calls.size());
  }
  SECTION("with threads that wait") {
    std::atomic<int> answered = 0;
    std::vector<std::thread> threads;
    for (auto t = 0; t < 8; ++t)
      threads.emplace_back([&] {
        for (auto i = 0; i < 5; ++i) {
          channel::call call;
          result->ask(call, "ping", text, in(2min));
          answered += call.state == call_state::answered && call.answer.size() > text.size();
        }
      });
    for (auto& thread : threads)
      thread.join();
    CHECK(answered == 40);
  }
}

TEST_CASE("a call that is not answered in time is given up, and its answer is dropped") {
  fixture r;
  json late;
  fake_leader leader{r.path, [&](const json& request, fake_connection& from) {
                       if (request.at("params") == 1) {
                         late = request;
                         return;
                       }
                       from.answer(late, "late");
                       from.answer(request, "right");
                     }};
  auto result = r.open();
  channel::call call;
  result->ask(call, "ping", "1", in(100ms));
  CHECK(call.state == call_state::pending);
  CHECK(call.sent);
  leader.await_requests(1);
  result->ask(call, "ping", "2", in(2min));
  REQUIRE(call.state == call_state::answered);
  CHECK(result_of(call) == "right");
}

TEST_CASE("the end of a connection ends all calls, and reports which were sent") {
  fixture r;
  fake_leader leader{r.path, [](const json& request, fake_connection& from) {
                       if (request.at("params") == 2) {
                         from.send(R"({"id":1,"jsonrpc":"2.0","res)");
                         from.hang_up();
                       }
                     }};
  auto result = r.open();
  channel::call posted;
  REQUIRE(result->post(posted, "ping", "1"));
  channel::call call;
  result->ask(call, "ping", "2", in(2min));
  CHECK(call.state == call_state::lost);
  CHECK(call.sent);
  CHECK(result->lost());
  CHECK(result->await_posted(in(2min)) == std::vector<channel::call*>{&posted});
  CHECK(posted.state == call_state::lost);
  CHECK(posted.sent);
  result->ask(call, "ping", "3", in(2min));
  CHECK(call.state == call_state::lost);
  CHECK_FALSE(call.sent);
  CHECK_FALSE(result->post(posted, "ping", "4"));
  CHECK(result->await_loss(in(0s)));
}

TEST_CASE("a request to a leader that has ended counts as not sent") {
  fixture r;
  auto leader = std::make_unique<fake_leader>(r.path, echo);
  auto result = r.open();
  channel::call call;
  result->ask(call, "ping", "1", in(2min));
  leader.reset();
  result->ask(call, "ping", "2", in(2min));
  CHECK(call.state == call_state::lost);
  CHECK_FALSE(call.sent);
}

TEST_CASE("an answer that arrived before the end of the connection counts, even if a send finds the end") {
  fixture r;
  std::promise<void> answered;
  auto leader = std::make_unique<fake_leader>(r.path, [&](const json& request, fake_connection& from) {
    echo(request, from);
    answered.set_value();
  });
  auto result = r.open();
  channel::call posted;
  REQUIRE(result->post(posted, "ping", "1"));
  answered.get_future().wait();
  // No thread has read so far.
  leader.reset();
  channel::call call;
  result->ask(call, "ping", "2", in(2min));
  CHECK(call.state == call_state::lost);
  result->await_posted(in(2min));
  CHECK(posted.state == call_state::answered);
}

TEST_CASE("a connection with invalid answers is closed") {
  fixture r;
  std::string nonsense;
  SECTION("no JSON") { nonsense = "HTTP/1.1 400 Bad Request\r\n\r\n"; }
  SECTION("no object") { nonsense = "[]\n"; }
  SECTION("no id") { nonsense = "{\"jsonrpc\":\"2.0\",\"result\":1}\n"; }
  SECTION("an id that was never given") { nonsense = "{\"id\":\"x\",\"result\":1}\n"; }
  SECTION("bytes") { nonsense = std::string("\0\xff\n", 3); }
  fake_leader leader{r.path, [&](const json&, fake_connection& from) { from.send(nonsense); }};
  auto result = r.open();
  channel::call call;
  result->ask(call, "ping", "1", in(2min));
  CHECK(call.state == call_state::lost);
}

TEST_CASE("unsolicited messages are ignored") {
  fixture r;
  fake_leader leader{r.path, [&](const json& request, fake_connection& from) {
                       from.say({{"jsonrpc", "2.0"}, {"method", "invalidated"}, {"params", json::object()}});
                       from.answer({{"id", 4711}}, "another's");
                       // The form of other implementations.
                       from.say({{"jsonrpc", "2.0"}, {"a", 1}, {"id", request.at("id")}, {"result", "mine"}});
                     }};
  auto result = r.open();
  channel::call call;
  result->ask(call, "ping", "1", in(2min));
  REQUIRE(call.state == call_state::answered);
  CHECK(result_of(call) == "mine");
}

TEST_CASE("the error of a leader that refuses the connection is returned") {
  fixture r;
  fake_leader leader{r.path, [&](const json&, fake_connection& from) {
                       from.fail({{"id", nullptr}}, "overloaded", {{"retry_after_ms", 250}});
                     }};
  auto result = r.open();
  channel::call call;
  result->ask(call, "ping", "1", in(2min));
  CHECK(call.state == call_state::lost);
  REQUIRE(result->refusal());
  CHECK(result->refusal()->code == errc::overloaded);
  CHECK(result->refusal()->retry_after_ms == 250);
}

TEST_CASE("a permanent leader of another version ends the connection, a transient one does not") {
  fixture r;
  auto hands_over = GENERATE(false, true);
  fake_leader leader{r.path,
                     [&](const json& request, fake_connection& from) { from.fail(request, "protocol_mismatch"); },
                     [&](const json& request, fake_connection& from) {
                       from.fail(request, "protocol_mismatch", {{"hands_over", hands_over}});
                     }};
  auto result = r.open();
  channel::call call;
  result->ask(call, "ping", "1", in(2min));
  CHECK(result->lost() == !hands_over);
  CHECK(result->draining() == hands_over);
  if (!hands_over) {
    REQUIRE(result->refusal());
    CHECK(result->refusal()->code == errc::protocol_mismatch);
  }
}

TEST_CASE("the end of a connection can be waited for") {
  fixture r;
  auto leader = std::make_unique<fake_leader>(r.path, echo);
  auto result = r.open();
  CHECK_FALSE(result->await_loss(in(5ms)));
  auto waiting = std::async(std::launch::async, [&] { return result->await_loss(in(1min)); });
  leader.reset();
  CHECK(waiting.get());
}

} // namespace sluice::test::channel_test
