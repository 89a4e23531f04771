#include "runtime/server/rpc/strict_json.hpp"

#include "messages/error.hpp"
#include "runtime/server/rpc/dispatch.hpp"
#include "tests/runtime/server/rpc/fake_handler.hpp"

#include <catch2/catch.hpp>

#include <random>

namespace sluice::test::strict_json_test {

using Catch::Contains;
using nlohmann::json;
using rpc::parse_strictly;
using namespace std::string_literals;

namespace {

std::string why_not(const std::string& text) {
  INFO(text);
  auto result = parse_strictly(text);
  REQUIRE_FALSE(result);
  CHECK(code_of(result.error()) == errc::invalid_request);
  return describe(result.error()).message;
}

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

} // namespace

TEST_CASE("strict JSON: documents of every kind read as the library reads them") {
  for (const auto& text : {R"({"a":[1,-2,3.5,"x",null,true,false,{}],"b":{"c":[[],{"d":""}]},"":0})"s, "null"s, "-0.0"s,
                           "1e2"s, " [ 1 , 2 ] \n"s, R"("\u00e9\ud83d\ude00\u0000\"\\\/\b\f\n\r\t")"s,
                           "\"gr\u00f6\u00dfe\""s, "\xef\xbb\xbf[]"s}) {
    INFO(text);
    auto result = parse_strictly(text);
    REQUIRE(result);
    CHECK(*result == json::parse(text));
    CHECK(result->dump() == json::parse(text).dump());
  }
}

TEST_CASE("strict JSON: integers of 64 bits stay integers, larger ones are refused") {
  CHECK(parse_strictly("9223372036854775807")->is_number_integer());
  CHECK(parse_strictly("-9223372036854775808")->get<int64_t>() == INT64_MIN);
  CHECK(parse_strictly("18446744073709551615")->get<uint64_t>() == UINT64_MAX);
  CHECK_THAT(why_not("18446744073709551616"), Contains("64 bits"));
  CHECK_THAT(why_not("-9223372036854775809"), Contains("64 bits"));
  CHECK_THAT(why_not("[1," + std::string(400, '9') + "]"), Contains("does not fit in 64 bits") || Contains("infinite"));
  CHECK(parse_strictly("18446744073709551616.0")->is_number_float());
  CHECK(parse_strictly("1e19")->is_number_float());
}

TEST_CASE("strict JSON: reals that would become infinite are refused") {
  CHECK_THAT(why_not("[1e400]"), Contains("infinite"));
  CHECK_THAT(why_not("-1.5e999"), Contains("infinite"));
  CHECK(parse_strictly("1.7976931348623157e308"));
}

TEST_CASE("strict JSON: a member given twice is refused by name, at any depth") {
  CHECK_THAT(why_not(R"({"a":1,"b":2,"a":1})"), Contains("\"a\" twice") && Contains("at byte 16"));
  CHECK_THAT(why_not(R"([{"x":{"a":1,"a":2}}])"), Contains("\"a\" twice"));
  CHECK_THAT(why_not(R"({"a":1,"\u0061":2})"), Contains("\"a\" twice"));
  CHECK_THAT(why_not(R"({"":1,"":2})"), Contains("twice"));
  CHECK(parse_strictly(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})"));
}

TEST_CASE("strict JSON: 64 levels are read, 65 are refused") {
  CHECK(parse_strictly(nested(64)));
  CHECK_THAT(why_not(nested(65)), Contains("64 levels") && Contains("at byte 65"));
  CHECK_THAT(why_not(std::string(1'000'000, '[')), Contains("64 levels"));
  std::string objects;
  for (int i = 0; i < 65; ++i)
    objects += R"({"a":)";
  CHECK_THAT(why_not(objects), Contains("64 levels"));
}

TEST_CASE("strict JSON: text that is no UTF-8 is refused") {
  for (const auto& bad : {"\xff"s, "\xc3"s, "\xc0\x80"s, "\xed\xa0\x80"s, "\xf5\x80\x80\x80"s, "\xe2\x82"s}) {
    why_not("\"" + bad + "\"");
    why_not("{\"" + bad + "\":1}");
  }
  why_not(R"("\ud800")");
  why_not(R"("\udc00\ud800")");
}

TEST_CASE("strict JSON: a NUL does not end a document") {
  CHECK_THAT(why_not("{}\0"s), Contains("NUL"));
  CHECK_THAT(why_not("{}\0garbage"s), Contains("NUL"));
  why_not("[1,\0]"s);
  why_not("\"a\0b\""s);
  why_not("\0"s);
}

TEST_CASE("strict JSON: text outside of the grammar is refused with its position") {
  for (const auto* bad :
       {"",    " ",     "{",       "[1,]",     "{\"a\":1,}", "01",     "+1",      ".5",  "1.",  "NaN", "Infinity",
        "'a'", "{a:1}", "// c\n1", "/* c */1", "[1 2]",      "\"\n\"", "\"\\x\"", "tru", "1 1", "[}",  "\"open"})
    CHECK_THAT(why_not(bad), Contains("at byte"));
  CHECK_THAT(why_not("[1,]"), Contains("at byte 4") && Contains("syntax error"));
}

TEST_CASE("strict JSON: a refusal does not contain the document") {
  std::string secret(5'000, 's');
  CHECK(why_not("[\"" + secret + "\n\"]").size() < 300);
  CHECK(why_not("{\"" + secret + "\":1,\"" + secret + "\":2}").size() < 300);
}

TEST_CASE("mutated documents are each answered once, with JSON or not at all") {
  const std::vector<std::string> seeds{
    R"json({"jsonrpc":"2.0","method":"echo","params":{"db":"app.db","statements":[{"sql":"INSERT INTO t VALUES (?)","params":[1,-2.5e3,"x",null,{"$blob":"AA=="}]}]},"id":17})json",
    R"([{"jsonrpc":"2.0","method":"echo","params":[true,"\u00e9\ud83d\ude00"],"id":"a"},{"jsonrpc":"2.0","method":"later"}])",
    R"({"jsonrpc":"2.0","method":"throw","id":9007199254740993})"};
  const std::string bytes = "{}[]\",:0123456789.eE+-\\untrflas \xc3\xff\x01"s + '\0';
  std::mt19937 random{20240229};
  auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>{0, n - 1}(random); };
  rpc::fake_handler port;
  for (int i = 0; i < 20'000; ++i) {
    auto text = seeds[below(seeds.size())];
    for (auto n = 1 + below(4); n > 0 && !text.empty(); --n) {
      auto at = below(text.size());
      switch (below(5)) {
      case 0: text[at] = bytes[below(bytes.size())]; break;
      case 1: text.erase(at, 1 + below(8)); break;
      case 2: text.insert(at, 1, bytes[below(bytes.size())]); break;
      case 3: text.insert(at, text.substr(below(text.size()), below(30))); break;
      default: text.resize(at); break;
      }
    }
    int answered = 0;
    std::string answer;
    rpc::dispatch(text, port, [&](std::string name) {
      ++answered;
      answer = std::move(name);
    });
    for (auto& done : port.waiting)
      done({nullptr, {}});
    port.waiting.clear();
    port.calls.clear();
    port.ids.clear();
    if (answered != 1 || !(answer.empty() || json::accept(answer))) {
      CAPTURE(text, answer);
      FAIL("answered " << answered << " times");
    }
  }
}

} // namespace sluice::test::strict_json_test
