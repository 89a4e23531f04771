#include "actors/audit/refusal_merging.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::refusal_merging_test {

namespace {

audit_record a_refusal(int64_t ts_us, std::string agent, std::string id = {}) {
  audit_record result;
  result.ts_us = ts_us;
  result.agent = std::move(agent);
  result.request_id = std::move(id);
  result.db = "app.db";
  result.type = request_type::buffer_put;
  result.status = "invalid_request";
  return result;
}

uint64_t sum(const std::vector<audit_record>& records) {
  uint64_t result = 0;
  for (const auto& record : records)
    result += record.count;
  return result;
}

} // namespace

TEST_CASE("a few refusals in a second have a record each") {
  refusal_merging aut{10, 2};
  std::vector<audit_record> pending;
  for (int i = 0; i < 10; ++i)
    aut.add(a_refusal(5'000'000 + i, "alice", std::to_string(i)), pending);
  REQUIRE(pending.size() == 10);
  CHECK(pending[9].request_id == "9");
  CHECK(pending[9].count == 1);
  // The next second has room of its own.
  aut.add(a_refusal(6'000'000, "alice", "next"), pending);
  REQUIRE(pending.size() == 11);
  CHECK(pending[10].request_id == "next");
}

TEST_CASE("a flood of refusals makes few records, and each request is counted under its agent") {
  refusal_merging aut{10, 2};
  std::vector<audit_record> pending;
  for (int i = 0; i < 1'000; ++i)
    aut.add(a_refusal(5'000'000, i % 2 ? "alice" : "bob", "id"), pending);
  REQUIRE(pending.size() == 12);
  CHECK(sum(pending) == 1'000);
  CHECK(pending[10].count == 495);
  CHECK(pending[11].count == 495);
  CHECK(pending[10].agent != pending[11].agent);
  CHECK(pending[11].request_id.empty());
}

TEST_CASE("refusals of made-up agents, as many as requests, are merged") {
  refusal_merging aut{10, 2};
  std::vector<audit_record> pending;
  for (int i = 0; i < 1'000; ++i)
    aut.add(a_refusal(5'000'000, "agent" + std::to_string(i)), pending);
  REQUIRE(pending.size() == 13);
  CHECK(sum(pending) == 1'000);
  CHECK(pending[12].agent.empty());
  CHECK(pending[12].db.empty());
  CHECK(pending[12].count == 988);
}

TEST_CASE("a refusal that has been written is not counted any further") {
  refusal_merging aut{1, 2};
  std::vector<audit_record> pending;
  for (int i = 0; i < 5; ++i)
    aut.add(a_refusal(5'000'000, "alice"), pending);
  CHECK(pending.size() == 2);
  pending.clear();
  aut.forget();
  for (int i = 0; i < 5; ++i)
    aut.add(a_refusal(5'000'000, "alice"), pending);
  REQUIRE(pending.size() == 1);
  CHECK(pending[0].count == 5);
}

} // namespace sluice::test::refusal_merging_test
