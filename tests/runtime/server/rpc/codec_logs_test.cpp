#include "runtime/server/rpc/codec.hpp"

#include "runtime/json/json.hpp"
#include "runtime/server/rpc/failures.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <chrono>

namespace sluice::test::codec_logs_test {

using nlohmann::json;

namespace {

// The field that a refusal names.
template <class Result> std::string refused_field(const caf::expected<Result>& result) {
  REQUIRE_FALSE(result);
  auto error = rpc::error_of(describe(result.error()));
  CHECK(error.code == rpc::invalid_params);
  return error.data.value("field", "none");
}

} // namespace

TEST_CASE("a log entry is read with all its fields, or with the two required ones") {
  auto result = rpc::log_entry_from_json({{"level", "warning"}, {"message", "m"}, {"source", "s"}, {"agent", "a"}});
  REQUIRE(result);
  CHECK(result->level == log_level::warning);
  CHECK(result->message == "m");
  CHECK(result->source == "s");
  CHECK(result->agent == "a");
  for (const auto* level : {"trace", "debug", "info", "warning", "error", "critical"})
    CHECK(to_string(rpc::log_entry_from_json({{"level", level}, {"message", ""}})->level) == level);
}

TEST_CASE("errors in an entry for the log name the field") {
  CHECK(refused_field(rpc::log_entry_from_json({{"message", "m"}})) == "level");
  CHECK(refused_field(rpc::log_entry_from_json({{"level", "info"}})) == "message");
  CHECK(refused_field(rpc::log_entry_from_json({{"level", "Info"}, {"message", "m"}})) == "level");
  CHECK(refused_field(rpc::log_entry_from_json({{"level", 2}, {"message", "m"}})) == "level");
  CHECK(refused_field(rpc::log_entry_from_json({{"level", "info"}, {"message", nullptr}})) == "message");
  CHECK(refused_field(rpc::log_entry_from_json({{"level", "info"}, {"message", "m"}, {"source", 1}})) == "source");
  CHECK(refused_field(rpc::log_entry_from_json({{"level", "info"}, {"message", "m"}, {"agent", 1}})) == "agent");
  CHECK(refused_field(rpc::log_entry_from_json({{"level", "info"}, {"message", "m"}, {"ts_us", 1}})) == "ts_us");
}

TEST_CASE("a log query is unchanged after a round trip through JSON") {
  log_query query;
  query.least = log_level::error;
  query.source = "s";
  query.agent = "a";
  query.contains = "c";
  query.since_us = 5;
  query.after_id = 7;
  query.limit = 10'000;
  query.newest = GENERATE(true, false);
  auto result = rpc::log_query_from_json(rpc::params_of(query));
  REQUIRE(result);
  CHECK(rpc::params_of(*result) == rpc::params_of(query));
  CHECK(result->least == log_level::error);
  CHECK(result->since_us == 5);
  CHECK(result->newest == query.newest);
  auto plain = rpc::log_query_from_json(rpc::params_of(log_query{}));
  REQUIRE(plain);
  CHECK(rpc::params_of(*plain) == rpc::params_of(log_query{}));
}

TEST_CASE("a log query selects the newest entries, or those after a position") {
  CHECK(rpc::log_query_from_json(nullptr)->newest);
  CHECK(rpc::log_query_from_json(json::object())->newest);
  CHECK(rpc::log_query_from_json({{"limit", 5}})->newest);
  CHECK_FALSE(rpc::log_query_from_json({{"after_id", 0}})->newest);
  CHECK(rpc::log_query_from_json({{"after_id", 5}, {"newest", true}})->newest);
}

TEST_CASE("the time of a log query is a number, a time or an age") {
  CHECK(rpc::log_query_from_json({{"since", 12}})->since_us == 12);
  CHECK(rpc::log_query_from_json({{"since", "1970-01-01T00:00:01Z"}})->since_us == 1'000'000);
  auto now = std::chrono::system_clock::now().time_since_epoch();
  auto hour_ago = std::chrono::duration_cast<std::chrono::microseconds>(now - std::chrono::hours{1}).count();
  auto since = rpc::log_query_from_json({{"since", "1h"}})->since_us;
  CHECK(since >= hour_ago);
  CHECK(since < hour_ago + 600'000'000);
}

TEST_CASE("errors in a log query name the field") {
  for (const auto& [field, content] : std::vector<std::pair<std::string, json>>{{"level", "loud"},
                                                                                {"source", 1},
                                                                                {"agent", 1},
                                                                                {"contains", 1},
                                                                                {"since", "yesterday"},
                                                                                {"since", 1.5},
                                                                                {"after_id", -1},
                                                                                {"limit", 0},
                                                                                {"limit", 10'001},
                                                                                {"newest", 1},
                                                                                {"frob", 1}}) {
    INFO(field << " = " << content);
    CHECK(refused_field(rpc::log_query_from_json({{field, content}})) == field);
  }
}

TEST_CASE("log entries are unchanged after a round trip through JSON, and members of later versions are ignored") {
  log_page page;
  page.entries.push_back({3, 1'700'000'000'000'000, log_level::critical, "s", "a", "m \xe2\x82\xac"});
  page.entries.emplace_back();
  auto text = as_json(page);
  CHECK(text["entries"][0]["ts"] == "2023-11-14T22:13:20.000000Z");
  text["later"] = 1;
  text["entries"][0]["later"] = 1;
  auto result = rpc::log_page_from_json(text);
  REQUIRE(result);
  REQUIRE(result->entries.size() == 2);
  CHECK(as_json(*result) == as_json(page));
}

TEST_CASE("an invalid page of log entries is reported as an answer of another version") {
  auto good = as_json(log_entry{});
  for (const auto& wrong : std::vector<json>{
         nullptr, 5, json::object(), {{"entries", 5}}, {{"entries", {5}}}, {{"entries", {json::object()}}}}) {
    INFO(wrong);
    auto result = rpc::log_page_from_json(wrong);
    REQUIRE_FALSE(result);
    CHECK(describe(result.error()).code == errc::protocol_mismatch);
    CHECK(describe(result.error()).outcome == outcome::unknown);
  }
  for (const auto* field : {"id", "ts_us", "level", "source", "agent", "message"}) {
    INFO(field);
    auto bad = good;
    bad[field] = json::array();
    CHECK_FALSE(rpc::log_page_from_json({{"entries", {bad}}}));
  }
}

} // namespace sluice::test::codec_logs_test
