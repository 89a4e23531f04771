#include "runtime/catalogue/operation_request.hpp"

#include "runtime/catalogue/catalogue.hpp"
#include "runtime/catalogue/operation_answer.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::operation_request_test {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr const char* file = R"(-- db: app.db
-- name: add :one
-- param a integer
INSERT INTO t (a) VALUES (:a) RETURNING id;
-- name: move :exec
-- param a integer
-- expect 1
UPDATE t SET a = a - 1 WHERE id = :a;
-- name: load :batch
-- foreign_keys off
-- param a integer
INSERT INTO t (a) VALUES (:a);
-- name: find :many
-- cache 3s
SELECT a FROM t WHERE a > :least;
-- name: look :one
SELECT a FROM t;
)";

std::shared_ptr<const catalogue> known() {
  auto made = make_catalogue({{"ops.sql", file}});
  INFO((made ? "" : describe(made.error()).message));
  REQUIRE(made);
  return *made;
}

operation_request request_for(const char* name, json arguments) {
  auto operations = known();
  operation_call call;
  call.operation = name;
  call.arguments = std::move(arguments);
  call.agent = "alice";
  call.request_id = "r";
  call.correlation_id = "c";
  call.idempotency_key = "k";
  call.time = 5ms;
  call.integers = integer_form::text;
  auto result = request_of(*operations->find(name), std::move(call));
  REQUIRE(result);
  return std::move(*result);
}

} // namespace

TEST_CASE("a call of an operation that writes is a write with the fields of the call") {
  auto write = std::get<write_request>(request_for("add", {{"a", 7}}));
  CHECK((write.db == "app.db" && write.agent == "alice" && write.request_id == "r" && write.correlation_id == "c"));
  CHECK((write.idempotency_key == "k" && write.deadline == 5ms && write.integers == integer_form::text));
  CHECK(write.enforce_foreign_keys);
  REQUIRE(write.statements.size() == 1);
  REQUIRE(write.statements[0].params.named.size() == 1);
  CHECK(write.statements[0].params.named[0] == named_value{"a", value{7}});
  CHECK_FALSE(write.statements[0].expected_changes);
}

TEST_CASE("an expected number of changes and foreign keys are those of the operation") {
  CHECK(std::get<write_request>(request_for("move", {{"a", 1}})).statements.at(0).expected_changes == 1);
  auto batch = std::get<write_request>(request_for("load", json::array({{{"a", 1}}, {{"a", 2}}, {{"a", 3}}})));
  CHECK_FALSE(batch.enforce_foreign_keys);
  REQUIRE(batch.statements.size() == 3);
  CHECK(batch.statements[2].params.named.at(0).content == value{3});
}

TEST_CASE("a call of an operation that reads may be answered from the cache only with a cache line") {
  auto kept = std::get<read_request>(request_for("find", {{"least", 1}}));
  CHECK((kept.freshness == freshness::cached && kept.max_age == 3s && kept.limits.timeout == 5ms));
  CHECK(kept.query.params.named.at(0).content == value{1});
  CHECK(std::get<read_request>(request_for("look", json::object())).freshness == freshness::fresh);
}

TEST_CASE("the answer to a call has its rows as objects, one at most of an operation for one") {
  rowset rows{std::make_shared<const rowset::column_names>(rowset::column_names{"a", "b", "a"})};
  for (auto cell : {1, 2, 3, 4, 5, 6})
    rows.append(value{cell});
  read_result read;
  read.rows = std::make_shared<const rowset>(rows);
  read.as_of_seq = 9;
  auto many = json::parse(render_answer(operation_kind::many, read, integer_form::number));
  CHECK(many.at("columns") == json{"a", "b", "a_2"});
  CHECK(many.at("rows") == json::parse(R"([{"a":1,"b":2,"a_2":3},{"a":4,"b":5,"a_2":6}])"));
  CHECK((many.at("as_of_seq") == 9 && many.at("source") == "database" && many.at("truncated") == false));
  CHECK(json::parse(render_answer(operation_kind::one, read, integer_form::number)).at("rows").size() == 1);

  write_result write;
  write.commit_seq = 3;
  write.results.resize(3);
  write.results[0].changes = 2;
  write.results[1].rows = rows;
  write.results[2].changes = 1;
  auto written = json::parse(render_answer(operation_kind::exec, write, integer_form::number));
  CHECK((written.at("changes") == 3 && written.at("commit_seq") == 3 && written.at("outcome") == "committed"));
  CHECK(written.at("rows").size() == 2);
}

} // namespace sluice::test::operation_request_test
