#include "tests/runtime/server/http/http_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::routes_test {

TEST_CASE("a JSON-RPC request is answered over HTTP", "[http]") {
  running_server s;
  auto result = ask(s.port, request::post("/rpc", call("echo", {{"a", 1}}), s.port));
  CHECK(result.status == 200);
  CHECK(result.field("content-type") == "application/json");
  CHECK(result.field("cache-control") == "no-store");
  auto answer = nlohmann::json::parse(result.body);
  CHECK(answer["id"] == 1);
  CHECK(answer["result"] == nlohmann::json{{"a", 1}});
}

TEST_CASE("an HTTP batch is answered as a batch", "[http]") {
  running_server s;
  auto result =
    ask(s.port, request::post("/rpc", "[" + call("echo", {1}, "x") + "," + call("none", {}, "y") + "]", s.port));
  CHECK(result.status == 200);
  CHECK(nlohmann::json::parse(result.body).size() == 2);
}

TEST_CASE("notifications alone are answered with 204 and nothing more", "[http]") {
  running_server s;
  raw_client client{s.port};
  auto request = request::post("/rpc", R"({"jsonrpc":"2.0","method":"echo"})", s.port);
  client.send(request.text());
  auto result = client.receive();
  CHECK(result.status == 204);
  CHECK_FALSE(result.fields.contains("content-length"));
  client.send(request::get("/healthz", s.port).text());
  CHECK(client.receive().status == 200);
}

TEST_CASE("JSON that cannot be parsed gets a JSON-RPC error", "[http]") {
  running_server s;
  auto result = ask(s.port, request::post("/rpc", "{\"jsonrpc\":", s.port));
  CHECK(result.status == 200);
  CHECK(nlohmann::json::parse(result.body)["error"]["code"] == -32700);
}

TEST_CASE("health needs no token and has the reason when it is bad", "[http]") {
  running_server s;
  auto request = request::get("/healthz", s.port).without("Authorization");
  auto good = ask(s.port, request);
  CHECK(good.status == 200);
  CHECK(nlohmann::json::parse(good.body) == nlohmann::json{{"status", "ready"}});
  s.run([&] { s.backend.state = {false, "the disk is full"}; });
  auto bad = ask(s.port, request);
  CHECK(bad.status == 503);
  CHECK(nlohmann::json::parse(bad.body)["reason"] == "the disk is full");
}

TEST_CASE("metrics are text and need the token", "[http]") {
  running_server s;
  auto result = ask(s.port, request::get("/metrics?x=1", s.port));
  CHECK(result.status == 200);
  CHECK(result.field("content-type").starts_with("text/plain; version=0.0.4"));
  CHECK(result.body == "sluice_up 1\n");
  CHECK(ask(s.port, request::get("/metrics", s.port).without("Authorization")).status == 401);
}

TEST_CASE("HEAD is answered like GET without the body, and the connection stays usable", "[http]") {
  running_server s;
  raw_client client{s.port};
  auto head = request::get("/metrics", s.port);
  head.method = "HEAD";
  client.send(head.text() + request::get("/metrics", s.port).text());
  auto result = client.receive(true);
  CHECK(result.status == 200);
  CHECK(result.field("content-length") == "12");
  CHECK(client.receive().body == "sluice_up 1\n");
}

TEST_CASE("unknown paths, wrong methods and wrong types are refused by name", "[http]") {
  running_server s;
  auto get = [&](std::string path) { return ask(s.port, request::get(std::move(path), s.port)); };
  auto post = [&](std::string path) { return request::post(std::move(path), call("echo"), s.port); };
  CHECK(get("/").status == 404);
  CHECK(get("/rpc/").status == 404);
  CHECK(get("/nothing").code() == "invalid_request");
  CHECK(get("/rpc").status == 405);
  CHECK(get("/rpc").field("allow") == "POST");
  CHECK(ask(s.port, post("/healthz")).status == 405);
  CHECK(ask(s.port, post("/metrics")).field("allow") == "GET, HEAD");
  CHECK(ask(s.port, post("/rpc").with("Content-Type", "text/plain")).status == 415);
  CHECK(ask(s.port, post("/rpc").with("Content-Type", "application/x-www-form-urlencoded")).status == 415);
  CHECK(ask(s.port, post("/rpc").without("Content-Type")).status == 415);
  CHECK(ask(s.port, post("/rpc").with("Content-Encoding", "gzip")).status == 415);
  CHECK(ask(s.port, post("/rpc").with("Content-Type", "Application/JSON ; charset=utf-8")).status == 200);
  CHECK(ask(s.port, post("/rpc").with("Expect", "a miracle")).status == 417);
  CHECK(ask(s.port, request::get("/healthz", s.port).with("Content-Length", "5")).status == 400);
}

