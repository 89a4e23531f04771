#include "runtime/sqlite/ledger/ledger_codec.hpp"

#include <catch2/catch.hpp>

#include <memory>

namespace sluice::test::ledger_grant_test {

namespace {

write_request request(const char* id) {
  write_request result;
  result.agent = "alice";
  result.request_id = id;
  return result;
}

std::shared_ptr<const request_grant> grant(char policy, const char* capsule = "", int64_t verified_us = 0) {
  return std::make_shared<const request_grant>(
    request_grant{{}, *capsule ? std::string(32, *capsule) : std::string{}, std::string(32, policy), verified_us});
}

std::string encoded(const std::vector<write_request>& requests, const sqlite::recorded_key* key = nullptr) {
  write_result done;
  std::vector<ledger_entry> entries;
  std::vector<const sqlite::recorded_key*> keys(requests.size());
  keys.back() = key;
  for (const auto& each : requests)
    entries.push_back({&each, &done, nullptr});
  std::string result;
  sqlite::encode_requests(entries, keys, 1'000, 1, result);
  return result;
}

} // namespace

TEST_CASE("a commit record has the capsule and the policy of each request", "[ledger]") {
  std::vector requests{request("a"), request("b"), request("c"), request("d"), request("e")};
  requests[0].grant = grant('p', "x", 5);
  requests[1].grant = grant('p', "x", 6);
  requests[3].grant = grant('p');
  requests[4].grant = grant('q', "y", 7);
  auto decoded = sqlite::decode_requests(encoded(requests));
  REQUIRE(decoded);
  REQUIRE(decoded->size() == 5);
  auto is = [&](size_t at, const std::string& capsule, const std::string& policy, int64_t verified_us) {
    const auto& found = decoded->at(at);
    CHECK(found.capsule_hash == capsule);
    CHECK(found.policy_hash == policy);
    CHECK(found.verified_us == verified_us);
  };
  is(0, std::string(32, 'x'), std::string(32, 'p'), 5);
  is(1, std::string(32, 'x'), std::string(32, 'p'), 6);
  is(2, "", "", 0);
  is(3, "", std::string(32, 'p'), 0);
  is(4, std::string(32, 'y'), std::string(32, 'q'), 7);
}

TEST_CASE("a request without a capsule and a policy has the record that it had before there were any", "[ledger]") {
  auto bytes = encoded({request("a")});
  // An array of seven items in the array of requests, in the array of the record.
  CHECK(bytes == std::string{"\x83\x19\x03\xe8\x01\x81\x87\x61\x61\x65\x61lice\x60\x60\x80\x00\x00", 20});
  auto with = request("a");
  with.grant = grant('p', "x", 5);
  auto again = with;
  again.request_id = "b";
  auto one = encoded({with}).size();
  CHECK(one > bytes.size());
  // Hashes are not repeated.
  CHECK(encoded({with, again}).size() - one < 16);
}

TEST_CASE("a request with a capsule keeps the outcome under its automatic key", "[ledger]") {
  auto with = request("a");
  with.grant = grant('p', "x", 5);
  sqlite::recorded_key key{{.boot = 1, .since_boot_ms = 900, .session = 7, .counter = 8}, {1, 2, 3}, {}};
  write_result outcome;
  outcome.results.emplace_back().changes = 3;
  key.results = sqlite::encode_results(outcome);
  auto bytes = encoded({with}, &key);
  auto found = sqlite::find_key(bytes, key.key);
  REQUIRE(found);
  REQUIRE(*found);
  REQUIRE((*found)->result);
  CHECK((*found)->result->results.at(0).changes == 3);
  auto decoded = sqlite::decode_requests(bytes);
  REQUIRE(decoded);
  CHECK(decoded->at(0).has_outcome);
  CHECK(decoded->at(0).capsule_hash == std::string(32, 'x'));
}

} // namespace sluice::test::ledger_grant_test
