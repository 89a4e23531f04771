#include "runtime/server/rpc/failures.hpp"

#include "runtime/json/json.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace sluice::test::failures_test {

using nlohmann::json;

namespace {

json sent(const rpc::error& error) { return {{"code", error.code}, {"message", error.message}, {"data", error.data}}; }

failure sample(errc code, outcome result) {
  failure error;
  error.code = code;
  error.outcome = result;
  error.message = "it failed";
  error.retry_after_ms = 250;
  error.attempts = 3;
  error.waited_ms = 70;
  error.request_id = "r";
  return error;
}

void same(const failure& a, const failure& b) {
  CHECK(a.code == b.code);
  CHECK(a.outcome == b.outcome);
  CHECK(a.message == b.message);
  CHECK(a.retry_after_ms == b.retry_after_ms);
  CHECK(a.attempts == b.attempts);
  CHECK(a.waited_ms == b.waited_ms);
  CHECK(a.request_id == b.request_id);
}

} // namespace

TEST_CASE("every failure is unchanged after a round trip through a JSON-RPC error") {
  for (const auto& [code, word] : detail::errc_names)
    for (auto result : {outcome::not_committed, outcome::committed, outcome::unknown}) {
      INFO(word);
      auto answer = sample(code, result);
      auto e = rpc::error_of(answer);
      CHECK(e.code == rpc::request_failed);
      CHECK(e.data["code"] == word);
      CHECK_FALSE(e.data.contains("field"));
      same(rpc::failure_from_json(sent(e)), answer);
    }
}

TEST_CASE("an error in a field of params is an error of the params") {
  auto field_of = [](const char* message) {
    auto e = rpc::error_of(describe(make_error(errc::invalid_request, message)));
    CHECK(e.code == (e.data.contains("field") ? rpc::invalid_params : rpc::request_failed));
    CHECK(e.data["code"] == "invalid_request");
    return e.data.value("field", "none");
  };
  CHECK(field_of("agent has 300 bytes; at most 256 are allowed") == "agent");
  CHECK(field_of("db leads out of the store root") == "db");
  CHECK(field_of("params[2] is a boolean") == "params[2]");
  CHECK(field_of("params.id is a boolean") == "params.id");
  CHECK(field_of("statements[3].sql must be a text") == "statements[3].sql");
  CHECK(field_of("unknown member \"a \"quoted\" one\"") == "a \"quoted\" one");
  CHECK(field_of("ATTACH is not allowed") == "none");
  CHECK(field_of("databases are fine") == "none");
  CHECK(field_of("") == "none");
}

TEST_CASE("only an invalid request is an error of the params") {
  auto e = rpc::error_of(describe(make_error(errc::too_large, "statements have too many bytes")));
  CHECK(e.code == rpc::request_failed);
}

TEST_CASE("JSON-RPC's own errors are read as invalid requests or internal errors") {
  for (auto code : {rpc::parse_error, rpc::invalid_request, rpc::method_not_found, rpc::invalid_params}) {
    auto answer = rpc::failure_from_json({{"code", code}, {"message", "no"}});
    CHECK(answer.code == errc::invalid_request);
    CHECK(answer.outcome == outcome::not_committed);
    CHECK(answer.message == "no");
  }
  auto result = rpc::failure_from_json({{"code", rpc::internal_error}, {"message", "oh"}});
  CHECK(result.code == errc::internal);
  CHECK(result.outcome == outcome::unknown);
}

TEST_CASE("an error of any form is read as a failure") {
  for (const auto* text :
       {"null", "1", "[]", "{}", R"({"code":"x","message":1})", R"({"data":[]})", R"({"data":{"code":7}})",
        R"({"data":{"code":"of a later version","outcome":"maybe","retry_after_ms":-1,"attempts":99999999999}})"}) {
    INFO(text);
    auto result = rpc::failure_from_json(json::parse(text));
    CHECK(result.code == errc::internal);
    CHECK(result.outcome == outcome::unknown);
    CHECK_FALSE(result.message.empty());
  }
}

} // namespace sluice::test::failures_test
