#include "runtime/policy/access_gate.hpp"
#include "tests/support/fake_clock.hpp"

#include <catch2/catch.hpp>

#include <memory>

namespace sluice::test::access_gate_test {

using std::chrono::milliseconds;

namespace {

std::shared_ptr<const access_policy> policy_with(double rate) {
  agent_rule rule;
  rule.name = "a*";
  rule.tier = tier::core;
  rule.limits = {rate, 7, milliseconds{9}};
  auto made = access_policy::make({{"core"}, {std::move(rule)}});
  REQUIRE(made);
  return std::make_shared<const access_policy>(std::move(*made));
}

constexpr access_demand sql{method_access::raw_sql, "read"};

size_t admitted_at_once(access_gate& gate, std::string_view agent) {
  size_t count = 0;
  while (!gate.admit({agent}, sql).refused)
    ++count;
  return count;
}

} // namespace

TEST_CASE("an admitted request gets the limits of its rule", "[policy]") {
  fake_clock time;
  access_gate gate{policy_with(0), time};
  auto admitted = gate.admit({"a1"}, sql);
  CHECK_FALSE(admitted.refused);
  CHECK(admitted.is_named);
  CHECK(admitted.limits.max_rows == 7);
  CHECK(admitted.limits.max_time == milliseconds{9});
  auto refused = gate.admit({"b"}, sql);
  REQUIRE(refused.refused);
  CHECK(refused.refused->code == errc::not_authorized);
  CHECK_FALSE(refused.is_named);
}

TEST_CASE("a rate lets one second's requests pass at once, and then as many as it says", "[policy]") {
  fake_clock time;
  access_gate gate{policy_with(10), time};
  CHECK(admitted_at_once(gate, "a1") == 10);
  auto refused = gate.admit({"a1"}, sql).refused;
  REQUIRE(refused);
  CHECK(refused->code == errc::overloaded);
  CHECK(refused->retry_after_ms == 100);
  CHECK(
    refused->message
    == "agent 'a1' (rule agent[0] 'a*') sends more than the 10 requests a second that its rule allows; wait 100 ms");
  time.advance(milliseconds{99});
  CHECK(admitted_at_once(gate, "a1") == 0);
  time.advance(milliseconds{1});
  CHECK(admitted_at_once(gate, "a1") == 1);
  time.advance(std::chrono::seconds{60});
  CHECK(admitted_at_once(gate, "a1") == 10);
}

TEST_CASE("a rate below one lets a request pass from time to time", "[policy]") {
  fake_clock time;
  access_gate gate{policy_with(0.5), time};
  CHECK(admitted_at_once(gate, "a1") == 1);
  time.advance(milliseconds{1'999});
  CHECK(admitted_at_once(gate, "a1") == 0);
  time.advance(milliseconds{1});
  CHECK(admitted_at_once(gate, "a1") == 1);
}

TEST_CASE("other names of one rule share its rate", "[policy]") {
  fake_clock time;
  access_gate gate{policy_with(3), time};
  CHECK(admitted_at_once(gate, "a1") == 3);
  CHECK(admitted_at_once(gate, "a2") == 0);
}

TEST_CASE("every request counts for the rate, also one that needs nothing or is refused", "[policy]") {
  fake_clock time;
  access_gate gate{policy_with(2), time};
  CHECK_FALSE(gate.admit({"a1"}, {method_access::anyone, "log"}).refused);
  CHECK(gate.admit({"a1"}, {method_access::operation, "x", "app.db"}).refused->code == errc::not_authorized);
  CHECK(gate.admit({"a1"}, {method_access::operation, "x", "app.db"}).refused->code == errc::overloaded);
  CHECK(gate.admit({"a1"}, {method_access::anyone, "log"}).refused->code == errc::overloaded);
}

TEST_CASE("requests that end something count for no rate", "[policy]") {
  fake_clock time;
  access_gate gate{policy_with(1), time};
  access_demand cancel{method_access::anyone, "cancel", {}, tier::untrusted, false};
  for (int i = 0; i < 100; ++i)
    CHECK_FALSE(gate.admit({"a1"}, cancel).refused);
  CHECK(admitted_at_once(gate, "a1") == 1);
  CHECK_FALSE(gate.admit({"a1"}, cancel).refused);
}

TEST_CASE("another policy is in force as soon as it is there", "[policy]") {
  fake_clock time;
  access_gate gate{std::make_shared<const access_policy>(), time};
  CHECK_FALSE(gate.admit({"b"}, sql).refused);
  gate.replace(policy_with(1));
  CHECK(gate.admit({"b"}, sql).refused);
  CHECK(gate.policy()->exists());
}

} // namespace sluice::test::access_gate_test
