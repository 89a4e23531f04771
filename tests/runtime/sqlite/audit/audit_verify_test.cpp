#include "tests/runtime/sqlite/audit/audit_fixture.hpp"

#include <fstream>

namespace sluice::test::audit_verify_test {

using namespace sluice::sqlite;
using namespace sluice::sqlite::test;
using Catch::Contains;
namespace fs = std::filesystem;

TEST_CASE("an intact chain is found intact, and its head changes with every record") {
  audit_fixture r;
  CHECK(r.verdict().intact());
  CHECK(r.verdict().head.empty());
  r.append({record("a", 1)});
  auto first = r.verdict();
  r.append({record("b", 2)});
  auto second = r.verdict();
  CHECK(second.records == 2);
  CHECK(second.intact());
  CHECK(second.head.size() == 64);
  CHECK(first.head != second.head);
}

TEST_CASE("any column that is changed breaks its segment\\, and only that") {
  for (const auto* change :
       {"store = 2", "newest_us = 1", "prev_hash = x''", "hash = zeroblob(32)", "hash = x''", "records = x''",
        "records = x'80'", "records = zeroblob(100)", "records = CAST(records || x'00' AS BLOB)", "last_seq = 2",
        "last_seq = -1", "last_seq = 9223372036854775807"}) {
    INFO(change);
    audit_fixture r;
    r.append_many(5);
    r.tamper(std::string{"UPDATE segments SET "} + change + " WHERE first_seq = 3");
    auto verdict = r.verdict();
    CHECK(verdict.records == 5);
    CHECK(verdict.broken == 1);
    CHECK(verdict.first_broken == 3);
    CHECK_THAT(verdict.reason, Contains("record 3 does not match its hash"));
  }
}

TEST_CASE("any field of a record that is changed breaks its segment") {
  auto original = record("agent", 3);
  for (auto* change : std::initializer_list<void (*)(audit_record&)>{
         [](audit_record& x) { x.request_id = "x"; }, [](audit_record& x) { x.agent = "x"; },
         [](audit_record& x) { x.db = "x"; }, [](audit_record& x) { x.type = request_type::read; },
         [](audit_record& x) { x.key = "x"; }, [](audit_record& x) { x.status = "ok"; },
         [](audit_record& x) { x.latency_us = 1; }, [](audit_record& x) { x.commit_seq = 1; },
         [](audit_record& x) { x.tables = std::make_shared<const std::vector<std::string>>(1, "x"); },
         [](audit_record& x) { x.correlation_id = "x"; }, [](audit_record& x) { x.peer.uid = 1; },
         [](audit_record& x) { x.peer.pid = 1; }, [](audit_record& x) { x.count = 2; },
         [](audit_record& x) { x.recovered = true; }, [](audit_record& x) { --x.ts_us; }}) {
    audit_fixture r;
    r.append_many(5);
    auto changed = original;
    change(changed);
    r.tamper("UPDATE segments SET records = x'" + to_hex(r.encoded(changed)) + "' WHERE first_seq = 3");
    auto verdict = r.verdict();
    CHECK(verdict.records == 5);
    CHECK(verdict.broken == 1);
    CHECK(verdict.first_broken == 3);
  }
}

TEST_CASE("damaged records of one segment count as one broken place") {
  audit_fixture r;
  r.append_many(2);
  r.append({record("a", 3), record("a", 4), record("a", 5)});
  r.append_many(2);
  r.tamper("UPDATE segments SET newest_us = 1 WHERE first_seq = 3");
  auto verdict = r.verdict();
  CHECK(verdict.records == 7);
  CHECK(verdict.broken == 1);
  CHECK(verdict.first_broken == 3);
  CHECK_THAT(verdict.reason, Contains("the segment with the records 3 to 5 does not match its hash"));
}

TEST_CASE("two adjacent records that are changed are both counted") {
  audit_fixture r;
  r.append_many(5);
  r.tamper("UPDATE segments SET newest_us = 1 WHERE first_seq IN (2, 3)");
  auto verdict = r.verdict();
  CHECK(verdict.broken == 2);
  CHECK(verdict.first_broken == 2);
}

TEST_CASE("a record that is replaced by another with a hash of its own breaks the link to the next") {
  audit_fixture r;
  audit_fixture forger;
  r.append_many(5);
  forger.append_many(2);
  forger.append({record("mallory", 3)});
  r.tamper("ATTACH '" + forger.path.string()
           + "' AS forged; DELETE FROM segments WHERE first_seq = 3;"
             "INSERT INTO segments SELECT * FROM forged.segments WHERE first_seq = 3");
  auto verdict = r.verdict();
  CHECK(verdict.broken == 1);
  CHECK(verdict.first_broken == 4);
  CHECK_THAT(verdict.reason, Contains("does not follow"));
}

TEST_CASE("another root of the store breaks its records") {
  audit_fixture r;
  r.append_many(2);
  r.store = r.reopened("/moved");
  r.append({record("a", 3)});
  CHECK(r.verdict().intact());
  r.tamper("UPDATE stores SET root = '/other' WHERE id = 1");
  auto verdict = r.verdict();
  CHECK(verdict.broken == 2);
  CHECK(verdict.first_broken == 1);
}

TEST_CASE("records that were deleted count as one broken place") {
  audit_fixture r;
  r.append_many(9);
  r.tamper("DELETE FROM segments WHERE first_seq IN (3, 4, 5)");
  auto verdict = r.verdict();
  CHECK(verdict.records == 6);
  CHECK(verdict.broken == 1);
  CHECK(verdict.first_broken == 3);
  CHECK_THAT(verdict.reason, Contains("record 3 is missing"));
}

TEST_CASE("a chain without its first record is broken at that record") {
  audit_fixture r;
  r.append_many(4);
  r.tamper("DELETE FROM segments WHERE first_seq = 1");
  CHECK(r.verdict().first_broken == 1);
  CHECK(r.verdict().broken == 1);
}

TEST_CASE("records behind a gap are still checked") {
  audit_fixture r;
  r.append_many(9);
  r.tamper("DELETE FROM segments WHERE first_seq = 3; UPDATE segments SET newest_us = 1 WHERE first_seq = 7");
  auto verdict = r.verdict();
  CHECK(verdict.broken == 2);
  CHECK(verdict.first_broken == 3);
}

TEST_CASE("an inserted record is found, and the chain goes on behind it") {
  audit_fixture r;
  r.append_many(2);
  const std::string columns = "store, newest_us, prev_hash, hash, records";
  CHECK(r.meddle("INSERT INTO segments SELECT 3, 3, " + columns + " FROM segments WHERE first_seq = 2") == "");
  // The store notices the inserted record when it is opened again; before, its own record 3 is refused and not lost.
  std::vector<audit_record> colliding_record{record("a", 3)};
  REQUIRE_FALSE(r.store->append(colliding_record));
  r.store = r.reopened();
  r.append(colliding_record);
  auto verdict = r.verdict();
  CHECK(verdict.broken == 1);
  CHECK(verdict.first_broken == 3);
  CHECK(verdict.records == 4);
  CHECK(r.meddle("INSERT INTO segments SELECT -3, -3, " + columns + " FROM segments WHERE first_seq = 2") == "");
  CHECK(r.verdict().broken == 2);
}

TEST_CASE("a chain that was cut at its end is whole and has another head") {
  audit_fixture r;
  r.append_many(3);
  auto before = r.verdict();
  r.tamper("DELETE FROM segments WHERE first_seq = 3");
  auto after = r.verdict();
  CHECK(after.intact());
  CHECK(after.head != before.head);
}

TEST_CASE("values of wrong types are reported, without a crash") {
  audit_fixture r;
  r.append_many(4);
  r.tamper("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(replace(sql, ' STRICT', ''), "
           "' NOT NULL', '') WHERE name = 'segments'; PRAGMA writable_schema = RESET;");
  REQUIRE(r.meddle("UPDATE segments SET last_seq = NULL, newest_us = 'soon', records = 'nonsense', hash = 'text' "
                   "WHERE first_seq = 2; UPDATE segments SET prev_hash = NULL WHERE first_seq = 4")
          == "");
  r.store = r.reopened();
  auto verdict = r.verdict();
  CHECK(verdict.broken == 2);
  CHECK(verdict.first_broken == 2);
  CHECK_THAT(verdict.reason, Contains("wrong type"));
  CHECK(r.seqs() == std::vector<uint64_t>{1, 3, 4});
}

TEST_CASE("a damaged page is one broken place, and the rest is still checked") {
  audit_fixture r;
  r.append_many(2'000);
  r.store.reset();
  REQUIRE(r.meddle("PRAGMA wal_checkpoint(TRUNCATE)") == "");
  {
    std::fstream file{r.path, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(30 * 4096);
    file << std::string(4096, '\xa5');
  }
  uint64_t readable = 0;
  for (auto seq = 1; seq <= 2'000; ++seq)
    readable += r.meddle("SELECT hash FROM segments WHERE first_seq = " + std::to_string(seq)).empty();
  REQUIRE(readable < 2'000);
  auto result = verify_audit_file(r.path);
  REQUIRE(result);
  CHECK(result->records == readable);
  CHECK(result->broken == 1);
  CHECK(result->first_broken > 100);
  CHECK(result->first_broken < 1'900);
  CHECK_THAT(result->reason, Contains("cannot be read"));
  CHECK_FALSE(result->head.empty());
}

} // namespace sluice::test::audit_verify_test
