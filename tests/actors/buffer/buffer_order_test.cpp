#include "tests/support/buffer_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::buffer_order_test {

using namespace std::chrono_literals;

namespace {

struct fixture : buffer_fixture {
  // An upsert that does not name `a` may be refused, so it is not merged.
  fixture() : buffer_fixture({"CREATE TABLE t(k INTEGER PRIMARY KEY, a NOT NULL, b)"}) { start(); }

  answer<buffer_receipt> patient(int64_t key, std::vector<named_value> values) {
    auto result = a_put(buffer_operation::upsert, key, std::move(values));
    result.wait = 1min;
    return put(std::move(result));
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "an operation that waits for room is not overtaken by one that needs none", "[buffer]") {
  db.holds = true;
  for (auto i = 0; i < 80; ++i)
    REQUIRE(ok(upsert(i, {{"a", 0}})));
  auto first = patient(79, {{"b", 1}});
  auto second = patient(79, {{"a", 2}, {"b", 2}});
  CHECK(!first->has_value());
  CHECK(!second->has_value());
  auto refused = upsert(79, {{"a", 3}, {"b", 3}});
  REQUIRE(refused->has_value());
  REQUIRE_FALSE(**refused);
  CHECK(code_of((**refused).error()) == errc::overloaded);
  release();
  REQUIRE(ok(first));
  REQUIRE(ok(second));
  REQUIRE(ok(flush()));
  CHECK(cell("SELECT b FROM t WHERE k = 79") == value{2});
}

TEST_CASE_METHOD(fixture, "puts beyond the bound wait in order for a table whose schema is still unknown", "[buffer]") {
  db.holds_reads = true;
  std::vector<answer<buffer_receipt>> receipts;
  for (auto n = 0; n < 150; ++n)
    receipts.push_back(patient(n % 3, {{"a", n}}));
  release_reads();
  for (const auto& receipt : receipts)
    REQUIRE(ok(receipt));
  REQUIRE(ok(flush()));
  CHECK(cell("SELECT group_concat(a) FROM (SELECT a FROM t ORDER BY k)") == value{"147,148,149"});
}

} // namespace sluice::test::buffer_order_test
