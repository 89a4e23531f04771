#include "runtime/json/json.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

namespace sluice::test::json_test {

using Catch::Contains;
using nlohmann::json;

namespace {

constexpr auto largest = std::numeric_limits<int64_t>::max();
constexpr auto smallest = std::numeric_limits<int64_t>::min();
constexpr auto infinite = std::numeric_limits<double>::infinity();

std::string refusal(const caf::expected<value>& result) {
  REQUIRE_FALSE(result);
  CHECK(code_of(result.error()) == errc::invalid_request);
  return describe(result.error()).message;
}

value read(const char* text) {
  auto result = value_from_json(json::parse(text), "x");
  REQUIRE(result);
  return *result;
}

value cli(std::string_view text) {
  auto result = parse_cli_value(text);
  REQUIRE(result);
  return *result;
}

rowset sample_rows() {
  rowset result{std::make_shared<const rowset::column_names>(rowset::column_names{"a", "b"})};
  const std::vector<value> cells{1, "x", nullptr, blob{"\x01"}};
  for (const auto& cell : cells)
    result.append(cell);
  return result;
}

} // namespace

TEST_CASE("every value is unchanged after a round trip through JSON") {
  using namespace std::string_literals;
  for (const auto& each : {value{},
                           value{0},
                           value{largest},
                           value{smallest},
                           value{1.5},
                           value{5.0},
                           value{-0.0},
                           value{1e300},
                           value{infinite},
                           value{-infinite},
                           value{""},
                           value{"gr\u00f6\u00dfe \"\n"},
                           value{"a\0b"s},
                           value{"caf\xe9"},
                           value{"\xed\xa0\x80"},
                           value{"\xc0\xaf\0"s},
                           value{"\ufeffx"},
                           value{"\ufffe \uffff \ufffd"},
                           value{"\xff"s + std::string(3'000, 'x')},
                           value{blob{}},
                           value{blob{"\0\xff\x80"s}},
                           value{"{\"$blob\":\"AA==\"}"}}) {
    auto text = dump(as_json(each));
    INFO(text);
    auto back = value_from_json(json::parse(text), "x");
    REQUIRE(back);
    CHECK(*back == each);
    CHECK(back->kind() == each.kind());
  }
}

TEST_CASE("values have the JSON form of the protocol") {
  CHECK(dump(as_json(value{})) == "null");
  CHECK(dump(as_json(value{largest})) == "9223372036854775807");
  CHECK(dump(as_json(value{1.5})) == "1.5");
  CHECK(dump(as_json(value{blob{"hello"}})) == R"({"$blob":"aGVsbG8="})");
  CHECK(dump(as_json(value{infinite})) == R"({"$real":"inf"})");
  CHECK(dump(as_json(value{std::nan("")})) == R"({"$real":"nan"})");
}

TEST_CASE("text that is not UTF-8 is written as $text, and not as a blob") {
  CHECK(dump(as_json(value{"caf\xe9"})) == R"({"$text":"Y2Fm6Q=="})");
  CHECK(read(R"({"$text":"Y2Fm6Q=="})") == value{"caf\xe9"});
  CHECK(read(R"({"$text":"Y2Fm"})") == value{"caf"});
  CHECK(read(R"({"$text":""})") == value{""});
  CHECK(dump(text_as_json("caf\xe9")) == R"({"$text":"Y2Fm6Q=="})");
  CHECK(text_from_json(text_as_json("caf\xe9")) == "caf\xe9");
  CHECK_FALSE(text_from_json(json::parse(R"({"$blob":"Y2Fm"})")));
}

TEST_CASE("a diagnostic that is not UTF-8 shows its bytes unambiguously") {
  failure error;
  error.message = "no such column: caf\xe9";
  CHECK(json::parse(dump(error_document(error)))["error"]["message"] == "no such column: caf\\xe9");
  CHECK(json::parse(dump_pretty(json{{"\xff", {1, "ok", "\xc3"}}})) == json{{"\\xff", {1, "ok", "\\xc3"}}});
}

TEST_CASE("a request that is not UTF-8 outside of its values is refused instead of changed") {
  CHECK(*dump_exactly({{"sql", "SELECT 1"}}) == R"({"sql":"SELECT 1"})");
  for (const auto& [request, where] :
       {std::pair{json{{"statements", json::array({{{"sql", "'caf\xe9'"}}})}}, "statements[0].sql "},
        {json{{"agent", "\xff"}}, "agent "},
        {json{{"params", {{"\xff", 1}}}}, "params.\\xff "}}) {
    auto result = dump_exactly(request);
    REQUIRE_FALSE(result);
    CHECK(code_of(result.error()) == errc::invalid_request);
    CHECK_THAT(describe(result.error()).message, Catch::StartsWith(where) && Contains("UTF-8"));
  }
}

TEST_CASE("integers beyond 2^53 have the requested form, smaller ones stay numbers") {
  constexpr auto exact = int64_t{1} << 53;
  for (auto each : {int64_t{0}, int64_t{-1}, exact, -exact})
    for (auto form : {integer_form::number, integer_form::text, integer_form::tagged})
      CHECK(as_json(value{each}, form) == json(each));
  CHECK(dump(as_json(value{exact + 1}, integer_form::text)) == R"("9007199254740993")");
  CHECK(dump(as_json(value{-exact - 1}, integer_form::text)) == R"("-9007199254740993")");
  CHECK(dump(as_json(value{smallest}, integer_form::tagged)) == R"({"$integer":"-9223372036854775808"})");
  CHECK(as_json(value{largest}) == json(largest));
  CHECK(read(R"({"$integer":"9007199254740993"})") == value{exact + 1});
  CHECK(read(R"({"$integer":"-9223372036854775808"})") == value{smallest});
  CHECK(read(R"("9007199254740993")") == value{"9007199254740993"});
}

TEST_CASE("an answer whose integers are texts says so, and its other numbers stay numbers") {
  rowset rows{std::make_shared<const rowset::column_names>(rowset::column_names{"a", "caf\xe9"})};
  rows.append(largest);
  rows.append(5);
  read_result result;
  result.as_of_seq = 3;
  result.rows = std::make_shared<const rowset>(rows);
  CHECK(as_json(result, integer_form::text) == json::parse(R"({"columns":["a",{"$text":"Y2Fm6Q=="}],
    "rows":[["9223372036854775807",5]],"truncated":false,"source":"database","as_of_seq":3,"integer_text":true})"));
  CHECK_FALSE(as_json(result).contains("integer_text"));
  CHECK_FALSE(as_json(result, integer_form::tagged).contains("integer_text"));
  write_result write_answer;
  write_answer.results.push_back({1, largest, rows});
  auto written = as_json(write_answer, integer_form::text);
  CHECK(written["integer_text"] == true);
  CHECK(written["results"][0]["last_insert_rowid"] == "9223372036854775807");
  CHECK(written["results"][0]["changes"] == 1);
  CHECK(as_json(write_answer, integer_form::tagged)["results"][0]["rows"][0][0]
        == json::parse(R"({"$integer":"9223372036854775807"})"));
}

TEST_CASE("invalid JSON for a value is refused with the name of its field") {
  auto refused = [](const char* text) { return refusal(value_from_json(json::parse(text), "params[1]")); };
  CHECK_THAT(refused("true"), Contains("params[1]") && Contains("boolean"));
  CHECK_THAT(refused("[1]"), Contains("params[1]"));
  CHECK_THAT(refused("{}"), Contains("params[1]") && Contains("$blob"));
  CHECK_THAT(refused(R"({"$blob":1})"), Contains("params[1]"));
  CHECK_THAT(refused(R"({"$blob":"AA==","b":1})"), Contains("params[1]"));
  CHECK_THAT(refused(R"({"other":"AA=="})"), Contains("params[1]"));
  CHECK_THAT(refused(R"({"$real":"1.5"})"), Contains("params[1]"));
  CHECK_THAT(refused("9223372036854775808"), Contains("64 bits"));
  for (const auto* bad : {R"({"$blob":"A"})", R"({"$blob":"AA"})", R"({"$blob":"A A="})", R"({"$blob":"AA==x"})"})
    CHECK_THAT(refused(bad), Contains("Base64"));
  CHECK_THAT(refused(R"({"$text":"A"})"), Contains("Base64"));
  for (const auto* bad : {R"({"$integer":"9223372036854775808"})", R"({"$integer":"1.5"})", R"({"$integer":""})",
                          R"({"$integer":" 1"})", R"({"$integer":"+1"})"})
    CHECK_THAT(refused(bad), Contains("$integer"));
  CHECK(read(R"({"$blob":""})") == value{blob{}});
}

TEST_CASE("parameters come by position or by name") {
  auto positional = parameters_from_json(json::parse(R"([1,"x",null])"));
  REQUIRE(positional);
  CHECK(*positional == parameters{1, "x", nullptr});
  auto named = parameters_from_json(json::parse(R"({"id":1,"name":{"$blob":"AA=="}})"));
  REQUIRE(named);
  REQUIRE(named->named.size() == 2);
  CHECK(named->named[1] == named_value{"name", blob{std::string(1, '\0')}});
  CHECK(parameters_from_json(nullptr)->positional.empty());
  CHECK(parameters_from_json(json::array())->positional.empty());
}

TEST_CASE("a parameter that cannot be used is named") {
  auto refused = [](const char* text, std::string_view field = "params") {
    auto result = parameters_from_json(json::parse(text), field);
    REQUIRE_FALSE(result);
    CHECK(code_of(result.error()) == errc::invalid_request);
    return describe(result.error()).message;
  };
  CHECK_THAT(refused("[1, true]", "statements[2].params"), Contains("statements[2].params[1] "));
  CHECK_THAT(refused(R"({"id":[]})"), Contains("params.id "));
  CHECK_THAT(refused(R"({":id":1})"), Contains("params.:id") && Contains("prefix"));
  CHECK_THAT(refused(R"({"$blob":"AA=="})"), Contains("prefix"));
  CHECK_THAT(refused(R"({"":1})"), Contains("named"));
  CHECK_THAT(refused("5"), Contains("array") && Contains("object"));
}

TEST_CASE("the type of a value on the command line follows from its form") {
  CHECK(cli("5") == value{5});
  CHECK(cli("-5") == value{-5});
  CHECK(cli("0") == value{0});
  CHECK(cli("9223372036854775807") == value{largest});
  CHECK(cli("-9223372036854775808") == value{smallest});
  CHECK(cli("1.5") == value{1.5});
  CHECK(cli("-0.25") == value{-0.25});
  CHECK(cli("1.5e3") == value{1500.0});
  CHECK(cli("5.0").kind() == value_kind::real);
  CHECK(cli("null") == value{});
  CHECK(cli("text:5") == value{"5"});
  CHECK(cli("text:") == value{""});
  CHECK(cli("text:null") == value{"null"});
  CHECK(cli("blob:aGVsbG8=") == value{blob{"hello"}});
  CHECK(cli("blob:") == value{blob{}});
  CHECK(cli("caf\xe9") == value{"caf\xe9"});
  CHECK(cli("text:\xff") == value{"\xff"});
}

TEST_CASE("a value that would not read back unchanged stays text") {
  for (const auto* text :
       {"",    "x",    "007",   "+5",  "1e5", "5.",   ".5",   "1.5x", "1.5e", "1.5e+", "-",
        "--5", "0x10", "1_000", "inf", "nan", "NULL", "true", " 5",   "5 ",   "1.2.3", "2024-01-01"}) {
    INFO(text);
    CHECK(cli(text) == value{text});
  }
}

TEST_CASE("a number that does not fit is refused on the command line") {
  for (const auto* text : {"9223372036854775808", "-9223372036854775809", "99999999999999999999999"})
    CHECK_THAT(refusal(parse_cli_value(text)), Contains("does not fit in 64 bits; use text: or a real"));
  CHECK_THAT(refusal(parse_cli_value("1.5e999")), Contains("does not fit"));
  CHECK_THAT(refusal(parse_cli_value("blob:!")), Contains("Base64"));
}

TEST_CASE("a write's answer has the shape of the protocol") {
  write_result result;
  result.commit_seq = 42;
  result.request_id = "r";
  result.results.push_back({1, 7, {}});
  CHECK(as_json(result) == json::parse(R"({"outcome":"committed","replayed":false,"commit_seq":42,"request_id":"r",
    "results":[{"changes":1,"last_insert_rowid":7,"columns":[],"rows":[]}]})"));
  result.results[0].rows = sample_rows();
  CHECK(as_json(result)["results"][0]["rows"] == json::parse(R"([[1,"x"],[null,{"$blob":"AQ=="}]])"));
}

TEST_CASE("a read's answer has the shape of the protocol") {
  read_result result;
  result.as_of_seq = 3;
  result.truncated = true;
  result.source = read_source::joined;
  CHECK(as_json(result) == json::parse(R"({"columns":[],"rows":[],"truncated":true,"source":"joined","as_of_seq":3})"));
  result.rows = std::make_shared<const rowset>(sample_rows());
  CHECK(as_json(result)["columns"] == json::parse(R"(["a","b"])"));
  CHECK(as_json(result)["rows"][0] == json::parse(R"([1,"x"])"));
}

TEST_CASE("rows are written with their columns and values as each is written alone, in every form of integers") {
  auto columns = std::make_shared<const rowset::column_names>(rowset::column_names{"\"rows\":[]", "é\xff"});
  auto form = GENERATE(integer_form::number, integer_form::text, integer_form::tagged);
  auto count = GENERATE(0, 1, 3);
  rowset rows{columns};
  auto expected = json::array();
  for (auto i = 0; i < count; ++i) {
    const value text{std::string{"not UTF-8: \xff, \"rows\":[]"}};
    const value number{(int64_t{1} << 60) + i};
    rows.append(text);
    rows.append(number);
    expected.push_back({as_json(text, form), as_json(number, form)});
  }
  cursor_page page;
  page.rows = std::make_shared<const rowset>(rows);
  page.cursor = 7;
  page.is_last = true;
  page.as_of_seq = 42;
  json document{
    {"columns", texts_as_json(*columns)}, {"rows", expected}, {"cursor", 7}, {"done", true}, {"as_of_seq", 42}};
  if (form == integer_form::text)
    document["integer_text"] = true;
  CHECK(render(page, form) == dump(document));
  CHECK("[" + render_rows(rows, form) + "]" == dump(expected));
  write_result written;
  written.results.push_back({2, int64_t{1} << 60, rows});
  auto part = json::parse(render(written, form))["results"][0];
  CHECK(part["rows"] == expected);
  CHECK(part["last_insert_rowid"] == as_json(value{int64_t{1} << 60}, form));
}

TEST_CASE("a failure has its code, and only the details that apply") {
  failure error;
  error.code = errc::constraint;
  error.message = "no";
  CHECK(error_document(error)
        == json::parse(R"({"error":{"code":"constraint","message":"no","outcome":"not_committed"}})"));
  error.code = errc::busy;
  error.outcome = outcome::unknown;
  error.retry_after_ms = 250;
  error.attempts = 4;
  error.waited_ms = 700;
  error.request_id = "r";
  CHECK(as_json(error) == json::parse(R"({"code":"busy","message":"no","outcome":"unknown","retry_after_ms":250,
    "attempts":4,"waited_ms":700,"request_id":"r"})"));
}

TEST_CASE("an audit record carries every field under its name") {
  audit_record record;
  record.seq = 9;
  record.ts_us = 1'709'208'000'000'001;
  record.agent = "alice";
  record.db = "a.db";
  record.key = "k";
  record.status = "committed";
  record.latency_us = 1'234;
  record.tables = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"t"});
  auto out = as_json(record, "/store");
  CHECK(out["ts"] == "2024-02-29T12:00:00.000001Z");
  CHECK(out["store_root"] == "/store");
  CHECK(out["idempotency_key"] == "k");
  CHECK(out["latency_ms"] == 1.234);
  CHECK(out["tables"] == json::parse(R"(["t"])"));
  CHECK_FALSE(out.contains("peer_pid"));
  record.type = request_type::cache_hit;
  record.peer = {1000, 77};
  out = as_json(record, "/store");
  CHECK(out["read_key"] == "k");
  CHECK_FALSE(out.contains("idempotency_key"));
  CHECK(out["peer_pid"] == 77);
  CHECK(as_json(audit_page{"/store", {record}})["records"][0] == out);
}

TEST_CASE("times before the epoch and beyond the calendar are written") {
  CHECK(iso_time(0) == "1970-01-01T00:00:00.000000Z");
  CHECK(iso_time(-1) == "1969-12-31T23:59:59.999999Z");
  CHECK(iso_time(largest) == "9999-12-31T23:59:59.999999Z");
  CHECK(iso_time(smallest) == "0000-01-01T00:00:00.000000Z");
}

TEST_CASE("an audit verdict names the first broken record only if there is one") {
  audit_verdict verdict;
  verdict.records = 3;
  verdict.head = "ab";
  CHECK(as_json(verdict) == json::parse(R"({"intact":true,"records":3,"broken":0,"head":"ab"})"));
  verdict.broken = 1;
  verdict.first_broken = 2;
  verdict.reason = "why";
  CHECK(as_json(verdict)
        == json::parse(R"({"intact":false,"records":3,"broken":1,"first_broken":2,"reason":"why","head":"ab"})"));
}

} // namespace sluice::test::json_test
