#include "runtime/client/greeting.hpp"

#include "runtime/client/client.hpp"
#include "runtime/client/connect.hpp"
#include "runtime/server/endpoint.hpp"
#include "tests/runtime/client/election_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::greeting_test {

namespace {

constexpr file_identity asked{1, 2};

// The result of asking a leader that answers a `hello` like this.
errc ask(const fake_leader::script& greet, bool trust_silence = false, std::chrono::milliseconds timeout = 2min) {
  temp_dir dir;
  fake_leader leader{dir / "s", answer_nothing, greet};
  auto connection = connect_to(dir / "s");
  REQUIRE((connection && *connection));
  auto result = confirm_root((*connection)->get(), asked, trust_silence, in(timeout));
  return result ? errc{} : code_of(result.error());
}

fake_leader::script leads(const json& root) {
  return [root](const json& request, fake_connection& from) {
    CHECK(request["params"]["root"] == as_json(asked));
    from.answer(request, root.is_null() ? json{{"protocol", 1}} : json{{"protocol", 1}, {"root", root}});
  };
}

fake_leader::script refuses(std::string_view code, const json& data = json::object()) {
  return [code, data](const json& request, fake_connection& from) { from.fail(request, code, data); };
}

} // namespace

TEST_CASE("a leader is accepted if it leads the requested folder") {
  CHECK(ask(leads(as_json(asked))) == errc{});
  CHECK(ask(leads(as_json(file_identity{1, 3}))) == errc::wrong_store);
  CHECK(ask(leads(as_json(file_identity{2, 2}))) == errc::wrong_store);
  CHECK(ask(leads("1:2"), true) == errc::wrong_store);
  CHECK(ask(refuses("wrong_store")) == errc::wrong_store);
}

TEST_CASE("a leader that does not name its folder is trusted at the store's own socket only") {
  CHECK(ask(leads(nullptr), true) == errc{});
  CHECK(ask(leads(nullptr), false) == errc::protocol_mismatch);
}

TEST_CASE("an ending leader does not count, and a silent one is reported as silent") {
  CHECK(ask(refuses("protocol_mismatch", {{"hands_over", true}})) == errc::unavailable);
  CHECK(ask(refuses("unavailable", {{"draining", true}})) == errc::unavailable);
  CHECK(ask(refuses("protocol_mismatch")) == errc::protocol_mismatch);
  CHECK(ask(answer_nothing, false, 20ms) == errc::deadline_exceeded);
  CHECK(ask([](const json&, fake_connection& from) { from.hang_up(); }) == errc::unavailable);
  CHECK(ask([](const json&, fake_connection& from) { from.send("no JSON\n"); }) == errc::protocol_mismatch);
}

TEST_CASE("an endpoint of another store is refused, and nothing is sent to it") {
  election_fixture r;
  auto greet = [](const json& request, fake_connection& from) {
    from.answer(request, {{"protocol", 1}, {"root", as_json(asked)}});
  };
  fake_leader elsewhere{r.dir / "e", answer_nothing, greet};
  client_options options;
  options.endpoint = r.dir / "e";
  auto client = open_client(r.root.path(), options);
  REQUIRE_FALSE(client);
  CHECK(code_of(client.error()) == errc::wrong_store);
  CHECK(elsewhere.requests().empty());
  CHECK(r.is_free());
}

TEST_CASE("the broker of another store does not count as a leader, wherever broker.json leads") {
  election_fixture r;
  fs::create_directory(r.dir / "private");
  fs::permissions(r.dir / "private", fs::perms::owner_all);
  auto greet = [](const json& request, fake_connection& from) {
    from.answer(request, {{"protocol", 1}, {"root", as_json(asked)}});
  };
  fake_leader elsewhere{r.dir / "private/s", answer_nothing, greet};
  broker_info info;
  info.pid = getpid();
  info.version = "0.1.0";
  info.socket = r.dir / "private/s";
  info.root = r.root.identity();
  REQUIRE(publish(r.root, info));
  auto result = found(find_leader(r.options({}, false), in(10s)));
  CHECK_FALSE(result.connection);
  CHECK(result.lock);
  CHECK(elsewhere.greetings() == 1);
  CHECK(elsewhere.requests().empty());
}

TEST_CASE("a leader is not looked for in a folder that was put in the place of the store") {
  election_fixture r;
  fake_leader leader{r.root.socket_path(), answer_nothing};
  fs::rename(r.dir / "root", r.dir / "moved");
  fs::create_directory(r.dir / "root");
  CHECK(code(find_leader(r.options(), in(10s))) == errc::wrong_store);
  CHECK_FALSE(fs::exists(r.dir / "root/.sluice"));
}

} // namespace sluice::test::greeting_test
