#include "runtime/capsule/proof_ledger.hpp"

#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/fake_clock.hpp"

#include <catch2/catch.hpp>

#include <fstream>

namespace sluice::test::proof_ledger_test {

using Catch::Contains;
using namespace std::chrono_literals;

namespace {

// A store with one database, whose commits are made with a capsule.
struct fixture : store_fixture {
  fake_clock time;
  std::string policy = std::string(32, 'p');
  capsule_authority aut{open_root(), time};
  std::string text = must(aut.issue({"alice", tier::basic, {"app.db:*"}, 60s, {}}, policy)).text;

  store_root open_root() const {
    auto root = must(store_root::open(folder.path()));
    must(root.make_folder());
    return root;
  }

  uint64_t commit(const char* sql, bool has_capsule = true) {
    auto request = request_of(sql);
    if (has_capsule)
      request.grant = std::make_shared<const request_grant>(
        request_grant{{}, capsule_hash(text), policy, must(aut.verify(text, policy))->content.issued_us});
    return write(request).commit_seq;
  }

  std::string prove(uint64_t first, uint64_t last) {
    return must(make_proof(aut, {"app.db", file, first, last}, policy));
  }

  std::string no_proof(uint64_t first, uint64_t last) {
    return failure_of(make_proof(aut, {"app.db", file, first, last}, policy)).message;
  }

  caf::expected<promotion> check(const std::string& proof) { return check(proof, policy); }

  caf::expected<promotion> check(const std::string& proof, const std::string& in_force) {
    return check_proof(aut, proof, in_force, [this](const std::string& db) -> caf::expected<std::filesystem::path> {
      CHECK(db == "app.db");
      return file;
    });
  }

  std::string refusal(const std::string& proof) { return failure_of(check(proof)).message; }
};

} // namespace

TEST_CASE_METHOD(fixture, "a proof of commits is accepted by their store", "[capsule]") {
  auto first = commit("CREATE TABLE t(a)");
  auto last = commit("INSERT INTO t VALUES (1)");
  commit("INSERT INTO t VALUES (2)");
  auto proof = prove(first, last);
  auto accepted = must(check(proof));
  CHECK(accepted.db == "app.db");
  CHECK(accepted.first_seq == first);
  CHECK(accepted.last_seq == last);
  CHECK(accepted.proof == proof_hash(proof));
  CHECK(must(aut.file().add_promotion(accepted)));
  CHECK_FALSE(must(aut.file().add_promotion(accepted)));
  auto all = must(aut.file().promotions(10));
  REQUIRE(all.size() == 1);
  CHECK(all[0].id == 1);
  CHECK(all[0].head == accepted.head);
  // One in the middle has the hash of the record before it.
  must(check(prove(last, last)));
}

TEST_CASE_METHOD(fixture, "a proof is refused when the ledger has other records", "[capsule]") {
  auto seq = commit("CREATE TABLE t(a)");
  auto proof = prove(seq, seq);
  store->rollback();
  store.reset();
  must(must(sqlite::connection::open(file, {.mode = sqlite::open_mode::read_write_create}))
         .exec("UPDATE _sluice_commits SET ts_us = ts_us + 1"));
  CHECK_THAT(refusal(proof), Contains("(ledger)"));
  std::filesystem::remove(file);
  CHECK_FALSE(check(proof));
}

TEST_CASE_METHOD(fixture, "a proof is refused when a capsule of it was revoked since, and for another policy",
                 "[capsule]") {
  auto seq = commit("CREATE TABLE t(a)");
  auto proof = prove(seq, seq);
  CHECK_THAT(failure_of(check(proof, std::string(32, 'q'))).message, Contains("(policy)"));
  must(aut.revoke(text));
  CHECK_THAT(refusal(proof), Contains("(revoked)"));
}

TEST_CASE_METHOD(fixture, "a commit without a capsule is proved, and not promoted", "[capsule]") {
  auto seq = commit("CREATE TABLE t(a)", false);
  auto proof = prove(seq, seq);
  CHECK(open_proof(proof));
  CHECK_THAT(refusal(proof), Contains("(capsule)"));
}

TEST_CASE_METHOD(fixture, "a proof of another store is refused", "[capsule]") {
  auto seq = commit("CREATE TABLE t(a)");
  auto proof = prove(seq, seq);
  temp_dir other;
  auto root = must(store_root::open(other.path()));
  must(root.make_folder());
  capsule_authority elsewhere{root, time};
  auto result = check_proof(elsewhere, proof, policy, [this](const std::string&) { return file; });
  CHECK(failure_of(result).code == errc::wrong_store);
  CHECK_THAT(failure_of(result).message, Contains("(store)"));
}

TEST_CASE_METHOD(fixture, "commits that the ledger does not have cannot be proved", "[capsule]") {
  auto seq = commit("CREATE TABLE t(a)");
  CHECK_THAT(no_proof(0, 1), Contains("commits"));
  CHECK_THAT(no_proof(2, 1), Contains("commits"));
  CHECK_THAT(no_proof(seq, seq + 1), Contains("commit 2 is not in the ledger"));
  CHECK_THAT(no_proof(1, max_proof_commits + 1), Contains("at most 1000 commits"));
}

} // namespace sluice::test::proof_ledger_test
