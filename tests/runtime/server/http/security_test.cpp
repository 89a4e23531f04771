#include "tests/runtime/server/http/http_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::security_test {

TEST_CASE("no request passes without the whole token", "[http]") {
  running_server s;
  auto good = request::post("/rpc", call("echo"), s.port);
  auto refused = [&](const request& request) {
    auto answer = ask(s.port, request);
    CHECK(answer.code() == "not_authorized");
    CHECK(answer.field("www-authenticate").starts_with("Bearer"));
    return answer.status == 401;
  };
  CHECK(refused(good.without("Authorization")));
  CHECK(refused(good.with("Authorization", "")));
  CHECK(refused(good.with("Authorization", "Bearer")));
  CHECK(refused(good.with("Authorization", "Bearer ")));
  CHECK(refused(good.with("Authorization", "Basic " + token)));
  CHECK(refused(good.with("Authorization", token)));
  CHECK(refused(good.with("Authorization", "Bearer " + token.substr(1))));
  CHECK(refused(good.with("Authorization", "Bearer " + token + "a")));
  CHECK(refused(good.with("Authorization", "Bearer " + token.substr(1) + "b")));
  auto twice = good;
  twice.fields.emplace_back("Authorization", "Bearer " + token);
  CHECK(refused(twice));
  CHECK(s.backend.open_ports == 0);
  CHECK(ask(s.port, good.with("Authorization", "bearer " + token)).status == 200);
}

TEST_CASE("an agent's token is for its calls, and for nothing else", "[http]") {
  const std::map<std::string, std::string> tokens{{"laptop", std::string(64, 'b')}, {"phone", std::string(64, 'c')}};
  running_server s{{.agent_tokens = [&]() -> const auto& {return tokens;
}
} // namespace sluice::test::security_test
}
;
auto with = [](const request& of, char letter, size_t length = 64) {
  return of.with("Authorization", "Bearer " + std::string(length, letter));
};
auto good = request::post("/rpc", call("echo"), s.port);
for (auto [letter, name] : {std::pair{'b', "laptop"}, std::pair{'c', "phone"}, std::pair{'a', ""}}) {
  CHECK(ask(s.port, with(good, letter)).status == 200);
  CHECK(s.backend.opened_with == name);
}
CHECK(ask(s.port, with(good, 'd')).status == 401);
CHECK(ask(s.port, with(good, 'b', 63)).status == 401);
CHECK(ask(s.port, with(request::get("/metrics", s.port), 'b')).status == 401);
CHECK(ask(s.port, with(request::get("/metrics", s.port), 'a')).status == 200);
}

TEST_CASE("a Host name that is not loopback is refused, against DNS rebinding", "[http]") {
  running_server s;
  auto port = std::to_string(s.port);
  auto status = [&](const std::string& host) {
    return ask(s.port, request::get("/healthz", s.port).with("Host", host)).status;
  };
  for (const auto* host : {"127.0.0.1:", "localhost:", "LocalHost:", "127.1.2.3:", "[::1]:"})
    CHECK(status(host + port) == 200);
  for (const std::string& host :
       {"evil.example:" + port, "localhost.evil.example:" + port, "127.0.0.1.evil.example:" + port,
        "localhost.:" + port, "192.168.0.1:" + port, "0.0.0.0:" + port, "[::]:" + port, "[::ffff:127.0.0.1]:" + port,
        "::1:" + port, std::string{"127.0.0.1"}, std::string{"127.0.0.1:1"}, "127.0.0.1:" + port + "0",
        "127.0.0.1:" + port + "x", "2130706433:" + port, "user@127.0.0.1:" + port, std::string{""}, std::string{":"},
        ":" + port})
    CHECK(status(host) == 403);
  auto request = request::get("/healthz", s.port);
  CHECK(ask(s.port, request.without("Host")).status == 400);
  request.fields.emplace_back("Host", "127.0.0.1:" + port);
  CHECK(ask(s.port, request).status == 400);
}

TEST_CASE("pages of other origins are refused, and no CORS header allows a page to read", "[http]") {
  running_server s;
  auto ask_from = [&](const std::string& origin) {
    auto result = ask(s.port, request::post("/rpc", call("echo"), s.port).with("Origin", origin));
    for (const auto& [name, value] : result.fields)
      CHECK_FALSE(name.starts_with("access-control-"));
    return result.status;
  };
  for (const auto* origin : {"http://localhost", "http://127.0.0.1:3000", "https://localhost:1", "http://[::1]:8080"})
    CHECK(ask_from(origin) == 200);
  for (const auto* origin :
       {"null", "https://evil.example", "http://localhost.evil.example", "http://evil.example:80", "file://", "",
        "http://localhost:x", "http://localhost:", "http://127.0.0.1@evil.example", "http://", "ftp://localhost"})
    CHECK(ask_from(origin) == 403);
  auto preflight = request::get("/rpc", s.port).with("Access-Control-Request-Method", "POST");
  preflight.method = "OPTIONS";
  CHECK(ask(s.port, preflight).status == 405);
}

