#include "runtime/server/rpc/codec.hpp"

#include "runtime/catalogue/operation_request.hpp"

#include "runtime/json/json.hpp"
#include "runtime/server/rpc/failures.hpp"
#include "runtime/server/rpc/strict_json.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace sluice::test::codec_test {

using Catch::Contains;
using nlohmann::json;
using std::chrono::milliseconds;

namespace {

json parsed(const std::string& text) {
  auto result = rpc::parse_strictly(text);
  REQUIRE(result);
  return *result;
}

// The error for a request that `read` refuses.
template <class Read> rpc::error refusal(Read read, const std::string& params) {
  INFO(params);
  auto result = read(parsed(params));
  REQUIRE_FALSE(result);
  return rpc::error_of(describe(result.error()));
}

template <class Read> void refuses(Read read, const std::string& params, const std::string& field) {
  auto result = refusal(read, params);
  INFO(params << " -> " << result.message);
  CHECK(result.code == rpc::invalid_params);
  CHECK(result.data["code"] == "invalid_request");
  CHECK(result.data["field"] == field);
  CHECK_THAT(result.message, Contains(field));
}

} // namespace

TEST_CASE("a write is read with all its fields") {
  auto result = rpc::write_from_json(parsed(
    R"json({"db":"app.db","statements":[{"sql":"INSERT INTO t VALUES (?,?)","params":[1,"x"]},{"sql":"DELETE FROM u",
        "params":{"id":{"$blob":"AA=="}}},{"sql":"DELETE FROM v"}],"agent":"alice","request_id":"r",
        "idempotency_key":"k","deadline_ms":30000,"correlation_id":"c"})json"));
  REQUIRE(result);
  CHECK(result->db == "app.db");
  REQUIRE(result->statements.size() == 3);
  CHECK(result->statements[0].sql.str() == "INSERT INTO t VALUES (?,?)");
  CHECK(result->statements[0].params == parameters{1, "x"});
  REQUIRE(result->statements[1].params.named.size() == 1);
  CHECK(result->statements[1].params.named[0].content == value{blob{std::string(1, '\0')}});
  CHECK(result->statements[2].params == parameters{});
  CHECK(result->agent == "alice");
  CHECK(result->request_id == "r");
  CHECK(result->idempotency_key == "k");
  CHECK(result->correlation_id == "c");
  CHECK(result->deadline == milliseconds{30'000});
}

TEST_CASE("a read is read with all its fields") {
  auto result = rpc::read_from_json(parsed(
    R"({"db":"app.db","sql":"SELECT :id","params":{"id":1},"agent":"alice","request_id":"r","correlation_id":"c",
        "freshness":"fresh","min_seq":42,"max_rows":10,"max_bytes":8388608,"timeout_ms":5000})"));
  REQUIRE(result);
  CHECK(result->db == "app.db");
  CHECK(result->query.sql.str() == "SELECT :id");
  REQUIRE(result->query.params.named.size() == 1);
  CHECK(result->query.params.named[0].name == "id");
  CHECK(result->agent == "alice");
  CHECK(result->request_id == "r");
  CHECK(result->correlation_id == "c");
  CHECK(result->freshness == freshness::fresh);
  CHECK(result->min_seq == 42);
  CHECK(result->limits == read_limits{10, 8'388'608, milliseconds{5'000}});
}

TEST_CASE("requests have a form for integers, and those of the client library have none") {
  auto w = rpc::write_from_json(parsed(R"({"db":"a","statements":[{"sql":"x"}],"integers":"tagged"})"));
  REQUIRE(w);
  CHECK(w->integers == integer_form::tagged);
  CHECK_FALSE(rpc::params_of(*w).contains("integers"));
  auto r = rpc::read_from_json(parsed(R"({"db":"a","sql":"x","integers":"text"})"));
  REQUIRE(r);
  CHECK(r->integers == integer_form::text);
  CHECK_FALSE(rpc::params_of(*r).contains("integers"));
  CHECK(rpc::read_from_json(parsed(R"({"db":"a","sql":"x"})"))->integers == integer_form::number);
  refuses(rpc::read_from_json, R"({"db":"a","sql":"x","integers":"bigint"})", "integers");
  refuses(rpc::write_from_json, R"({"db":"a","statements":[{"sql":"x"}],"integers":1})", "integers");
}

TEST_CASE("required fields are enough, and the others have their defaults") {
  auto w = rpc::write_from_json(parsed(R"({"db":"app.db","statements":[{"sql":"DELETE FROM t"}]})"));
  REQUIRE(w);
  CHECK(w->deadline.count() == 0);
  CHECK(w->agent.empty());
  auto r = rpc::read_from_json(parsed(R"({"db":"app.db","sql":"SELECT 1"})"));
  REQUIRE(r);
  CHECK(r->freshness == freshness::cached);
  CHECK(r->limits == read_limits{});
}

TEST_CASE("a write that is malformed is refused with the field named") {
  auto bad = [](const std::string& params, const std::string& field) { refuses(rpc::write_from_json, params, field); };
  bad("null", "db");
  bad("{}", "db");
  bad("[]", "params");
  bad(R"({"db":"a"})", "statements");
  bad(R"({"db":1,"statements":[{"sql":"x"}]})", "db");
  for (const auto* statements : {"[]", "{}", "null", "\"DELETE FROM t\""})
    bad(R"({"db":"a","statements":)" + std::string{statements} + "}", "statements");
  bad(R"({"db":"a","statements":["x"]})", "statements[0]");
  bad(R"({"db":"a","statements":[{}]})", "statements[0].sql");
  bad(R"({"db":"a","statements":[{"sql":"x"},{"sql":1}]})", "statements[1].sql");
  bad(R"({"db":"a","statements":[{"sql":"x","params":1}]})", "statements[0].params");
  bad(R"({"db":"a","statements":[{"sql":"x","params":[1,true]}]})", "statements[0].params[1]");
  bad(R"({"db":"a","statements":[{"sql":"x","params":{"id":[]}}]})", "statements[0].params.id");
  bad(R"({"db":"a","statements":[{"sql":"x","params":[18446744073709551615]}]})", "statements[0].params[0]");
  bad(R"({"db":"a","statements":[{"sql":"x","parms":[]}]})", "statements[0].parms");
  for (const auto* field : {"agent", "request_id", "idempotency_key", "correlation_id"})
    bad(R"({"db":"a","statements":[{"sql":"x"}],")" + std::string{field} + "\":1}", field);
  bad(R"({"db":"a","statements":[{"sql":"x"}],"idempotency_key":""})", "idempotency_key");
  bad(R"({"db":"a","statements":[{"sql":"x"}],"colour of it":1})", "colour of it");
  bad(R"({"db":"a","statements":[{"sql":"x"}],"sql":"x"})", "sql");
}

TEST_CASE("a write of one statement has a short form, which means the same") {
  auto brief = rpc::write_from_json(parsed(
    R"json({"db":"a","sql":"INSERT INTO t VALUES (:x)","params":{"x":5},"agent":"alice","idempotency_key":"k"})json"));
  auto whole = rpc::write_from_json(parsed(
    R"json({"db":"a","statements":[{"sql":"INSERT INTO t VALUES (:x)","params":{"x":5}}],"agent":"alice",
        "idempotency_key":"k"})json"));
  REQUIRE(brief);
  REQUIRE(whole);
  CHECK(rpc::params_of(*brief) == rpc::params_of(*whole));
  auto bare = rpc::write_from_json(parsed(R"({"db":"a","sql":"DELETE FROM t"})"));
  REQUIRE(bare);
  REQUIRE(bare->statements.size() == 1);
  CHECK(bare->statements[0].sql.str() == "DELETE FROM t");
  CHECK(bare->statements[0].params == parameters{});
}

TEST_CASE("the short form of a write is refused beside a list, and where it is malformed") {
  auto bad = [](const std::string& params, const std::string& field) { refuses(rpc::write_from_json, params, field); };
  bad(R"({"db":"a","statements":[{"sql":"x"}],"sql":"x"})", "sql");
  bad(R"({"db":"a","statements":[{"sql":"x"}],"params":[1]})", "params");
  bad(R"({"db":"a","params":[1]})", "statements");
  bad(R"({"sql":"x"})", "db");
  for (const auto* sql : {"null", "1", R"(["x"])", R"({"sql":"x"})"})
    bad(R"({"db":"a","sql":)" + std::string{sql} + "}", "sql");
  bad(R"({"db":"a","sql":"x","params":1})", "params");
  bad(R"({"db":"a","sql":"x","params":[true]})", "params[0]");
  bad(R"({"db":"a","sql":"x","parms":[]})", "parms");
}

TEST_CASE("a statement may expect a number of changes") {
  auto taken = rpc::write_from_json(parsed(
    R"({"db":"a","statements":[{"sql":"x","expect":{"changes":1}},{"sql":"y","expect":{"changes":0}},{"sql":"z"}]})"));
  REQUIRE(taken);
  CHECK(taken->statements[0].expected_changes == 1);
  CHECK(taken->statements[1].expected_changes == 0);
  CHECK_FALSE(taken->statements[2].expected_changes);
  CHECK(rpc::write_from_json(parsed(R"({"db":"a","sql":"x","expect":{"changes":2}})"))->statements[0].expected_changes
        == 2);
  auto refuses_expectation = [](const std::string& expect, const std::string& member) {
    refuses(rpc::write_from_json, R"({"db":"a","statements":[{"sql":"x","expect":)" + expect + "}]}",
            "statements[0].expect" + member);
  };
  for (const auto* bad : {"1", "null", "[]", "{}", R"({"change":1})"})
    refuses_expectation(bad, "");
  for (const auto* bad : {"-1", "1.5", "\"1\"", "null", "9007199254740993"})
    refuses_expectation(R"({"changes":)" + std::string{bad} + "}", ".changes");
  refuses_expectation(R"({"changes":1,"rows":1})", ".rows");
  refuses(rpc::write_from_json, R"({"db":"a","statements":[{"sql":"x"}],"expect":{"changes":1}})", "expect");
}

TEST_CASE("foreign keys are on or off, and nothing else") {
  auto write = [](const std::string& keys) {
    return R"({"db":"a","statements":[{"sql":"x"}],"foreign_keys":)" + keys + "}";
  };
  for (const auto* bad : {"true", "\"OFF\"", "null", "0"})
    refuses(rpc::write_from_json, write(bad), "foreign_keys");
  CHECK(!rpc::write_from_json(parsed(write("\"off\"")))->enforce_foreign_keys);
  CHECK(rpc::write_from_json(parsed(write("\"on\"")))->enforce_foreign_keys);
}

TEST_CASE("a migration is read with its name, and refused with the field named") {
  auto read = rpc::migrate_params_from_json(parsed(
    R"({"db":"a.db","name":"1_a.sql","sql":"SELECT 1","agent":"x","deadline_ms":7,"request_id":"r","correlation_id":"c"})"));
  REQUIRE(read);
  CHECK((read->name == "1_a.sql" && read->sql == "SELECT 1"));
  CHECK((read->request.db == "a.db" && read->request.agent == "x" && read->request.deadline == milliseconds{7}));
  CHECK((read->request.request_id == "r" && read->request.correlation_id == "c"));
  auto with = [](const std::string& more) { return R"({"db":"a","name":"1_a.sql","sql":"x",)" + more + "}"; };
  refuses(rpc::migrate_params_from_json, R"({"db":"a","name":"1_a.sql"})", "sql");
  refuses(rpc::migrate_params_from_json, R"({"db":"a","sql":"x"})", "name");
  refuses(rpc::migrate_params_from_json, R"({"name":"1_a.sql","sql":"x"})", "db");
  for (const auto* field : {"params", "statements", "idempotency_key", "foreign_keys", "expect", "number"})
    refuses(rpc::migrate_params_from_json, with("\"" + std::string{field} + "\":1"), field);
  refuses(rpc::migrate_params_from_json, with(R"("deadline_ms":0)"), "deadline_ms");
}

TEST_CASE("times and bounds outside their ranges are refused") {
  auto write = [](const std::string& deadline) {
    return R"({"db":"a","statements":[{"sql":"x"}],"deadline_ms":)" + deadline + "}";
  };
  auto read = [](const std::string& field, const std::string& number) {
    return R"({"db":"a","sql":"x",")" + field + "\":" + number + "}";
  };
  for (const auto* bad : {"0", "-1", "86400001", "1.5", "5.0", "\"5\"", "null", "18446744073709551615"}) {
    refuses(rpc::write_from_json, write(bad), "deadline_ms");
    refuses(rpc::read_from_json, read("timeout_ms", bad), "timeout_ms");
  }
  for (const auto* good : {"1", "86400000"}) {
    CHECK(rpc::write_from_json(parsed(write(good))));
    CHECK(rpc::read_from_json(parsed(read("timeout_ms", good))));
  }
  for (const auto* bad : {"0", "-1", "100000001"})
    refuses(rpc::read_from_json, read("max_rows", bad), "max_rows");
  for (const auto* bad : {"0", "1023", "2147483649"})
    refuses(rpc::read_from_json, read("max_bytes", bad), "max_bytes");
  refuses(rpc::read_from_json, read("min_seq", "-1"), "min_seq");
  refuses(rpc::read_from_json, read("freshness", "\"stale\""), "freshness");
  refuses(rpc::read_from_json, read("freshness", "1"), "freshness");
  refuses(rpc::read_from_json, R"({"db":"a"})", "sql");
  refuses(rpc::read_from_json, read("statements", "[]"), "sql");
}

TEST_CASE("a write and a call have a capsule, which is a text that is not empty") {
  auto write = rpc::write_from_json(json::parse(R"({"db":"a","sql":"x","capsule":"abc"})"));
  REQUIRE(write);
  REQUIRE(write->grant);
  CHECK(write->grant->capsule == "abc");
  CHECK(write->grant->capsule_hash.empty());
  CHECK(rpc::params_of(*write).at("capsule") == "abc");
  auto call = rpc::operation_call_from_json(json::parse(R"({"operation":"a","capsule":"abc"})"));
  REQUIRE(call);
  REQUIRE(call->grant);
  CHECK(call->grant->capsule == "abc");
  CHECK_THAT(refusal(rpc::write_from_json, R"({"db":"a","sql":"x","capsule":""})").message, Contains("capsule"));
  CHECK_THAT(refusal(rpc::write_from_json, R"({"db":"a","sql":"x","capsule":1})").message, Contains("capsule"));
}

TEST_CASE("the small requests are read, and refused with the field named") {
  auto query = rpc::audit_query_from_json(
    parsed(R"({"agent":"a","db":"d","status":"ok","since_us":-5,"after_seq":7,"limit":10000,"newest":true})"));
  REQUIRE(query);
  CHECK(rpc::params_of(*query)
        == parsed(R"({"agent":"a","db":"d","status":"ok","since_us":-5,"after_seq":7,"limit":10000,"newest":true})"));
  CHECK(rpc::audit_query_from_json(nullptr)->limit == 1000);
  refuses(rpc::audit_query_from_json, R"({"limit":0})", "limit");
  refuses(rpc::audit_query_from_json, R"({"limit":10001})", "limit");
  refuses(rpc::audit_query_from_json, R"({"newest":1})", "newest");
  refuses(rpc::audit_query_from_json, R"({"other":1})", "other");

  auto cancel = *rpc::cancel_from_json(parsed(R"({"request_id":"r"})"));
  CHECK((cancel.request_id == "r" && !cancel.as_operator));
  CHECK(rpc::cancel_from_json(parsed(R"({"request_id":"r","agent":"a","as_operator":true})"))->as_operator);
  refuses(rpc::cancel_from_json, R"({"request_id":"r","as_operator":1})", "as_operator");
  refuses(rpc::cancel_from_json, "{}", "request_id");
  refuses(rpc::cancel_from_json, R"({"request_id":""})", "request_id");
  refuses(rpc::cancel_from_json, R"({"request_id":"r","db":"x"})", "db");

  auto subscription = rpc::subscribe_from_json(parsed(R"({"db":"d","tables":["t","u"],"from_seq":0})"));
  REQUIRE(subscription);
  CHECK(subscription->tables == std::vector<std::string>{"t", "u"});
  CHECK(subscription->from_seq == 0u);
  CHECK_FALSE(rpc::subscribe_from_json(parsed(R"({"db":"d"})"))->from_seq);
  CHECK(rpc::subscribe_from_json(parsed(R"({"db":"d","agent":"a"})"))->agent == "a");
  refuses(rpc::subscribe_from_json, R"({"db":"d","agent":1})", "agent");
  CHECK(rpc::audit_query_from_json(parsed(R"({"agent":"a","caller":"b"})"))->agent == "a");
  refuses(rpc::audit_query_from_json, R"({"caller":1})", "caller");
  CHECK(rpc::log_query_from_json(parsed(R"({"agent":"a","caller":"b"})"))->agent == "a");
  refuses(rpc::log_query_from_json, R"({"caller":1})", "caller");
  refuses(rpc::subscribe_from_json, R"({"db":"d","tables":"t"})", "tables");
  refuses(rpc::subscribe_from_json, R"({"db":"d","tables":["t",1]})", "tables[1]");
  refuses(rpc::subscribe_from_json, R"({"db":"d","from_seq":-1})", "from_seq");

  CHECK(rpc::hello_from_json(parsed(R"({"protocol":1,"client":"x"})"))->client == "x");
  CHECK(rpc::hello_from_json(parsed(R"({"protocol":2,"something":"new"})"))->protocol == 2);
  refuses(rpc::hello_from_json, "{}", "protocol");
  refuses(rpc::hello_from_json, R"({"protocol":"1"})", "protocol");
}

TEST_CASE("an answer of another shape is a protocol mismatch whose outcome is unknown") {
  auto mismatch = [](const auto& each) {
    REQUIRE_FALSE(each);
    auto error = describe(each.error());
    CHECK(error.code == errc::protocol_mismatch);
    CHECK(error.outcome == outcome::unknown);
    CHECK_FALSE(error.message.empty());
  };
  const json written = as_json(write_result{false, 1, "r", {statement_result{}}});
  REQUIRE(rpc::write_result_from_json(written));
  for (const auto& [name, content] : written.items()) {
    INFO(name);
    auto broken = written;
    broken.erase(name);
    mismatch(rpc::write_result_from_json(broken));
    broken[name] = json::array({1});
    mismatch(rpc::write_result_from_json(broken));
  }
  const json answer = as_json(read_result{});
  REQUIRE(rpc::read_result_from_json(answer));
  for (const auto& [name, content] : answer.items()) {
    INFO(name);
    auto broken = answer;
    broken.erase(name);
    mismatch(rpc::read_result_from_json(broken));
    broken[name] = -1.5;
    mismatch(rpc::read_result_from_json(broken));
  }
  for (const auto* rows : {"[[1,2]]", "[[]]", "[1]", "{}", "[[true]]"}) {
    auto broken = answer;
    broken["columns"] = json::array({"a"});
    broken["rows"] = json::parse(rows);
    mismatch(rpc::read_result_from_json(broken));
  }
  for (const auto* text : {"null", "1", "[]", "{}", "\"x\""}) {
    mismatch(rpc::write_result_from_json(json::parse(text)));
    mismatch(rpc::read_result_from_json(json::parse(text)));
    mismatch(rpc::audit_page_from_json(json::parse(text)));
    mismatch(rpc::audit_verdict_from_json(json::parse(text)));
  }
}

TEST_CASE("members that a later version adds to an answer are ignored") {
  auto written = as_json(write_result{false, 1, "r", {statement_result{}}});
  written["new"] = 1;
  written["results"][0]["new"] = {};
  CHECK(rpc::write_result_from_json(written));
  auto answer = as_json(read_result{});
  answer["new"] = {};
  CHECK(rpc::read_result_from_json(answer));
}

} // namespace sluice::test::codec_test
