#include "runtime/server/rpc/dispatch.hpp"

#include "tests/runtime/server/rpc/fake_handler.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::dispatch_test {

using nlohmann::json;
using rpc::fake_handler;

namespace {

struct client {
  fake_handler port;
  std::vector<std::string> answers;

  void send(const std::string& document) {
    rpc::dispatch(document, port, [this](std::string x) { answers.push_back(std::move(x)); });
  }

  json ask(const std::string& document) {
    auto before = answers.size();
    send(document);
    REQUIRE(answers.size() == before + 1);
    INFO(document << " -> " << answers.back());
    CHECK(answers.back().find('\n') == std::string::npos);
    REQUIRE(json::accept(answers.back()));
    return json::parse(answers.back());
  }

  void is_not_answered(const std::string& document) {
    auto before = answers.size();
    send(document);
    INFO(document);
    REQUIRE(answers.size() == before + 1);
    CHECK(answers.back().empty());
  }
};

void is_error(const json& document, int code, const json& id = nullptr) {
  INFO(document.dump());
  CHECK(document["jsonrpc"] == "2.0");
  CHECK(document["id"].dump() == id.dump());
  CHECK(document["error"]["code"] == code);
  CHECK(document["error"]["message"].is_string());
  CHECK_FALSE(document.contains("result"));
}

} // namespace

TEST_CASE("a request is answered with its result and its id") {
  client aut;
  CHECK(aut.ask(R"({"jsonrpc":"2.0","method":"echo","params":{"a":[1]},"id":7})")
        == json::parse(R"({"jsonrpc":"2.0","result":{"a":[1]},"id":7})"));
  REQUIRE(aut.port.calls.size() == 1);
  CHECK(aut.port.calls[0].method == "echo");
}

TEST_CASE("a result of null is still a result") {
  client aut;
  CHECK(aut.ask(R"({"jsonrpc":"2.0","method":"echo","id":1})")
        == json::parse(R"({"jsonrpc":"2.0","result":null,"id":1})"));
}

TEST_CASE("params may be an object, an array or absent") {
  client aut;
  CHECK(aut.ask(R"({"jsonrpc":"2.0","method":"echo","params":{},"id":1})")["result"] == json::object());
  CHECK(aut.ask(R"({"jsonrpc":"2.0","method":"echo","params":[],"id":1})")["result"] == json::array());
  CHECK(aut.ask(R"({"jsonrpc":"2.0","method":"echo","id":1})")["result"].is_null());
}

TEST_CASE("params of any other type make a request invalid") {
  client aut;
  for (const auto* params : {"null", "1", "1.5", "true", "\"x\""}) {
    is_error(aut.ask(R"({"jsonrpc":"2.0","method":"echo","id":1,"params":)" + std::string{params} + "}"),
             rpc::invalid_request, 1);
    is_error(aut.ask(R"({"jsonrpc":"2.0","method":"echo","params":)" + std::string{params} + "}"),
             rpc::invalid_request);
  }
  CHECK(aut.port.calls.empty());
}

TEST_CASE("an id that is a text, a number or null comes back as it was sent") {
  client aut;
  for (const auto* id : {"1", "0", "-1", "9223372036854775807", "18446744073709551615", "1.5", "1e300", "0.1", "\"\"",
                         "\"a\\u0000b\"", "\"gr\u00f6\u00dfe\"", "null"}) {
    auto result = aut.ask(R"({"jsonrpc":"2.0","method":"echo","id":)" + std::string{id} + "}");
    INFO(id);
    CHECK(result["id"] == json::parse(id));
    CHECK(result["id"].type() == json::parse(id).type());
    CHECK(result.contains("result"));
  }
}

TEST_CASE("an id of another type makes a request invalid and is answered with id null") {
  client aut;
  for (const auto* id : {"true", "{}", "[1]"})
    is_error(aut.ask(R"({"jsonrpc":"2.0","method":"echo","id":)" + std::string{id} + "}"), rpc::invalid_request);
  CHECK(aut.port.calls.empty());
}

TEST_CASE("the version is required and must be the text 2.0") {
  client aut;
  for (const auto* version :
       {"", R"("jsonrpc":"1.0",)", R"("jsonrpc":2.0,)", R"("jsonrpc":null,)", R"("jsonrpc":"2",)"})
    is_error(aut.ask("{" + std::string{version} + R"("method":"echo","id":3})"), rpc::invalid_request, 3);
  CHECK(aut.port.calls.empty());
}

