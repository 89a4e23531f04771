#include "runtime/sqlite/audit/audit_end.hpp"
#include "tests/runtime/sqlite/audit/audit_fixture.hpp"

#include <fstream>
#include <random>

namespace sluice::test::audit_pruning_test {

using namespace sluice::sqlite;
using namespace sluice::sqlite::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

// As `record` says: microseconds after this are the number of the commit.
constexpr int64_t epoch_us = 1'700'000'000'000'000;
constexpr int64_t now_us = 1'800'000'000'000'000;

audit_pruned prune(audit_fixture& r, const prune_bounds& bounds) {
  auto done = r.store->prune(bounds, now_us);
  INFO((done ? std::string{} : describe(done.error()).message));
  REQUIRE(done);
  return *done;
}

audit_pruned prune_before(audit_fixture& r, int64_t commit) { return prune(r, {epoch_us + commit, 0}); }

} // namespace

TEST_CASE("after old records were removed the rest is a whole chain that continues") {
  audit_fixture r;
  r.append_many(9);
  auto head = r.verdict().head;
  auto done = prune_before(r, 5);
  CHECK(done.records == 4);
  CHECK(done.first_seq == 5);
  CHECK_FALSE(done.has_more);
  auto verdict = r.verdict();
  CHECK(verdict.intact());
  CHECK(verdict.records == 5);
  CHECK(verdict.pruned == 4);
  CHECK(verdict.head == head);
  CHECK(r.seqs() == std::vector<uint64_t>{5, 6, 7, 8, 9});
  r.store = r.reopened();
  r.append({record("a", 10)});
  CHECK(prune_before(r, 8).records == 3);
  CHECK(r.verdict().intact());
  CHECK(r.verdict().pruned == 7);
  CHECK(prune_before(r, 8).records == 0);
}

TEST_CASE("records of one segment go together, and the newest always stays") {
  audit_fixture r;
  r.append({record("a", 1), record("a", 9)});
  r.append({record("a", 2)});
  CHECK(prune_before(r, 5).records == 0);
  CHECK(prune_before(r, 100).records == 2);
  CHECK(r.seqs() == std::vector<uint64_t>{3});
  CHECK(prune_before(r, 100).records == 0);
  CHECK(r.verdict().intact());
}

TEST_CASE("the oldest records are removed until the file has no more bytes than it may") {
  audit_fixture r;
  // Random text, which cannot be compressed.
  std::mt19937 random;
  for (auto i = 1; i <= 400; ++i) {
    auto result = record("agent", static_cast<uint64_t>(i));
    for (auto n = 0; n < 1'000; ++n)
      result.key += static_cast<char>(random());
    r.append({result});
  }
  uint64_t removed = 0;
  for (auto has_more = true; has_more;) {
    auto done = prune(r, {0, 150'000});
    has_more = done.has_more;
    removed += done.records;
  }
  CHECK(removed > 200);
  CHECK(r.verdict().intact());
  CHECK(r.verdict().records + removed == 400);
  // The bytes of a record are an estimate, since its page may hold others.
  CHECK(prune(r, {0, 150'000}).records < 20);
  CHECK(r.verdict().records > 50);
  CHECK(prune(r, {0, 1U << 30U}).records == 0);
}

TEST_CASE("a bounded number of records is removed at once, and the answer says that there are more") {
  audit_fixture r;
  r.append_many(400);
  auto first = prune_before(r, 400);
  CHECK(first.records < 399);
  CHECK(first.has_more);
  auto second = prune_before(r, 400);
  CHECK(first.records + second.records == 399);
  CHECK_FALSE(second.has_more);
  CHECK(r.verdict().intact());
}

TEST_CASE("only records before the anchor may be deleted, and a moved anchor is found") {
  audit_fixture r;
  r.append_many(6);
  prune_before(r, 3);
  CHECK_THAT(r.meddle("DELETE FROM segments WHERE first_seq = 3"), Contains("append-only"));
  REQUIRE(r.meddle("UPDATE anchor SET seq = 3, hash = (SELECT hash FROM segments WHERE first_seq = 3), records = 3; "
                   "DELETE FROM segments WHERE first_seq = 3")
          == "");
  auto verdict = r.verdict();
  CHECK_FALSE(verdict.intact());
  REQUIRE(verdict.problems.size() == 1);
  CHECK(verdict.problems[0] == "the audit begins behind record 3, and the anchor there does not match its signature");
}

TEST_CASE("an anchor with another key, and one whose key is missing, are reported") {
  audit_fixture r;
  r.append_many(4);
  prune_before(r, 3);
  auto key = r.dir / "audit.key";
  CHECK((fs::status(key).permissions() & fs::perms{0777}) == fs::perms{0600});
  fs::remove(key);
  CHECK_THAT(r.verdict().problems.at(0), Contains("audit.key is missing"));
  std::ofstream{key} << std::string(64, 'a');
  fs::permissions(key, fs::perms{0600});
  CHECK_THAT(r.verdict().problems.at(0), Contains("another key than the store's"));
  r.append_many(1);
  prune_before(r, 4);
  CHECK(r.verdict().intact());
}

TEST_CASE("without its anchor a chain lacks its beginning") {
  audit_fixture r;
  r.append_many(4);
  prune_before(r, 3);
  REQUIRE(r.meddle("DELETE FROM anchor") == "");
  CHECK(r.verdict().first_broken == 1);
}

TEST_CASE("a record that was removed is not recovered from its ledger") {
  audit_fixture r;
  r.ledgers["a.db"] = {commit(1, {"r1"}), commit(2, {"r2"}), commit(3, {"r3"}), commit(4, {"r4"})};
  REQUIRE(r.missing().size() == 4);
  r.append_many(3);
  SECTION("and one that its writer has not sent yet is, once") {
    CHECK(prune_before(r, 3).records == 2);
    CHECK(r.missing().empty());
    r.append({record("agent", 4)});
    auto records = r.list();
    CHECK(std::count_if(records.begin(), records.end(), [](const auto& x) { return x.commit_seq == 4; }) == 1);
    CHECK(r.verdict().intact());
  }
  SECTION("nor when the ledger cannot be read, since it then stays") {
    r.ledger_error = make_error(errc::ledger_damaged, "no page");
    CHECK(prune_before(r, 3).records == 0);
    r.ledger_error = {};
    CHECK(prune_before(r, 3).records == 2);
  }
  SECTION("and goes when the database is gone") {
    r.ledgers.clear();
    CHECK(prune_before(r, 3).records == 2);
  }
}

TEST_CASE("a removal that fails removes nothing") {
  audit_fixture r;
  r.append_many(4);
  SECTION("in the file") {
    REQUIRE(r.meddle("CREATE TRIGGER full BEFORE DELETE ON segments BEGIN SELECT RAISE(ABORT, 'full'); END") == "");
  }
  SECTION("for want of a key") { std::ofstream{r.dir / "audit.key"} << "no key"; }
  CHECK_FALSE(r.store->prune({epoch_us + 3, 0}, now_us));
  CHECK(r.verdict().intact());
  CHECK(r.verdict().records == 4);
  CHECK(r.verdict().pruned == 0);
  r.append({record("a", 5)});
}

} // namespace sluice::test::audit_pruning_test
