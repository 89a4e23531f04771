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

TEST_CASE("any field that is changed breaks its record, and only that") {
  for (const auto* change : {"ts_us = 1",
                             "request_id = 'x'",
                             "agent = 'x'",
                             "db = 'x'",
                             "request_type = 'read'",
                             "key = 'x'",
                             "status = 'ok'",
                             "latency_us = 1",
                             "commit_seq = 1",
                             "tables = '[\"x\"]'",
                             "correlation_id = 'x'",
                             "peer_uid = 1",
                             "peer_pid = 1",
                             "count = 2",
                             "recovered = 1",
                             "store = 2",
                             "prev_hash = x''",
                             "hash = zeroblob(32)",
                             "hash = x''",
                             "agent = 'x', hash = zeroblob(32)"}) {
    INFO(change);
    audit_fixture r;
    r.append_many(5);
    r.tamper(std::string{"UPDATE audit SET "} + change + " WHERE seq = 3");
    auto x = r.verdict();
    CHECK(x.records == 5);
    CHECK(x.broken == 1);
    CHECK(x.first_broken == 3);
    CHECK_THAT(x.reason, Contains("record 3 does not match its hash"));
  }
}

TEST_CASE("two neighbours that are changed are both counted") {
  audit_fixture r;
  r.append_many(5);
  r.tamper("UPDATE audit SET agent = 'x' WHERE seq IN (2, 3)");
  auto x = r.verdict();
  CHECK(x.broken == 2);
  CHECK(x.first_broken == 2);
}

TEST_CASE("a record that is replaced by another with a hash of its own breaks the link to the next") {
  audit_fixture r;
  audit_fixture forger;
  r.append_many(5);
  forger.append({record("agent", 1), record("agent", 2), record("mallory", 3)});
  r.tamper("ATTACH '" + forger.path.string()
           + "' AS forged; DELETE FROM audit WHERE seq = 3;"
             "INSERT INTO audit SELECT * FROM forged.audit WHERE seq = 3");
  auto x = r.verdict();
  CHECK(x.broken == 1);
  CHECK(x.first_broken == 4);
  CHECK_THAT(x.reason, Contains("does not follow"));
}

TEST_CASE("a record moved from one field to the next breaks, though the bytes stay the same") {
  audit_fixture r;
  auto x = record("ab", 1);
  x.request_id = "";
  r.append({x});
  r.tamper("UPDATE audit SET request_id = 'a', agent = 'b'");
  CHECK(r.verdict().first_broken == 1);
}

TEST_CASE("a store that is given another root breaks its records") {
  audit_fixture r;
  r.append_many(2);
  r.store = r.reopened("/moved");
  r.append({record("a", 3)});
  CHECK(r.verdict().intact());
  r.tamper("UPDATE stores SET root = '/other' WHERE id = 1");
  auto x = r.verdict();
  CHECK(x.broken == 2);
  CHECK(x.first_broken == 1);
}

TEST_CASE("records that were deleted count as one broken place") {
  audit_fixture r;
  r.append_many(9);
  r.tamper("DELETE FROM audit WHERE seq IN (3, 4, 5)");
  auto x = r.verdict();
  CHECK(x.records == 6);
  CHECK(x.broken == 1);
  CHECK(x.first_broken == 3);
  CHECK_THAT(x.reason, Contains("record 3 is missing"));
}

TEST_CASE("a chain that lacks its beginning is broken at its beginning") {
  audit_fixture r;
  r.append_many(4);
  r.tamper("DELETE FROM audit WHERE seq = 1");
  CHECK(r.verdict().first_broken == 1);
  CHECK(r.verdict().broken == 1);
}

TEST_CASE("records behind a gap are still checked") {
  audit_fixture r;
  r.append_many(9);
  r.tamper("DELETE FROM audit WHERE seq = 3; UPDATE audit SET agent = 'x' WHERE seq = 7");
  auto x = r.verdict();
  CHECK(x.broken == 2);
  CHECK(x.first_broken == 3);
}

TEST_CASE("an inserted record is found, and the chain goes on behind it") {
  audit_fixture r;
  r.append_many(2);
  auto columns = "ts_us, request_id, agent, store, db, request_type, key, status, latency_us, commit_seq, tables, "
                 "correlation_id, peer_uid, peer_pid, count, recovered, prev_hash, hash";
  CHECK(r.meddle(std::string{"INSERT INTO audit SELECT 3, "} + columns + " FROM audit WHERE seq = 2") == "");
  // The store learns of it when it starts anew; before, its own record number 3 is refused, not lost.
  std::vector<audit_record> own{record("a", 3)};
  REQUIRE_FALSE(r.store->append(own));
  r.store = r.reopened();
  r.append(own);
  auto x = r.verdict();
  CHECK(x.broken == 1);
  CHECK(x.first_broken == 3);
  CHECK(x.records == 4);
  CHECK(r.meddle(std::string{"INSERT INTO audit SELECT -3, "} + columns + " FROM audit WHERE seq = 2") == "");
  CHECK(r.verdict().broken == 2);
}

TEST_CASE("a chain that was cut at its end looks whole, but for its head") {
  audit_fixture r;
  r.append_many(3);
  auto before = r.verdict();
  r.tamper("DELETE FROM audit WHERE seq = 3");
  auto after = r.verdict();
  CHECK(after.intact());
  CHECK(after.head != before.head);
}

TEST_CASE("values of wrong types are reported and crash nothing") {
  audit_fixture r;
  r.append_many(4);
  r.tamper("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(replace(sql, ' STRICT', ''), "
           "' NOT NULL', '') WHERE name = 'audit'; PRAGMA writable_schema = RESET;");
  REQUIRE(
    r.meddle("UPDATE audit SET agent = NULL, ts_us = 'soon', request_type = x'ff', tables = 'nonsense', count = 1.5, "
             "hash = 'text' WHERE seq = 2; UPDATE audit SET correlation_id = NULL WHERE seq = 4")
    == "");
  r.store = r.reopened();
  auto x = r.verdict();
  CHECK(x.broken == 2);
  CHECK(x.first_broken == 2);
  CHECK_THAT(x.reason, Contains("wrong type"));
  auto back = r.list();
  REQUIRE(back.size() == 4);
  CHECK(back[1].tables->front() == "nonsense");
  CHECK_FALSE(to_string(back[1].type).empty());
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
    readable += r.meddle("SELECT hash FROM audit WHERE seq = " + std::to_string(seq)).empty();
  REQUIRE(readable < 2'000);
  auto x = verify_audit_file(r.path);
  REQUIRE(x);
  CHECK(x->records == readable);
  CHECK(x->broken == 1);
  CHECK(x->first_broken > 100);
  CHECK(x->first_broken < 1'900);
  CHECK_THAT(x->reason, Contains("cannot be read"));
  CHECK_FALSE(x->head.empty());
}

} // namespace sluice::test::audit_verify_test
