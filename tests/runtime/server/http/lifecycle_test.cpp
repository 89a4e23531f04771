#include "tests/runtime/server/http/http_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::lifecycle_test {

using namespace std::chrono_literals;

namespace {

std::string hold(running_server& s) { return request::post("/rpc", call("hold"), s.port).text(); }

// Tells the server to stop; the future is ready when it has stopped.
std::future<void> stop(running_server& s) {
  auto stopped = std::make_shared<std::promise<void>>();
  s.run([&] { s.server->stop([stopped] { stopped->set_value(); }); });
  return stopped->get_future();
}

bool is_done(std::future<void>& future, std::chrono::milliseconds within) {
  return future.wait_for(within) == std::future_status::ready;
}

} // namespace

TEST_CASE("a request ends when its client has left", "[http]") {
  running_server s;
  raw_client client{s.port};
  s.await(s.backend.on_held, [&] { client.send(hold(s)); });
  CHECK(s.backend.open_ports == 1);
  s.await(s.backend.on_port_closed, [&] { client.close(); });
  // The client still gets the answer.
  s.release(1);
  CHECK(s.backend.open_ports == 0);
  CHECK(s.run([&] { return s.server->connections(); }) == 0);
}

TEST_CASE("a request ends when its client has left, also with pipelined requests after it", "[http]") {
  running_server s;
  raw_client client{s.port};
  s.await(s.backend.on_held, [&] { client.send(hold(s) + hold(s)); });
  client.send(hold(s));
  s.await(s.backend.on_port_closed, [&] { client.close(); });
  while (s.run([&] { return s.server->connections(); }) > 0)
    ;
  CHECK(s.backend.open_ports == 0);
}

TEST_CASE("a client that leaves in the middle of its header or body leaves nothing behind", "[http]") {
  running_server s;
  for (const auto& part : {std::string{"POST /rpc HT"}, request::post("/rpc", call("echo"), s.port).header(),
                           std::string{}, request::get("/metrics", s.port).text()}) {
    raw_client client{s.port};
    client.send(part);
    client.close();
  }
  while (s.run([&] { return s.server->connections(); }) > 0)
    ;
  CHECK(s.run([&] { return s.backend.open_ports.load(); }) == 0);
}

TEST_CASE("a client that ends its side after a request that is answered at once still gets the answer", "[http]") {
  running_server s;
  raw_client client{s.port};
  client.send(request::post("/rpc", call("echo"), s.port).text());
  client.finish_sending();
  CHECK(client.receive().status == 200);
  CHECK(client.ended());
}

TEST_CASE("a handler lives until its answer has been given, and no longer", "[http]") {
  running_server s;
  raw_client client{s.port};
  s.await(s.backend.on_held, [&] { client.send(hold(s)); });
  s.await(s.backend.on_port_closed, [&] { s.release("late"); });
  CHECK(nlohmann::json::parse(client.receive().body)["result"] == "late");
  client.send(request::get("/healthz", s.port).text());
  CHECK(client.receive().status == 200);
}

TEST_CASE("a server that stops closes idle connections and finishes requests under way", "[http]") {
  running_server s;
  raw_client idle{s.port};
  idle.send(request::get("/healthz", s.port).text());
  CHECK(idle.receive().status == 200);
  raw_client busy{s.port};
  s.await(s.backend.on_held, [&] { busy.send(hold(s)); });

  auto stopped = stop(s);
  CHECK(idle.ended());
  CHECK_THROWS(raw_client{s.port});
  CHECK_FALSE(is_done(stopped, 0ms));
  s.release("done");
  auto result = busy.receive();
  CHECK(nlohmann::json::parse(result.body)["result"] == "done");
  CHECK(result.field("connection") == "close");
  CHECK(busy.ended());
  CHECK(is_done(stopped, 20s));
}

TEST_CASE("a request that never ends does not keep a server from stopping", "[http]") {
  running_server s{{.drain_timeout = 50ms}};
  raw_client client{s.port};
  s.await(s.backend.on_held, [&] { client.send(hold(s)); });
  auto stopped = stop(s);
  CHECK(is_done(stopped, 20s));
  CHECK(client.ended());
  CHECK(s.backend.open_ports == 0);
}

TEST_CASE("a server without clients has stopped at once", "[http]") {
  running_server s;
  auto stopped = stop(s);
  CHECK(is_done(stopped, 20s));
}

TEST_CASE("a server may be destroyed while requests, answers and clients are under way", "[http]") {
  auto s = std::make_unique<running_server>();
  std::vector<std::unique_ptr<raw_client>> clients;
  auto add = [&](const std::string& text) {
    clients.push_back(std::make_unique<raw_client>(s->port));
    clients.back()->send(text);
  };
  s->await(s->backend.on_held, [&] { add(hold(*s)); });
  add("");
  add("POST /rpc HTTP/1.1\r\n");
  add(request::post("/rpc", std::string(1'000, ' '), s->port).header() + "half");
  for (int i = 0; i < 20; ++i)
    add(request::post("/rpc", call("echo", {std::string(1 << 20, 'x')}), s->port).text());
  std::vector<rpc::answer_to> late;
  s->run([&] {
    late.swap(s->backend.held);
    s->server.reset();
  });
  CHECK(s->backend.open_ports == 0);
  s->run([&] { late.front()({1, {}}); });
  CHECK(clients.front()->ended());
  s.reset();
}

TEST_CASE("a server may be destroyed with a loop that does not run any more", "[http]") {
  fake_backend backend;
  std::unique_ptr<raw_client> client;
  {
    boost::asio::io_context loop;
    auto server = http::server::listen(loop, {.token = token}, backend);
    REQUIRE(server);
    auto port = (*server)->port();
    client = std::make_unique<raw_client>(port);
    client->send(request::post("/rpc", call("hold"), port).text());
    while (backend.held.empty())
      loop.run_one();
    CHECK(backend.open_ports == 1);
  }
  CHECK(backend.open_ports == 0);
  CHECK(client->ended());
}

} // namespace sluice::test::lifecycle_test
