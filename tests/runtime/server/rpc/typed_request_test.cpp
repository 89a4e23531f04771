#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/strict_json.hpp"
#include "runtime/server/rpc/typed_request.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>

namespace sluice::test::typed_request_test {

using nlohmann::json;

namespace {

template <class Request> void check_same(const caf::expected<Request>& from_tree, const Request& request) {
  REQUIRE(from_tree);
  CHECK(rpc::params_of(*from_tree) == rpc::params_of(request));
  CHECK(from_tree->integers == request.integers);
}

// Whether the document is read without a DOM; if so, reading it from a DOM must give the same request.
bool reads(const std::string& document) {
  static rpc::typed_reader reader;
  auto typed = reader.read(document);
  if (!typed)
    return false;
  CAPTURE(document);
  auto dom = rpc::parse_strictly(document);
  REQUIRE(dom);
  CHECK((*dom).at("id") == typed->id);
  const auto& params = (*dom).at("params");
  if (const auto* write = std::get_if<write_request>(&typed->content)) {
    CHECK((*dom).at("method") == "write");
    check_same(rpc::write_from_json(params), *write);
  } else {
    CHECK((*dom).at("method") == "read");
    check_same(rpc::read_from_json(params), std::get<read_request>(typed->content));
  }
  return true;
}

std::string call(const std::string& method, const std::string& params) {
  return R"({"jsonrpc":"2.0","id":7,"method":")" + method + R"(","params":)" + params + "}";
}

bool reads_write(const std::string& params) { return reads(call("write", params)); }
bool reads_read(const std::string& params) { return reads(call("read", params)); }

} // namespace

TEST_CASE("requests as clients send them are read without a DOM, with the same result") {
  CHECK(reads_write(R"({"db":"a.db","sql":"INSERT"})"));
  CHECK(reads_write(
    R"({"agent":"x","db":"a.db","idempotency_key":"k","statements":[{"params":[1,2.5,null,"é",-3],"sql":"S"}]})"));
  CHECK(reads_write(R"({"statements":[{"sql":"S"},{"sql":"T","params":{"b":1,"a":"x"}}],"db":"a.db","deadline_ms":5,
                        "foreign_keys":"off","integers":"text","request_id":"r","correlation_id":"c"})"));
  CHECK(reads_write(R"({"params":[],"sql":"S","db":"a.db","foreign_keys":"on","integers":"tagged"})"));
  CHECK(reads_write(R"({"db":"a.db","sql":"S","expect":{"changes":1}})"));
  CHECK(reads_write(R"({"db":"a.db","statements":[{"expect":{"changes":0},"sql":"S"},{"sql":"T"}]})"));
  CHECK(
    reads_write(R"({"db":"a.db","sql":"S","params":[9223372036854775807,-9223372036854775808,1e300,0.1,-0,-0.0]})"));
  CHECK(reads_write("{\"db\":\"a.db\",\"sql\":\"\\u0000\\u00e9\\ud83d\\ude00\\n\\\"\"}"));
  CHECK(reads_read(R"({"db":"a.db","sql":"S","freshness":"fresh","min_seq":18446744073709551615,"max_rows":1,
                       "max_bytes":1024,"timeout_ms":86400000,"params":["x"]})"));
  CHECK(reads_read(R"({"db":"a.db","sql":"S","freshness":"cached","integers":"number"})"));
  CHECK(reads(R"({"id":18446744073709551615,"method":"read","params":{"db":"","sql":""},"jsonrpc":"2.0"})"));
}

TEST_CASE("all other documents, and invalid ones, are read from a DOM") {
  CHECK_FALSE(reads(""));
  CHECK_FALSE(reads("x"));
  CHECK_FALSE(reads("[]"));
  CHECK_FALSE(reads("[" + call("read", R"({"db":"a","sql":"S"})") + "]"));
  CHECK_FALSE(reads(call("read", R"({"db":"a","sql":"S"})") + "x"));
  CHECK_FALSE(reads(R"({"jsonrpc":"2.0","method":"read","params":{"db":"a","sql":"S"}})"));
  CHECK_FALSE(reads(R"({"jsonrpc":"2.0","id":"x","method":"read","params":{"db":"a","sql":"S"}})"));
  CHECK_FALSE(reads(R"({"jsonrpc":"2.0","id":-1,"method":"read","params":{"db":"a","sql":"S"}})"));
  CHECK_FALSE(reads(R"({"jsonrpc":"2.0","id":1,"id":1,"method":"read","params":{"db":"a","sql":"S"}})"));
  CHECK_FALSE(reads(R"({"jsonrpc":"1.0","id":1,"method":"read","params":{"db":"a","sql":"S"}})"));
  CHECK_FALSE(reads(R"({"jsonrpc":"2.0","id":1,"method":"read","params":{"db":"a","sql":"S"},"more":1})"));
  CHECK_FALSE(reads(call("ping", "{}")));
  CHECK_FALSE(reads(call("read", "null")));
  for (auto* params :
       {R"({"sql":"S"})", R"({"db":"a"})", R"({"db":1,"sql":"S"})", R"({"db":"a","sql":"S","sql":"S"})",
        R"({"db":"a","sql":"S","params":[true]})", R"({"db":"a","sql":"S","params":[[1]]})",
        R"({"db":"a","sql":"S","params":[{"$blob":"AA=="}]})", R"({"db":"a","sql":"S","params":[9223372036854775808]})",
        R"({"db":"a","sql":"S","params":[1e999]})", R"({"db":"a","sql":"S","params":{"":1}})",
        R"({"db":"a","sql":"S","params":{":a":1}})", R"({"db":"a","sql":"S","params":{"a":1,"a":1}})",
        R"({"db":"a","sql":"S","params":5})", R"({"db":"a","sql":"S","integers":"x"})", R"({"db":"a","sql":"S","x":1})",
        R"({"db":"a","sql":"\ud800"})", R"({"db":"a","sql":"\udc00"})", "{\"db\":\"a\",\"sql\":\"\xff\"}"}) {
    CAPTURE(params);
    CHECK_FALSE(reads_read(params));
    CHECK_FALSE(reads_write(params));
  }
  for (auto* params : {R"({"db":"a","sql":"S","freshness":"x"})", R"({"db":"a","sql":"S","min_seq":-1})",
                       R"({"db":"a","sql":"S","max_rows":0})", R"({"db":"a","sql":"S","max_bytes":1})",
                       R"({"db":"a","sql":"S","timeout_ms":1.5})", R"({"db":"a","sql":"S","idempotency_key":"k"})"}) {
    CAPTURE(params);
    CHECK_FALSE(reads_read(params));
  }
  for (auto* params :
       {R"({"db":"a","statements":[]})", R"({"db":"a","statements":[{}]})",
        R"({"db":"a","statements":[{"sql":"S","x":1}]})", R"({"db":"a","statements":[{"sql":"S"}],"sql":"S"})",
        R"({"db":"a","sql":"S","statements":[{"sql":"S"}]})", R"({"db":"a","statements":[{"sql":"S"}],"params":[]})",
        R"({"db":"a","sql":"S","idempotency_key":""})", R"({"db":"a","sql":"S","deadline_ms":0})",
        R"({"db":"a","sql":"S","deadline_ms":86400001})", R"({"db":"a","sql":"S","foreign_keys":true})",
        R"({"db":"a","params":[]})", R"({"db":"a","sql":"S","capsule":"x"})"}) {
    CAPTURE(params);
    CHECK_FALSE(reads_write(params));
  }
  CHECK_FALSE(reads_write(R"({"db":"a","sql":")" + std::string(70'000, 'x') + R"("})"));
}

// Requests with one random change.
TEST_CASE("reading without a DOM and with one gives the same for any document") {
  std::mt19937 random{GENERATE(1U, 2U, 3U, 4U)};
  auto pick = [&](auto... all) {
    const std::array<std::string, sizeof...(all)> texts{all...};
    return texts[random() % texts.size()];
  };
  auto read = 0;
  for (auto i = 0; i < 3'000; ++i) {
    auto cell = [&] {
      return pick("1", "-1", "0", "-0", "1.0", "1e5", "1e-400", "true", "null", "\"x\"", "\"\\u00e9\"", "\"\\ud83d\"",
                  "18446744073709551615", "0.30000000000000004", "123456789012345678", "{}", "[]",
                  "{\"$integer\":\"5\"}");
    };
    auto params = random() % 2 ? "[" + cell() + "," + cell() + "]" : "{\"" + pick("a", "b", "") + "\":" + cell() + "}";
    auto member = [&] {
      return pick("\"sql\":\"S\"", "\"db\":\"a\"", "\"agent\":\"x\"", "\"params\":" + params,
                  "\"deadline_ms\":" + cell(), "\"timeout_ms\":" + cell(), "\"min_seq\":" + cell(),
                  "\"idempotency_key\":" + pick("\"k\"", "\"\"", "1"),
                  "\"statements\":[{\"sql\":\"S\",\"params\":" + params + "}]", "\"freshness\":\"fresh\"",
                  "\"integers\":" + pick("\"text\"", "\"number\"", "1"), "\"correlation_id\":" + cell());
    };
    auto text = std::string{"{\"db\":\"a\""};
    for (auto count = random() % 4; count > 0; --count)
      text += pick(",", ", ", " ,\t") + member();
    text += random() % 3 ? ",\"sql\":\"S\"}" : "}";
    auto document = call(pick("write", "read"), text);
    // Replaces a byte now and then.
    if (random() % 4 == 0)
      document[random() % document.size()] = static_cast<char>(random());
    read += reads(document) ? 1 : 0;
  }
  CHECK(read > 200);
}

} // namespace sluice::test::typed_request_test
