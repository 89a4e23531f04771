#include "runtime/broker/request_check.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::buffer_check_test {

using Catch::Contains;

namespace {

buffer_put put(std::vector<named_value> key, std::vector<named_value> values,
               buffer_operation operation = buffer_operation::upsert) {
  buffer_put result;
  result.row = {"a.db", "t", std::move(key)};
  result.values = std::move(values);
  result.operation = operation;
  return result;
}

template <class Request> std::string complaint(Request request, errc code = errc::invalid_request) {
  auto reason = check(request);
  REQUIRE(reason);
  CHECK(reason->code == code);
  return reason->message;
}

} // namespace

TEST_CASE("a buffered operation without an agent belongs to the agent anonymous") {
  auto result = put({{"id", 1}}, {{"a", 1}});
  CHECK_FALSE(check(result));
  CHECK(result.agent == "anonymous");
}

TEST_CASE("an update needs values, and an erase takes none") {
  auto upsert = put({{"id", 1}}, {});
  auto erase = put({{"id", 1}}, {}, buffer_operation::erase);
  CHECK_FALSE(check(upsert));
  CHECK_FALSE(check(erase));
  CHECK_THAT(complaint(put({{"id", 1}}, {}, buffer_operation::update)), Contains("values is empty"));
  CHECK_THAT(complaint(put({{"id", 1}}, {{"a", 1}}, buffer_operation::erase)), Contains("values must be empty"));
}

TEST_CASE("a buffered operation names each column once, regardless of case") {
  CHECK_THAT(complaint(put({}, {})), Contains("key is empty"));
  CHECK_THAT(complaint(put({{"id", 1}, {"ID", 1}}, {})), Contains("key names the column ID again"));
  CHECK_THAT(complaint(put({{"id", 1}}, {{"a", 1}, {"A", 1}})), Contains("values names the column A again"));
  CHECK_THAT(complaint(put({{"id", 1}}, {{"Id", 1}})), Contains("values names the column Id again"));
}

TEST_CASE("table, column and agent names of a buffered operation are validated") {
  auto unnamed = put({{"id", 1}}, {});
  unnamed.row.table.clear();
  CHECK_THAT(complaint(unnamed), Contains("table is empty"));
  unnamed.row.table = "t\n";
  CHECK_THAT(complaint(unnamed), Contains("table holds a control character"));
  CHECK_THAT(complaint(put({{"", 1}}, {})), Contains("key has a column without a name"));
  CHECK_THAT(complaint(put({{"\xff", 1}}, {})), Contains("key is not valid UTF-8"));
  CHECK_THAT(complaint(put({{"id", 1}}, {{std::string(257, 'x'), 1}})), Contains("values has 257 bytes"));
  auto named = put({{"id", 1}}, {});
  named.agent = "a\tb";
  CHECK_THAT(complaint(named), Contains("agent holds a control character"));
}

TEST_CASE("clients may not use an agent name that begins with sluice: for buffered operations, rows or flushes") {
  auto result = put({{"id", 1}}, {});
  result.agent = "sluice:buffer";
  CHECK_THAT(complaint(result), Contains("agent begins with \"sluice:\""));
  CHECK_THAT(complaint(buffer_get{{"a.db", "t", {{"id", 1}}}, "Sluice:x", {}}), Contains("agent begins with"));
  CHECK_THAT(complaint(flush_request{"", "", "sluice:"}), Contains("agent begins with"));
  CHECK_THAT(complaint(rejected_decision{{}, true, "sluice:"}), Contains("agent begins with"));
}

TEST_CASE(
  "request and agent names contain no control or format characters; keys and columns may contain non-ASCII ones") {
  write_request request;
  request.statements = {{"SELECT 1", {}}};
  request.idempotency_key = "\xe2\x80\xae";
  CHECK_FALSE(check(request));
  request.correlation_id = "\xc2\x9b";
  CHECK_THAT(complaint(request), Contains("correlation_id holds a control character"));
  request.correlation_id.clear();
  request.request_id = "\xe2\x81\xa6";
  CHECK_THAT(complaint(request), Contains("request_id holds a control character"));
  read_request read;
  read.agent = "\xd8\x9c";
  CHECK_THAT(complaint(read), Contains("agent holds a control character"));
  auto put_with_format_character = put({{"id\xe2\x80\x8e", 1}}, {});
  CHECK_FALSE(check(put_with_format_character));
}

TEST_CASE("a buffered operation beyond 1 MiB is refused") {
  auto fits = put({{"id", 1}}, {{"a", std::string((1 << 20) - 1'000, 'x')}});
  CHECK_FALSE(check(fits));
  CHECK_THAT(complaint(put({{"id", 1}}, {{"a", std::string(1 << 20, 'x')}}), errc::too_large), Contains("1 MiB"));
}

TEST_CASE("the wait for room is limited to a day") {
  auto result = put({{"id", 1}}, {});
  result.wait = std::chrono::hours{24};
  CHECK_FALSE(check(result));
  result.wait += std::chrono::milliseconds{1};
  CHECK_THAT(complaint(result), Contains("wait_ms"));
  result.wait = std::chrono::milliseconds{-1};
  CHECK_THAT(complaint(result), Contains("wait_ms"));
}

TEST_CASE("requests for a row or a flush are checked in the same way") {
  CHECK_THAT(complaint(buffer_get{{"a.db", "t", {}}, "", {}}), Contains("key is empty"));
  CHECK_THAT(complaint(flush_request{"", "t\n", ""}), Contains("table holds a control character"));
  flush_request all;
  CHECK_FALSE(check(all));
}

} // namespace sluice::test::buffer_check_test
