#include "runtime/json/json.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <limits>

namespace sluice::test::codec_buffer_test {

using Catch::Contains;
using nlohmann::json;

namespace {

template <class Result> std::string complaint(const caf::expected<Result>& result) {
  REQUIRE_FALSE(result);
  CHECK(code_of(result.error()) == errc::invalid_request);
  return describe(result.error()).message;
}

std::string put_complaint(const char* text) { return complaint(rpc::buffer_put_from_json(json::parse(text))); }

} // namespace

TEST_CASE("a put is read with every member") {
  auto result = rpc::buffer_put_from_json(json::parse(R"({"db":"a.db", "table":"t", "operation":"update",
    "key":{"id":5, "lang":"de"}, "values":{"a":null, "b":1.5, "c":{"$blob":"AAE="}}, "agent":"alice", "wait_ms":250})"));
  REQUIRE(result);
  CHECK(result->row == row_key{"a.db", "t", {{"id", 5}, {"lang", "de"}}});
  CHECK(result->operation == buffer_operation::update);
  CHECK(result->values == std::vector<named_value>{{"a", nullptr}, {"b", 1.5}, {"c", blob{std::string{"\0\1", 2}}}});
  CHECK(result->agent == "alice");
  CHECK(result->wait == std::chrono::milliseconds{250});
}

TEST_CASE("a put is read back as its parameters were written") {
  buffer_put put;
  put.row = {"a.db", "t", {{"id", std::numeric_limits<int64_t>::min()}}};
  put.agent = "alice";
  for (auto operation : {buffer_operation::upsert, buffer_operation::update, buffer_operation::erase}) {
    put.operation = operation;
    put.values = operation == buffer_operation::erase
                   ? std::vector<named_value>{}
                   : std::vector<named_value>{{"x", std::numeric_limits<double>::infinity()}};
    put.wait = std::chrono::milliseconds{operation == buffer_operation::update ? 3 : 0};
    auto back = rpc::buffer_put_from_json(rpc::params_of(put));
    REQUIRE(back);
    CHECK(back->row == put.row);
    CHECK(back->operation == put.operation);
    CHECK(back->values == put.values);
    CHECK(back->agent == put.agent);
    CHECK(back->wait == put.wait);
  }
}

TEST_CASE("a put with a missing member is refused with its name") {
  CHECK_THAT(put_complaint(R"({"table":"t", "operation":"upsert", "key":{"id":1}})"), Contains("db is missing"));
  CHECK_THAT(put_complaint(R"({"db":"a.db", "operation":"upsert", "key":{"id":1}})"), Contains("table is missing"));
  CHECK_THAT(put_complaint(R"({"db":"a.db", "table":"t", "key":{"id":1}})"), Contains("operation is missing"));
  CHECK_THAT(put_complaint(R"({"db":"a.db", "table":"t", "operation":"upsert"})"), Contains("key is missing"));
  CHECK_THAT(put_complaint("[1]"), Contains("params must be an object"));
}

TEST_CASE("a put with a member of the wrong type is refused with its name") {
  auto with = [](const std::string& member) {
    return put_complaint(
      (R"({"db":"a.db", "table":"t", "operation":"upsert", "key":{"id":1}, )" + member + "}").c_str());
  };
  CHECK_THAT(with(R"("operation":"insert")"), Contains("operation must be \"upsert\", \"update\" or \"delete\""));
  CHECK_THAT(with(R"("operation":1)"), Contains("operation must be"));
  CHECK_THAT(with(R"("table":1)"), Contains("table must be a text"));
  CHECK_THAT(with(R"("key":[1])"), Contains("key must be an object"));
  CHECK_THAT(with(R"("key":{"id":true})"), Contains("key.id"));
  CHECK_THAT(with(R"("values":{"a":[1]})"), Contains("values.a"));
  CHECK_THAT(with(R"("values":{"a":18446744073709551615})"), Contains("values.a"));
  CHECK_THAT(with(R"("values":null)"), Contains("values must be an object"));
  CHECK_THAT(with(R"("wait_ms":-1)"), Contains("wait_ms must be a whole number from 0 to 86400000"));
  CHECK_THAT(with(R"("wait_ms":1.5)"), Contains("wait_ms"));
  CHECK_THAT(with(R"("agent":1)"), Contains("agent must be a text"));
  CHECK_THAT(with(R"("wait":1)"), Contains("unknown member \"wait\""));
}

TEST_CASE("a get is read with its members, and nothing else") {
  auto result = rpc::buffer_get_from_json(json::parse(R"({"db":"a.db", "table":"t", "key":{"id":5}, "agent":"bob"})"));
  REQUIRE(result);
  CHECK(result->row == row_key{"a.db", "t", {{"id", 5}}});
  CHECK(result->agent == "bob");
  CHECK(rpc::buffer_get_from_json(rpc::params_of(*result))->row == result->row);
  CHECK_THAT(complaint(rpc::buffer_get_from_json(json::parse(R"({"db":"a.db", "table":"t"})"))),
             Contains("key is missing"));
  CHECK_THAT(
    complaint(rpc::buffer_get_from_json(json::parse(R"({"db":"a.db", "table":"t", "key":{"id":5}, "values":{}})"))),
    Contains("unknown member \"values\""));
}

TEST_CASE("a flush may be for everything") {
  auto result = rpc::flush_from_json(nullptr);
  REQUIRE(result);
  CHECK(result->db.empty());
  CHECK(result->table.empty());
  result = rpc::flush_from_json(json{{"db", "a.db"}, {"table", "t"}, {"agent", "alice"}});
  REQUIRE(result);
  CHECK(result->db == "a.db");
  CHECK(result->table == "t");
  CHECK(result->agent == "alice");
  CHECK_THAT(complaint(rpc::flush_from_json(json{{"tables", "t"}})), Contains("unknown member \"tables\""));
}

TEST_CASE("rejected rows are requested by page") {
  auto result = rpc::rejected_query_from_json(json{{"after_id", 7}, {"limit", 10}});
  REQUIRE(result);
  CHECK(result->after_id == 7);
  CHECK(result->limit == 10);
  CHECK(rpc::rejected_query_from_json(json{{"agent", "a"}})->limit == 1'000);
  CHECK_THAT(complaint(rpc::rejected_query_from_json(json{{"agent", 1}})), Contains("agent"));
  CHECK(rpc::rejected_query_from_json(nullptr)->limit == 1'000);
  CHECK_THAT(complaint(rpc::rejected_query_from_json(json{{"limit", 0}})), Contains("limit"));
  CHECK_THAT(complaint(rpc::rejected_query_from_json(json{{"limit", 10'001}})), Contains("limit"));
  CHECK_THAT(complaint(rpc::rejected_query_from_json(json{{"after", 1}})), Contains("unknown member"));
}

TEST_CASE("without ids all rows are meant, and an empty list is refused") {
  CHECK(rpc::rejected_ids_from_json(nullptr)->empty());
  CHECK(rpc::rejected_ids_from_json(json::object())->empty());
  CHECK(*rpc::rejected_ids_from_json(json{{"ids", {3, 1}}}) == std::vector<uint64_t>{3, 1});
  CHECK_THAT(complaint(rpc::rejected_ids_from_json(json{{"ids", json::array()}})), Contains("at least one"));
  CHECK_THAT(complaint(rpc::rejected_ids_from_json(json{{"ids", 3}})), Contains("ids must be an array"));
  CHECK_THAT(complaint(rpc::rejected_ids_from_json(json{{"ids", {1, "2"}}})), Contains("ids[1]"));
  CHECK_THAT(complaint(rpc::rejected_ids_from_json(json{{"ids", {0}}})), Contains("ids[0]"));
  CHECK_THAT(complaint(rpc::rejected_ids_from_json(json{{"id", 1}})), Contains("unknown member"));
}

TEST_CASE("answers of the buffer have the form of the contract") {
  CHECK(as_json(buffer_receipt{3, true}) == json::parse(R"({"pending":3, "journaled":true})"));
  CHECK(as_json(buffered_row{true, 2, {{"id", 1}, {"b", blob{"x"}}}})
        == json::parse(R"({"found":true, "pending":2, "row":{"id":1, "b":{"$blob":"eA=="}}})"));
  CHECK(as_json(buffered_row{}) == json::parse(R"({"found":false, "pending":0})"));
  CHECK(as_json(flush_report{5, 1, 0, ""}) == json::parse(R"({"flushed":5, "set_aside":1, "kept":0})"));
  CHECK(as_json(flush_report{0, 0, 2, "busy"})
        == json::parse(R"({"flushed":0, "set_aside":0, "kept":2, "reason":"busy"})"));
  rejected_row row;
  row.id = 4;
  row.operation.row = {"a.db", "t", {{"id", 1}}};
  row.operation.operation = buffer_operation::erase;
  row.operation.agent = "alice";
  row.message = "no";
  row.ts_us = 1'700'000'000'000'001;
  CHECK(as_json(rejected_page{{row}}) == json::parse(R"({"rows":[{"id":4, "ts":"2023-11-14T22:13:20.000001Z",
    "ts_us":1700000000000001, "code":"constraint", "message":"no", "db":"a.db", "table":"t", "operation":"delete",
    "key":{"id":1}, "values":{}, "agent":"alice"}]})"));
  row.operation = {};
  CHECK_FALSE(as_json(row).contains("db"));
}

} // namespace sluice::test::codec_buffer_test
