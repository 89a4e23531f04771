#include "tests/runtime/server/socket_fixture.hpp"

#include "runtime/os/descriptor.hpp"

#include <sys/stat.h>

namespace sluice::test::socket_server_test {

using namespace std::chrono_literals;

TEST_CASE("answers are sent when they are ready, each with its request's id", "[socket]") {
  socket_fixture f;
  raw_line_client client{f.path()};
  client.send(request_line(1, "hold") + request_line(2, "echo", {"a"}) + request_line(3, "echo", {"b"}));
  CHECK(client.answer().at("id") == 2);
  CHECK(client.answer().at("id") == 3);
  f.on_loop([&] { f.held.at(0)({"late", std::nullopt}); });
  auto last = client.answer();
  CHECK(last.at("id") == 1);
  CHECK(last.at("result") == "late");
}

TEST_CASE("a document may come in pieces, and several at once", "[socket]") {
  socket_fixture f;
  raw_line_client client{f.path()};
  auto text = request_line(1, "echo", {"pieces"});
  for (auto c : text)
    client.send({&c, 1});
  CHECK(client.answer().at("result") == nlohmann::json{"pieces"});
  std::string many;
  for (int i = 0; i < 5'000; ++i)
    many += request_line(i, "echo") + "\n \r\n";
  client.send(many);
  for (int i = 0; i < 5'000; ++i)
    REQUIRE(client.answer().at("id") == i);
}

TEST_CASE("a client that only closes its sending side still gets its answers, and then the end", "[socket]") {
  socket_fixture f;
  raw_line_client client{f.path()};
  auto text = request_line(1, "hold") + request_line(2, "echo");
  // The last document ends with the stream.
  client.send(std::string_view{text}.substr(0, text.size() - 1));
  client.half_close();
  CHECK(client.answer().at("id") == 2);
  f.on_loop([&] { f.held.at(0)({nullptr, std::nullopt}); });
  CHECK(client.answer().at("id") == 1);
  CHECK(client.line().empty());
}

TEST_CASE("a partial document is answered as it is when the stream ends", "[socket]") {
  socket_fixture f;
  raw_line_client client{f.path()};
  client.send(R"({"jsonrpc":"2.0","id":1,"meth)");
  client.half_close();
  CHECK(client.answer().at("error").at("code") == -32700);
  CHECK(client.line().empty());
}

TEST_CASE("a line beyond the bound is refused, and closes only its connection", "[socket]") {
  broker_config config;
  config.max_request_bytes = 4'096;
  socket_fixture f{config};
  raw_line_client other{f.path()};
  raw_line_client client{f.path()};
  // The server reads no more of it, however much is sent.
  while (client.send(std::string(64 * 1024, 'a')))
    continue;
  auto refused = client.answer();
  CHECK(refused.at("error").at("data").at("code") == "too_large");
  CHECK(refused.at("id").is_null());
  CHECK(client.line().empty());
  other.send(request_line(1, "echo"));
  CHECK(other.answer().at("id") == 1);
}

TEST_CASE("requests beyond the bytes under way are refused, and accepted again when there is room", "[socket]") {
  broker_config config;
  config.max_inflight_bytes = 2'000;
  socket_fixture f{config};
  raw_line_client client{f.path()};
  client.send(request_line(1, "hold", {std::string(1'500, 'a')}));
  client.send(request_line(2, "echo", {std::string(1'500, 'a')}));
  auto refused = client.answer();
  CHECK(refused.at("id") == 2);
  CHECK(refused.at("error").at("data").at("code") == "overloaded");
  CHECK(refused.at("error").at("data").at("retry_after_ms") > 0);
  f.on_loop([&] { f.held.at(0)({nullptr, std::nullopt}); });
  CHECK(client.answer().at("id") == 1);
  client.send(request_line(3, "echo", {std::string(1'500, 'a')}));
  CHECK(client.answer().contains("result"));
}

TEST_CASE("bytes under way are released when their connection ends", "[socket]") {
  broker_config config;
  config.max_inflight_bytes = 2'000;
  socket_fixture f{config};
  {
    raw_line_client client{f.path()};
    client.send(request_line(1, "hold", {std::string(1'500, 'a')}) + request_line(2, "echo"));
    CHECK(client.answer().at("id") == 2);
    client.half_close();
    f.on_loop([&] { f.held.at(0)({nullptr, std::nullopt}); });
    CHECK(client.answer().at("id") == 1);
  }
  raw_line_client next{f.path()};
  next.send(request_line(3, "echo", {std::string(1'500, 'a')}));
  CHECK(next.answer().contains("result"));
}

TEST_CASE("a connection with too many requests under way is not read from until one is answered", "[socket]") {
  broker_config config;
  config.max_pipelined = 2;
  socket_fixture f{config};
  raw_line_client client{f.path()};
  client.send(request_line(1, "hold") + request_line(2, "hold") + request_line(3, "echo"));
  raw_line_client other{f.path()};
  other.send(request_line(9, "echo"));
  CHECK(other.answer().at("id") == 9);
  CHECK(f.on_loop([&] { return f.held.size(); }) == 2);
  f.on_loop([&] { f.held.at(0)({nullptr, std::nullopt}); });
  CHECK(client.answer().at("id") == 1);
  CHECK(client.answer().at("id") == 3);
}

TEST_CASE("a client may send a thousand requests before it reads an answer", "[socket]") {
  socket_fixture f;
  raw_line_client client{f.path()};
  const std::string text(2'000, 'x');
  // Each answer is as long as its request, and together they are far more than the kernel keeps.
  auto sent = std::async(std::launch::async, [&] {
    for (int i = 0; i < 1'000; ++i)
      client.send(request_line(i, "echo", {text}));
  });
  REQUIRE(sent.wait_for(60s) == std::future_status::ready);
  for (int i = 0; i < 1'000; ++i)
    REQUIRE(client.answer().at("id") == i);
}

TEST_CASE("a client with more than 4 MiB of unread answers is not read from, and its handler is put on hold",
          "[socket]") {
  socket_fixture f;
  raw_line_client client{f.path()};
  for (int i = 0; i < 6; ++i)
    client.send(request_line(i, "big", {1 << 20}));
  while (!f.on_loop([&] { return f.held_back; }))
    std::this_thread::yield();
  client.send(request_line(6, "hold"));
  raw_line_client other{f.path()};
  other.send(request_line(9, "echo"));
  CHECK(other.answer().at("id") == 9);
  CHECK(f.on_loop([&] { return f.held.empty(); }));
  for (int i = 0; i < 6; ++i)
    REQUIRE(client.answer().at("id") == i);
  while (f.on_loop([&] { return f.held.empty(); }))
    std::this_thread::yield();
  CHECK_FALSE(f.on_loop([&] { return f.held_back; }));
}

TEST_CASE("the handler of a client that has left is notified, and gets the requests that were sent", "[socket]") {
  socket_fixture f;
  {
    raw_line_client client{f.path()};
    client.send(request_line(1, "hold"));
    while (f.on_loop([&] { return f.held.empty(); }))
      std::this_thread::yield();
    // The client only ends its sending side, and still reads answers.
    client.half_close();
    raw_line_client other{f.path()};
    other.send(request_line(9, "echo"));
    CHECK(other.answer().at("id") == 9);
    CHECK(f.on_loop([&] { return f.left; }) == 0);
  }
  while (f.on_loop([&] { return f.server->connections(); }) > 0)
    std::this_thread::yield();
  CHECK(f.on_loop([&] { return f.left; }) == 2);
  {
    raw_line_client client{f.path()};
    // The loop does not look at the socket before the client has gone.
    std::promise<void> gone;
    boost::asio::post(f.loop, [is_gone = gone.get_future().share()] { is_gone.wait(); });
    client.send(request_line(1, "hold") + request_line(2, "hold"));
    client.half_close();
    client.reset();
    gone.set_value();
  }
  while (f.on_loop([&] { return f.held.size(); }) < 3)
    std::this_thread::yield();
  while (f.on_loop([&] { return f.server->connections(); }) > 0)
    std::this_thread::yield();
  CHECK(f.on_loop([&] { return f.left; }) == 3);
}

TEST_CASE("a client that does not read its answers delays no other client, and is closed", "[socket]") {
  broker_config config;
  config.send_timeout = 100ms;
  socket_fixture f{config};
  raw_line_client greedy{f.path()};
  for (int i = 0; i < 20; ++i)
    greedy.send(request_line(i, "big", {1 << 20}));
  raw_line_client other{f.path()};
  for (int i = 0; i < 100; ++i) {
    other.send(request_line(i, "echo"));
    REQUIRE(other.answer().at("id") == i);
  }
  while (f.on_loop([&] { return f.server->connections(); }) > 1)
    std::this_thread::yield();
  // Bytes sent before can still be read; then the connection ends.
  size_t taken = 0;
  while (!greedy.line().empty())
    ++taken;
  CHECK(taken < 20);
}

TEST_CASE("a silent client is disconnected, one that waits for an answer is not", "[socket]") {
  broker_config config;
  config.connection_idle = 500ms;
  socket_fixture f{config};
  raw_line_client waiting{f.path()};
  waiting.send(request_line(1, "hold"));
  raw_line_client silent{f.path()};
  CHECK(silent.line().empty());
  raw_line_client silent_again{f.path()};
  CHECK(silent_again.line().empty());
  f.on_loop([&] { f.held.at(0)({nullptr, std::nullopt}); });
  CHECK(waiting.answer().at("id") == 1);
  CHECK(waiting.line().empty());
}

TEST_CASE("connections beyond the bound get an error", "[socket]") {
  broker_config config;
  config.max_connections = 1;
  socket_fixture f{config};
  raw_line_client first{f.path()};
  first.send(request_line(1, "echo"));
  first.answer();
  raw_line_client second{f.path()};
  CHECK(second.answer().at("error").at("data").at("code") == "overloaded");
  CHECK(second.line().empty());
  first.send(request_line(2, "echo"));
  CHECK(first.answer().at("id") == 2);
}

TEST_CASE("the socket is private to its user, and knows the process of its peer", "[socket]") {
  socket_fixture f;
  struct stat info {};
  REQUIRE(stat(f.path().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  raw_line_client client{f.path()};
  client.send(request_line(1, "echo"));
  client.answer();
  auto peer = f.on_loop([&] { return f.peers.at(0); });
  CHECK(peer.uid == geteuid());
  CHECK(peer.pid == static_cast<uint32_t>(getpid()));
}

TEST_CASE("a stale socket is replaced, and one that was deleted comes back", "[socket]") {
  socket_fixture f;
  std::filesystem::remove(f.path());
  f.on_loop([&] { f.server->renew(); });
  raw_line_client client{f.path()};
  REQUIRE(client.connected());
  client.send(request_line(1, "echo"));
  CHECK(client.answer().at("id") == 1);
}

TEST_CASE("a server that drains answers requests under way, accepts nothing more, and leaves no file", "[socket]") {
  socket_fixture f;
  raw_line_client idle{f.path()};
  raw_line_client client{f.path()};
  client.send(request_line(1, "hold") + request_line(2, "echo"));
  CHECK(client.answer().at("id") == 2);
  std::promise<void> drained;
  f.on_loop([&] { f.server->drain([&] { drained.set_value(); }); });
  CHECK_FALSE(std::filesystem::exists(f.path()));
  CHECK_FALSE(raw_line_client{f.path()}.connected());
  CHECK(idle.line().empty());
  client.send(request_line(3, "echo"));
  f.on_loop([&] { f.held.at(0)({nullptr, std::nullopt}); });
  CHECK(client.answer().at("id") == 1);
  CHECK(client.line().empty());
  CHECK(drained.get_future().wait_for(1min) == std::future_status::ready);
}

TEST_CASE("notifications of a server wait for no client", "[socket]") {
  socket_fixture f;
  raw_line_client client{f.path()};
  client.send(request_line(1, "echo"));
  client.answer();
  auto pushed = f.on_loop([&] {
    size_t count = 0;
    while (f.pushers.at(0)(std::string(100'000, 'p'), false))
      ++count;
    f.pushers.at(0)("the end", true);
    return count;
  });
  CHECK(pushed > 0);
  CHECK(pushed < 100);
  for (size_t i = 0; i < pushed; ++i)
    REQUIRE(client.line().size() == 100'000);
  CHECK(client.line() == "the end");
}

TEST_CASE("a socket with a listener is not removed, and a stale one is", "[socket]") {
  socket_fixture f;
  broker_config config;
  boost::asio::io_context loop{1};
  auto open = [](peer_identity, socket_server::pusher) -> std::unique_ptr<rpc::handler> { return nullptr; };
  auto second = socket_server::listen(loop, f.path(), config, open);
  REQUIRE_FALSE(second);
  CHECK(code_of(second.error()) == errc::busy);
  raw_line_client client{f.path()};
  client.send(request_line(1, "echo", {"still here"}));
  CHECK(client.answer().at("result") == nlohmann::json{"still here"});
  // As a leader that was killed leaves it.
  auto left = f.folder / "left.sock";
  {
    descriptor dead{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, left.c_str(), sizeof at.sun_path - 1);
    REQUIRE(bind(dead.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(listen(dead.get(), 1) == 0);
  }
  CHECK(socket_server::listen(loop, left, config, open));
}

} // namespace sluice::test::socket_server_test
