#include "tests/runtime/server/http/http_fixture.hpp"

#include <catch2/catch.hpp>

#include <sys/resource.h>

namespace sluice::test::limits_test {

using namespace std::chrono_literals;

namespace {

// Leaves this process no free descriptor while it exists.
struct no_descriptors {
  no_descriptors() {
    getrlimit(RLIMIT_NOFILE, &before);
    auto next = dup(0);
    ::close(next);
    rlimit now{static_cast<rlim_t>(next), before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &now);
  }
  ~no_descriptors() { setrlimit(RLIMIT_NOFILE, &before); }

  rlimit before{};
};

// Whether the server answers a small request.
bool serves(running_server& s) { return ask(s.port, request::get("/healthz", s.port)).status == 200; }

} // namespace

TEST_CASE("a header beyond the limit is refused with 431", "[http]") {
  running_server s;
  raw_client client{s.port};
  client.send(request::get("/healthz", s.port).with("X-Long", std::string(17'000, 'x')).text());
  auto result = client.receive();
  CHECK(result.status == 431);
  CHECK(result.code() == "too_large");
  CHECK(client.ended());
  CHECK(ask(s.port, request::get("/healthz", s.port).with("X-Long", std::string(15'000, 'x'))).status == 200);
}

TEST_CASE("a body beyond the limit is refused with 413 while it is still being sent", "[http]") {
  running_server s{{.max_body_bytes = 1'000}};
  auto refused = [&](const std::string& header, const std::string& body) {
    raw_client client{s.port};
    CHECK(client.send(header));
    CHECK(client.send(body));
    auto result = client.receive();
    CHECK(result.code() == "too_large");
    return result.status == 413;
  };
  auto request = request::post("/rpc", std::string(1'001, ' '), s.port);
  CHECK(refused(request.header(), ""));
  request.body.resize(8 << 20, ' ');
  CHECK(refused(request.header(), request.body));
  auto chunked = request::post("/rpc", "", s.port).with("Transfer-Encoding", "chunked").header();
  chunked.erase(chunked.find("Content-Length"), std::string_view{"Content-Length: 0\r\n"}.size());
  CHECK(refused(chunked, "400\r\n" + std::string(1'024, ' ') + "\r\n0\r\n\r\n"));
  auto fits = call("echo");
  fits.resize(1'000, ' ');
  CHECK(ask(s.port, request::post("/rpc", fits, s.port)).status == 200);
}

TEST_CASE("bodies beyond max_inflight_bytes of all connections are refused until there is room", "[http]") {
  running_server s{{.max_inflight_bytes = 1'000}};
  auto large = call("hold");
  large.resize(800, ' ');
  raw_client first{s.port};
  s.await(s.backend.on_held, [&] { first.send(request::post("/rpc", large, s.port).text()); });
  auto result = ask(s.port, request::post("/rpc", large, s.port));
  CHECK(result.status == 503);
  CHECK(result.code() == "overloaded");
  CHECK(result.field("retry-after") == "1");
  CHECK(serves(s));
  s.release(1);
  CHECK(first.receive().status == 200);
  auto again = call("echo");
  again.resize(800, ' ');
  CHECK(ask(s.port, request::post("/rpc", again, s.port)).status == 200);
}

TEST_CASE("a client that sends nothing is cut off", "[http]") {
  running_server s{{.header_timeout = 50ms}};
  raw_client client{s.port};
  CHECK(client.ended());
}

TEST_CASE("a client that never ends its header is cut off though it keeps sending", "[http]") {
  running_server s{{.max_header_bytes = 1 << 20, .header_timeout = 50ms}};
  raw_client client{s.port};
  client.send("GET /healthz HTTP/1.1\r\n");
  while (client.send("X: y\r\n") && s.run([&] { return s.server->connections(); }) > 0)
    ;
  auto result = client.receive();
  CHECK(result.status == 408);
  CHECK(result.code() == "deadline_exceeded");
}

TEST_CASE("a client that sends its body too slowly is cut off", "[http]") {
  running_server s{{.header_timeout = 1h, .body_timeout = 100ms}};
  raw_client client{s.port};
  client.send(request::post("/rpc", std::string(1'000'000, ' '), s.port).header());
  while (client.send(" ") && s.run([&] { return s.server->connections(); }) > 0)
    ;
  CHECK(client.receive().status == 408);
}

TEST_CASE("the body time-out also applies while unread bytes of the body are available", "[http]") {
  running_server s{{.header_timeout = 1h, .body_timeout = 100ms}};
  raw_client client{s.port};
  client.send(request::post("/rpc", std::string(1'000'000, ' '), s.port).header());
  while (s.run([&] { return s.server->connections(); }) == 0)
    ;
  s.run([&] {
    // More than is read at once.
    client.send(std::string(300'000, ' '));
    for (auto over = std::chrono::steady_clock::now() + 200ms; std::chrono::steady_clock::now() < over;)
      std::this_thread::yield();
  });
  CHECK(client.receive().status == 408);
}

TEST_CASE("an HTTP client that is idle between requests is closed silently", "[http]") {
  running_server s{{.header_timeout = 1h, .idle_timeout = 50ms}};
  raw_client client{s.port};
  client.send(request::get("/healthz", s.port).text());
  CHECK(client.receive().status == 200);
  CHECK(client.ended());
}

TEST_CASE("a client that does not read its answer is closed, and delays no other client", "[http]") {
  running_server s{{.send_timeout = 200ms}};
  raw_client client{s.port, 4'096};
  s.await(s.backend.on_port_closed, [&] {
    client.send(request::post("/rpc", call("echo", {std::string(12 << 20, 'x')}), s.port).text());
    CHECK(serves(s));
  });
  CHECK(s.run([&] { return s.server->connections(); }) <= 1);
  CHECK_THROWS(client.receive());
}

TEST_CASE("silent clients delay no other client", "[http]") {
  running_server s;
  std::vector<std::unique_ptr<raw_client>> silent;
  for (int i = 0; i < 200; ++i) {
    silent.push_back(std::make_unique<raw_client>(s.port));
    if (i % 2 == 0)
      silent.back()->send("POST /rpc HTTP/1.1\r\nHost:");
  }
  CHECK(serves(s));
}

TEST_CASE("connections beyond the limit are refused with an error, and served when others have left", "[http]") {
  running_server s{{.max_connections = 2}};
  raw_client first{s.port};
  raw_client second{s.port};
  for (auto* each : {&first, &second}) {
    each->send(request::get("/healthz", s.port).text());
    CHECK(each->receive().status == 200);
  }
  {
    raw_client third{s.port};
    third.send(request::get("/healthz", s.port).text());
    auto result = third.receive();
    CHECK(result.status == 503);
    CHECK(result.field("retry-after") == "1");
    CHECK(third.ended());
  }
  first.send(request::get("/healthz", s.port).with("Connection", "close").text());
  CHECK(first.receive().status == 200);
  CHECK(first.ended());
  int status = 503;
  while (status == 503)
    status = ask(s.port, request::get("/healthz", s.port)).status;
  CHECK(status == 200);
}

TEST_CASE("when descriptors run out the server waits instead of spinning, and then goes on", "[http]") {
  boost::asio::io_context loop;
  fake_backend backend;
  auto server = http::server::listen(loop, {.token = token, .accept_pause = 20ms}, backend);
  REQUIRE(server);
  auto port = (*server)->port();
  raw_client client{port};
  client.send(request::get("/healthz", port).text());
  {
    no_descriptors now;
    auto events = loop.run_for(200ms);
    CHECK(events > 2);
    CHECK(events < 50);
    CHECK((*server)->connections() == 0);
  }
  while ((*server)->connections() == 0)
    loop.run_one();
  std::thread thread{[&] { loop.run(); }};
  CHECK(client.receive().status == 200);
  client.close();
  std::promise<void> stopped;
  boost::asio::post(loop, [&] { (*server)->stop([&] { stopped.set_value(); }); });
  CHECK(stopped.get_future().wait_for(20s) == std::future_status::ready);
  thread.join();
}

} // namespace sluice::test::limits_test
