#include "runtime/capsule/proof.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"
#include "runtime/sqlite/ledger/ledger_codec.hpp"
#include "tests/runtime/capsule/capsule_fixture.hpp"

#include <catch2/catch.hpp>

#include <functional>

namespace sluice::test::proof_test {

using Catch::Contains;

namespace {

constexpr int64_t commit_us = 1'700'000'001'000'000;

// A proof of two commits of one request each, made with the same capsule.
struct fixture : key_fixture {
  capsule grant = example();
  std::string text_of_grant = seal(grant, key);
  std::vector<write_request> requests{request("one"), request("two")};

  write_request request(const char* id) {
    write_request result;
    result.agent = "planner-1";
    result.request_id = id;
    request_grant used;
    used.capsule_hash = capsule_hash(text_of_grant);
    used.policy_hash = grant.policy;
    used.verified_us = grant.issued_us + 1;
    result.grant = std::make_shared<const request_grant>(used);
    return result;
  }

  void use_grant(size_t at, const std::function<void(request_grant&)>& change) {
    auto used = *requests[at].grant;
    change(used);
    requests[at].grant = std::make_shared<const request_grant>(used);
  }

  proof make() const {
    proof result{grant.store, {}, "app.db", "epoch", grant.policy, {}, {text_of_grant}};
    const auto& bytes = key.verifying_key();
    result.key.assign(bytes.begin(), bytes.end());
    sqlite::chain_hash hash;
    std::string previous(32, '\0');
    uint64_t seq = 7;
    for (const auto& each : requests) {
      write_result done;
      ledger_entry entry{&each, &done, nullptr};
      const sqlite::recorded_key* no_key = nullptr;
      proved_commit commit{seq, commit_us, previous, {}, {}};
      sqlite::encode_requests({&entry, 1}, {&no_key, 1}, 1'000, 1, commit.requests);
      auto digest = sqlite::commit_hash(hash, previous, seq++, commit_us, commit.requests);
      commit.hash = sqlite::bytes_of(digest);
      previous = commit.hash;
      result.commits.push_back(std::move(commit));
    }
    return result;
  }

  std::string refusal(const proof& content) const {
    auto opened = open_proof(seal(content, key));
    REQUIRE(!opened);
    return describe(opened.error()).message;
  }

  std::string refusal(const std::function<void(proof&)>& change) const {
    auto content = make();
    change(content);
    return refusal(content);
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a proof is read back as it was, without its store", "[capsule]") {
  auto content = make();
  auto opened = open_proof(seal(content, key));
  REQUIRE(opened);
  CHECK(opened->commits == content.commits);
  CHECK(opened->capsules == content.capsules);
  CHECK(opened->db == "app.db");
  CHECK(opened->epoch == "epoch");
  CHECK(opened->key == content.key);
}

TEST_CASE_METHOD(fixture, "a proof with any byte changed is refused", "[capsule]") {
  auto text = seal(make(), key);
  REQUIRE(open_proof(text));
  for (size_t i = 0; i < text.size(); ++i)
    for (auto bit : {0, 3, 5, 7}) {
      auto changed = text;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      INFO("byte " << i << ", bit " << bit);
      auto opened = open_proof(changed);
      REQUIRE(!opened);
      CHECK_THAT(describe(opened.error()).message, Catch::StartsWith("proof refused ("));
    }
  for (auto size : {size_t{0}, size_t{1}, text.size() / 2, text.size() - 1})
    CHECK_FALSE(open_proof(text.substr(0, size)));
  for (const auto* more : {" ", "\n", "{}"})
    CHECK_FALSE(open_proof(text + more));
  CHECK_FALSE(open_proof(" " + text));
}

TEST_CASE_METHOD(fixture, "a proof that another key has signed is refused", "[capsule]") {
  auto opened = open_proof(seal(make(), other_key));
  REQUIRE(!opened);
  CHECK_THAT(describe(opened.error()).message, Contains("(signature)"));
}

TEST_CASE_METHOD(fixture, "commits that do not follow from each other are refused, even signed", "[capsule]") {
  CHECK_THAT(refusal([](proof& x) { x.commits.clear(); }), Contains("(form)"));
  CHECK_THAT(refusal([](proof& x) { x.commits[0].ts_us += 1; }), Contains("(chain)") && Contains("commit 7"));
  CHECK_THAT(refusal([](proof& x) { x.commits[1].requests += '\0'; }), Contains("(chain)"));
  CHECK_THAT(refusal([](proof& x) { std::swap(x.commits[0], x.commits[1]); }), Contains("(chain)"));
  requests.push_back(request("three"));
  CHECK_THAT(refusal([](proof& x) { x.commits.erase(x.commits.begin() + 1); }), Contains("(chain)"));
}

TEST_CASE_METHOD(fixture, "a capsule that is missing, unused, twice there or of another store is refused",
                 "[capsule]") {
  CHECK_THAT(refusal([](proof& x) { x.capsules.clear(); }), Contains("(capsule)"));
  CHECK_THAT(refusal([](proof& x) { x.capsules.push_back(x.capsules[0]); }), Contains("(form)"));
  auto other = example();
  other.id[0] = 'x';
  CHECK_THAT(refusal([&](proof& x) { x.capsules.push_back(seal(other, key)); }), Contains("(capsule)"));
  CHECK_THAT(refusal([&](proof& x) { x.capsules[0] = seal(grant, other_key); }), Contains("(capsule)"));
  other.store[0] = 'x';
  CHECK_THAT(refusal([&](proof& x) { x.capsules.push_back(seal(other, key)); }), Contains("(capsule)"));
}

TEST_CASE_METHOD(fixture, "a capsule that did not cover its request is refused by the check", "[capsule]") {
  CHECK_THAT(refusal([](proof& x) { x.db = "other.db"; }), Contains("(database)"));
  auto before = requests;
  requests[1].agent = "mallory";
  CHECK_THAT(refusal(make()), Contains("(agent)") && Contains("'two' of commit 8"));
  requests = before;
  use_grant(1, [&](auto& x) { x.verified_us = grant.expires_us; });
  CHECK_THAT(refusal(make()), Contains("(expired)"));
  use_grant(1, [&](auto& x) { x.verified_us = grant.issued_us - 1; });
  CHECK_THAT(refusal(make()), Contains("(expired)"));
  requests = before;
  use_grant(0, [](auto& x) { x.policy_hash = std::string(32, 'q'); });
  CHECK_THAT(refusal(make()), Contains("(policy)"));
}

} // namespace sluice::test::proof_test