TEST_CASE("an MCP client may post, and other methods are refused with the allowed ones", "[http]") {
  running_server s;
  auto ping = request::post("/mcp", call("ping", nlohmann::json::object()), s.port);
  auto result = ask(s.port, ping.with("MCP-Protocol-Version", "2025-06-18"));
  CHECK(result.status == 200);
  CHECK(nlohmann::json::parse(result.body)["result"] == nlohmann::json::object());
  CHECK(ask(s.port, ping).status == 200);
  CHECK(ask(s.port, ping.with("MCP-Protocol-Version", "1999-01-01")).status == 400);

  auto notification = request::post("/mcp", R"({"jsonrpc":"2.0","method":"notifications/initialized"})", s.port);
  auto accepted = ask(s.port, notification);
  CHECK(accepted.status == 202);
  CHECK(accepted.body.empty());
  CHECK(ask(s.port, request::post("/mcp", "nonsense", s.port)).status == 400);

  auto get = request::get("/mcp", s.port).with("Accept", "text/event-stream");
  CHECK(ask(s.port, get).status == 405);
  CHECK(ask(s.port, get).field("allow") == "POST");
  get.method = "DELETE";
  CHECK(ask(s.port, get).status == 405);
}

TEST_CASE("a connection serves many requests, in the order in which they came", "[http]") {
  running_server s;
  raw_client client{s.port};
  std::string ahead;
  for (int i = 1; i <= 50; ++i)
    ahead += request::post("/rpc", call("echo", {i}, i), s.port).text();
  s.await(s.backend.on_held, [&] { client.send(request::post("/rpc", call("hold", {}, 0), s.port).text()); });
  client.send(ahead);
  s.release("first");
  for (int i = 0; i <= 50; ++i)
    CHECK(nlohmann::json::parse(client.receive().body)["id"] == i);
}

TEST_CASE("a body may come in chunks", "[http]") {
  running_server s;
  raw_client client{s.port};
  auto request = request::post("/rpc", "", s.port).with("Transfer-Encoding", "chunked");
  auto head = request.header();
  head.erase(head.find("Content-Length"), std::string_view{"Content-Length: 0\r\n"}.size());
  auto body = call("echo", {1});
  client.send(head + "5\r\n" + body.substr(0, 5) + "\r\n");
  client.send("1f4\r\n" + body.substr(5) + std::string(500 - body.size() + 5, ' ') + "\r\n0\r\n\r\n");
  CHECK(client.receive().status == 200);
}

TEST_CASE("a client that expects 100-continue gets it before it sends the body", "[http]") {
  running_server s;
  raw_client client{s.port};
  auto request = request::post("/rpc", call("echo", {1}), s.port).with("Expect", "100-continue");
  client.send(request.header());
  CHECK(client.receive().status == 100);
  client.send(request.body);
  CHECK(client.receive().status == 200);

  raw_client stranger{s.port};
  stranger.send(request.without("Authorization").header());
  CHECK(stranger.receive().status == 401);
}

TEST_CASE("a client that wants the connection closed has it closed", "[http]") {
  running_server s;
  raw_client client{s.port};
  client.send(request::get("/healthz", s.port).with("Connection", "close").text());
  CHECK(client.receive().field("connection") == "close");
  CHECK(client.ended());
  raw_client old{s.port};
  auto host = "Host: localhost:" + std::to_string(s.port) + "\r\n";
  old.send("GET /healthz HTTP/1.0\r\n" + host + "\r\n");
  CHECK(old.receive().status == 200);
  CHECK(old.ended());
}

} // namespace sluice::test::routes_test