TEST_CASE("the method must be a text") {
  client aut;
  is_error(aut.ask(R"({"jsonrpc":"2.0","method":1,"params":"bar"})"), rpc::invalid_request);
  is_error(aut.ask(R"({"jsonrpc":"2.0","method":null,"id":"a"})"), rpc::invalid_request, "a");
  is_error(aut.ask(R"({"jsonrpc":"2.0","id":"a"})"), rpc::invalid_request, "a");
}

TEST_CASE("an unknown method is answered with method not found") {
  client aut;
  auto result = aut.ask(R"({"jsonrpc":"2.0","method":"foobar","id":"1"})");
  is_error(result, rpc::method_not_found, "1");
  CHECK(result["error"]["data"]["code"] == "invalid_request");
}

TEST_CASE("invalid JSON is answered with a parse error and id null") {
  client aut;
  for (const auto* text :
       {"", " ", "{", R"({"jsonrpc":"2.0","method":"foobar,"params":"bar","baz])", "nothing",
        R"([{"jsonrpc":"2.0","method":"echo","id":"1"},{"jsonrpc":"2.0","method"])",
        R"({"jsonrpc":"2.0","method":"echo","id":1} {})", R"({"jsonrpc":"2.0","method":"echo","id":1,"id":2})",
        R"({"jsonrpc":"2.0","method":"echo","id":1,"params":[18446744073709551616]})"})
    is_error(aut.ask(text), rpc::parse_error);
  CHECK(aut.port.calls.empty());
}

TEST_CASE("a document that is neither object nor array is no valid request") {
  client aut;
  for (const auto* text : {"1", "null", "\"echo\"", "true"})
    is_error(aut.ask(text), rpc::invalid_request);
}

TEST_CASE("a notification is executed and never answered, also when it fails") {
  client aut;
  for (const auto* method : {"echo", "nothing of the kind", "throw", "twice"})
    aut.is_not_answered(R"({"jsonrpc":"2.0","method":")" + std::string{method} + "\"}");
  CHECK(aut.port.calls.size() == 4);
}

TEST_CASE("an empty batch is one invalid request") {
  client aut;
  is_error(aut.ask("[]"), rpc::invalid_request);
  is_error(aut.ask(" [ ] "), rpc::invalid_request);
}

TEST_CASE("each invalid member of a batch has an error of its own") {
  client aut;
  auto result = aut.ask("[1,2,[]]");
  REQUIRE(result.is_array());
  REQUIRE(result.size() == 3);
  for (const auto& one : result)
    is_error(one, rpc::invalid_request);
}

TEST_CASE("a batch is answered with one array, and its notifications are left out") {
  client aut;
  auto result = aut.ask(R"([{"jsonrpc":"2.0","method":"echo","params":[1,2,4],"id":"1"},
                       {"jsonrpc":"2.0","method":"echo","params":[7]},
                       {"foo":"boo"},
                       {"jsonrpc":"2.0","method":"foo.get","params":{"name":"myself"},"id":"5"},
                       {"jsonrpc":"2.0","method":"echo","id":"9"}])");
  REQUIRE(result.size() == 4);
  CHECK(result[0] == json::parse(R"({"jsonrpc":"2.0","result":[1,2,4],"id":"1"})"));
  is_error(result[1], rpc::invalid_request);
  is_error(result[2], rpc::method_not_found, "5");
  CHECK(result[3]["id"] == "9");
  CHECK(aut.port.calls.size() == 4);
}

TEST_CASE("a batch of one is answered with an array of one") {
  client aut;
  auto result = aut.ask(R"([{"jsonrpc":"2.0","method":"echo","id":1}])");
  REQUIRE(result.is_array());
  CHECK(result.size() == 1);
}

TEST_CASE("a batch of notifications alone is not answered") {
  client aut;
  aut.is_not_answered(R"([{"jsonrpc":"2.0","method":"echo"},{"jsonrpc":"2.0","method":"throw"}])");
  CHECK(aut.port.calls.size() == 2);
}

TEST_CASE("a batch of more than a thousand calls is refused as a whole") {
  client aut;
  auto batch = json::array();
  for (int i = 0; i < 1000; ++i)
    batch.push_back({{"jsonrpc", "2.0"}, {"method", "echo"}, {"id", i}});
  CHECK(aut.ask(batch.dump()).size() == 1000);
  aut.port.calls.clear();
  batch.push_back(batch[0]);
  is_error(aut.ask(batch.dump()), rpc::invalid_request);
  CHECK(aut.port.calls.empty());
}