TEST_CASE("HTTP that is malformed or smuggled is refused and the connection ended", "[http]") {
  running_server s;
  auto host = "Host: localhost:" + std::to_string(s.port) + "\r\n";
  for (const auto& text : std::vector<std::string>{
         std::string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11} + "\r\n\r\n", std::string{"GET\r\n\r\n"},
         "GET /healthz HTTP/9.9\r\n" + host + "\r\n", "GET /healthz HTTP/1.1\r\n" + host + "no colon\r\n\r\n",
         "POST /rpc HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n",
         "POST /rpc HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
         "POST /rpc HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
         "GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n"}) {
    INFO(text);
    raw_client client{s.port};
    client.send(text);
    auto result = client.receive();
    CHECK(result.status == 400);
    CHECK(result.code() == "invalid_request");
    CHECK(client.ended());
  }
}

TEST_CASE("a body is framed by its length or in chunks only", "[http]") {
  running_server s;
  auto head = "POST /rpc HTTP/1.1\r\nHost: localhost:" + std::to_string(s.port) + "\r\nAuthorization: Bearer " + token
              + "\r\nContent-Type: application/json\r\n";
  const std::string call = R"({"jsonrpc":"2.0","id":1,"method":"echo","params":[1]})";
  auto length = "Content-Length: " + std::to_string(call.size()) + "\r\n";
  struct attempt {
    std::string fields;
    int status;
  };
  for (const auto& each : std::vector<attempt>{{"Transfer-Encoding: xchunked\r\n" + length, 400},
                                               {"Transfer-Encoding: chunked, identity\r\n" + length, 400},
                                               {length + "Transfer-Encoding: identity\r\n", 400},
                                               {"Transfer-Encoding: xchunked\r\n", 501},
                                               {"Transfer-Encoding: identity\r\n", 501},
                                               {"Transfer-Encoding: gzip, chunked\r\n", 501},
                                               {"Transfer-Encoding: chunked, identity\r\n", 501}}) {
    INFO(each.fields);
    raw_client client{s.port};
    // The following bytes must not be parsed as another request.
    client.send(head + each.fields + "\r\n" + call + request::get("/healthz", s.port).text());
    auto answer = client.receive();
    CHECK(answer.status == each.status);
    CHECK(answer.code() == "invalid_request");
    CHECK(client.ended());
  }
  // Before a token has been checked, and where a request has no body.
  raw_client other{s.port};
  other.send("GET /healthz HTTP/1.1\r\nHost: localhost:" + std::to_string(s.port) + "\r\nTransfer-Encoding: x\r\n\r\n");
  CHECK(other.receive().status == 501);
  CHECK(other.ended());
  raw_client good{s.port};
  good.send(head + "Transfer-Encoding: Chunked\r\n\r\n" + "1\r\n{\r\n" + "34\r\n" + call.substr(1) + "\r\n0\r\n\r\n");
  CHECK(good.receive().status == 200);
}

TEST_CASE("the server listens on loopback addresses only, and not without a token", "[http]") {
  boost::asio::io_context loop;
  fake_backend backend;
  auto listen = [&](const std::string& address) {
    return http::server::listen(loop, {.address = address, .token = token}, backend);
  };
  for (const auto* address : {"127.0.0.1:0", "localhost:0", "127.0.0.2:0"}) {
    INFO(address);
    auto result = listen(address);
    REQUIRE(result);
    CHECK((*result)->port() != 0);
  }
  for (const auto* address :
       {"0.0.0.0:0", "192.168.1.1:80", "example.org:80", "[::]:0", "::1:80", ":80", "80", "", "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:8x", "127.0.0.1:80:80", "127.1:80"}) {
    INFO(address);
    auto answer = listen(address);
    REQUIRE_FALSE(answer);
    CHECK(code_of(answer.error()) == errc::invalid_request);
  }
  CHECK_FALSE(http::server::listen(loop, {.address = "127.0.0.1:0"}, backend));
  auto first = listen("127.0.0.1:0");
  REQUIRE(first);
  auto second = listen("127.0.0.1:" + std::to_string((*first)->port()));
  REQUIRE_FALSE(second);
  CHECK(code_of(second.error()) == errc::unavailable);
}

} // namespace sluice::test::security_test
