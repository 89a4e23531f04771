#include "messages/error.hpp"

#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <catch2/catch.hpp>

#include <set>
#include <vector>

namespace sluice::test::error_test {

TEST_CASE("each error code has its own name of the contract") {
  const std::vector<std::string_view> contract{
    "invalid_request",   "unknown_database", "unknown_operation", "sql_error",     "constraint",     "busy",
    "deadline_exceeded", "cancelled",        "overloaded",        "too_large",     "not_authorized", "capsule_invalid",
    "payload_mismatch",  "unavailable",      "disk_full",         "io_error",      "corrupt",        "read_only",
    "protocol_mismatch", "route_required",   "wrong_store",       "file_replaced", "ledger_damaged", "conflict",
    "internal"};
  std::vector<std::string_view> code_names;
  for (auto i = 1; i <= static_cast<int>(errc::internal); ++i)
    code_names.push_back(to_string(static_cast<errc>(i)));
  CHECK(code_names == contract);
  for (auto word : contract)
    CHECK(to_string(*errc_of(word)) == word);
  CHECK_FALSE(errc_of("a word of later"));
  CHECK(std::set<std::string_view>(code_names.begin(), code_names.end()).size() == contract.size());
  CHECK(to_string(outcome::not_committed) == "not_committed");
  CHECK(to_string(outcome::committed) == "committed");
  CHECK(to_string(outcome::unknown) == "unknown");
}

TEST_CASE("an error wrapped as a CAF error is read back in full") {
  failure failed{errc::constraint, outcome::not_committed, "UNIQUE", 1, 2, 3, "id"};
  auto error = make_error(failed);
  CHECK(error.category() == caf::atom("sluice"));
  CHECK(code_of(error) == errc::constraint);
  CHECK(describe(error).message == "UNIQUE");
  CHECK(describe(error).request_id == "id");
  CHECK(describe(make_error(errc::busy, "locked")).message == "locked");
}

TEST_CASE("a failure is made in one expression, and omitted fields have their defaults") {
  auto plain = make_failure(errc::cancelled, "given up");
  CHECK(plain.code == errc::cancelled);
  CHECK(plain.message == "given up");
  CHECK(plain.outcome == outcome::not_committed);
  CHECK((plain.retry_after_ms == 0 && plain.attempts == 0 && plain.waited_ms == 0));
  auto whole = describe(make_error(errc::busy, "locked",
                                   {.outcome = outcome::unknown, .retry_after_ms = 1, .attempts = 2, .waited_ms = 3}));
  CHECK(whole.code == errc::busy);
  CHECK(whole.message == "locked");
  CHECK(whole.outcome == outcome::unknown);
  CHECK((whole.retry_after_ms == 1 && whole.attempts == 2 && whole.waited_ms == 3));
}

TEST_CASE("an invalid field is named first") {
  auto reason = invalid_field("deadline_ms", "must be a whole number");
  CHECK(reason.code == errc::invalid_request);
  CHECK(reason.message == "deadline_ms must be a whole number");
}

TEST_CASE("a bare error code keeps its code") {
  caf::error bare{static_cast<uint8_t>(errc::busy), caf::atom("sluice")};
  CHECK(describe(bare).code == errc::busy);
  CHECK(code_of(bare) == errc::busy);
}

TEST_CASE("a receiver that has ended is unavailable and not_committed") {
  auto error = describe(make_error(caf::sec::request_receiver_down));
  CHECK(error.code == errc::unavailable);
  CHECK(error.outcome == outcome::not_committed);
  CHECK(error.retry_after_ms > 0);
  CHECK(!error.message.empty());
}

TEST_CASE("a time-out of CAF has the outcome unknown") {
  auto error = describe(make_error(caf::sec::request_timeout));
  CHECK(error.code == errc::deadline_exceeded);
  CHECK(error.outcome == outcome::unknown);
}

TEST_CASE("any other error of CAF has the outcome unknown") {
  auto internal = describe(make_error(caf::sec::runtime_error));
  CHECK(internal.code == errc::internal);
  CHECK(internal.outcome == outcome::unknown);
  auto ended = describe(make_error(caf::exit_reason::kill));
  CHECK(ended.code == errc::unavailable);
  CHECK(ended.outcome == outcome::unknown);
  CHECK(code_of(make_error(caf::sec::request_receiver_down)) == errc::unavailable);
}

TEST_CASE("an empty error is read as an internal failure, not as success") {
  CHECK(describe(caf::error{}).code == errc::internal);
}

} // namespace sluice::test::error_test