TEST_CASE("a batch is answered once, when the last of its calls is, in whatever order they end") {
  client aut;
  aut.send(R"([{"jsonrpc":"2.0","method":"later","id":1},{"jsonrpc":"2.0","method":"later"},
               {"jsonrpc":"2.0","method":"later","id":2},{"jsonrpc":"2.0","method":"echo","id":3}])");
  REQUIRE(aut.port.waiting.size() == 3);
  aut.port.waiting[2]({"second", {}});
  aut.port.waiting[0]({"first", {}});
  CHECK(aut.answers.empty());
  aut.port.waiting[1]({"unheard", {}});
  REQUIRE(aut.answers.size() == 1);
  auto answer = json::parse(aut.answers[0]);
  REQUIRE(answer.size() == 3);
  CHECK(answer[0]["id"] == 3);
  CHECK(answer[1]["result"] == "second");
  CHECK(answer[2]["result"] == "first");
}

TEST_CASE("requests are answered in the order in which they end") {
  client aut;
  aut.send(R"({"jsonrpc":"2.0","method":"later","id":"slow"})");
  CHECK(aut.ask(R"({"jsonrpc":"2.0","method":"echo","id":"quick"})")["id"] == "quick");
  aut.port.waiting[0]({1, {}});
  REQUIRE(aut.answers.size() == 2);
  CHECK(json::parse(aut.answers[1])["id"] == "slow");
}

TEST_CASE("a call that throws is answered with an internal error without the exception's text") {
  client aut;
  auto result = aut.ask(R"({"jsonrpc":"2.0","method":"throw","id":1})");
  is_error(result, rpc::internal_error, 1);
  CHECK(result.dump().find("secret") == std::string::npos);
  CHECK(result["error"]["data"]["code"] == "internal");
  CHECK(result["error"]["data"]["outcome"] == "unknown");
}

TEST_CASE("only the first answer to a call counts") {
  client aut;
  CHECK(aut.ask(R"({"jsonrpc":"2.0","method":"twice","id":1})")["result"] == 1);
  CHECK(aut.ask(R"({"jsonrpc":"2.0","method":"answer and throw","id":1})")["result"] == 1);
  auto result =
    aut.ask(R"([{"jsonrpc":"2.0","method":"twice","id":1},{"jsonrpc":"2.0","method":"answer and throw","id":2},
                       {"jsonrpc":"2.0","method":"echo","id":3}])");
  REQUIRE(result.size() == 3);
  for (int i = 0; i < 3; ++i)
    CHECK(result[static_cast<size_t>(i)]["id"] == i + 1);
}

TEST_CASE("an error of sluice is answered with all its fields") {
  client aut;
  failure error;
  error.code = errc::overloaded;
  error.message = "the queue is full";
  error.retry_after_ms = 250;
  error.request_id = "r1";
  aut.port.always = rpc::answer{nullptr, rpc::error_of(error)};
  auto result = aut.ask(R"({"jsonrpc":"2.0","method":"write","id":1})");
  CHECK(result["error"] == json::parse(R"({"code":-32000,"message":"the queue is full","data":{"code":"overloaded",
             "message":"the queue is full","outcome":"not_committed","retry_after_ms":250,"request_id":"r1"}})"));
}

TEST_CASE("a diagnostic that is no UTF-8 is answered with its bytes escaped") {
  client aut;
  aut.port.always = rpc::answer{"a\xff", {}};
  CHECK(aut.ask(R"({"jsonrpc":"2.0","method":"read","id":1})")["result"] == "a\\xff");
}

TEST_CASE("a handler gets the id of each call before the call, and none for a notification") {
  client aut;
  aut.send(R"([{"jsonrpc":"2.0","method":"echo","id":"a"},{"jsonrpc":"2.0","method":"echo"},
               {"jsonrpc":"2.0","method":"echo","id":null},{"jsonrpc":"1.0","method":"echo","id":4}])");
  REQUIRE(aut.port.ids.size() == 3);
  CHECK(aut.port.ids[0] == json("a"));
  CHECK_FALSE(aut.port.ids[1]);
  CHECK(aut.port.ids[2] == json(nullptr));
}

} // namespace sluice::test::dispatch_test
