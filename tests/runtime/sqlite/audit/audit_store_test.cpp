#include "tests/runtime/sqlite/audit/audit_fixture.hpp"

#include <fstream>
#include <limits>
#include <sys/stat.h>

namespace sluice::test::audit_store_test {

using namespace sluice::sqlite;
using namespace sluice::sqlite::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

errc code_of_opening(const fs::path& path) {
  auto store = open_audit_store(path, "/store", nullptr);
  return store ? errc{} : code_of(store.error());
}

} // namespace

TEST_CASE("a record is read back as it was appended") {
  audit_fixture r;
  audit_record original;
  original.ts_us = 12;
  original.request_id = "r";
  original.agent = "gr\u00f6\u00dfe";
  original.db = "sub/a.db";
  original.type = request_type::cache_hit;
  original.key = "k";
  original.status = "ok";
  original.latency_us = 34;
  original.commit_seq = 56;
  original.tables =
    std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"a", "b\"c", "", "caf\xe9"});
  original.correlation_id = "c";
  original.peer = {4'294'967'295, 7};
  original.count = 4'294'967'295;
  original.recovered = true;
  r.append({original, record("b")});
  auto back = r.list();
  REQUIRE(back.size() == 2);
  const auto& stored = back[0];
  CHECK(stored.seq == 1);
  CHECK(stored.ts_us == original.ts_us);
  CHECK(stored.request_id == original.request_id);
  CHECK(stored.agent == original.agent);
  CHECK(stored.db == original.db);
  CHECK(stored.type == original.type);
  CHECK(stored.key == original.key);
  CHECK(stored.status == original.status);
  CHECK(stored.latency_us == original.latency_us);
  CHECK(stored.commit_seq == original.commit_seq);
  CHECK(*stored.tables == *original.tables);
  CHECK(stored.correlation_id == original.correlation_id);
  CHECK(stored.peer.uid == original.peer.uid);
  CHECK(stored.peer.pid == original.peer.pid);
  CHECK(stored.count == original.count);
  CHECK(stored.recovered);
  CHECK(back[1].tables == nullptr);
  CHECK(r.store->list({})->store_root == "/store");
}

TEST_CASE("appending numbers the records on, also after a restart") {
  audit_fixture r;
  std::vector<audit_record> records{record("a"), record("b")};
  REQUIRE(r.store->append(records));
  CHECK(records[1].seq == 2);
  REQUIRE(r.store->append({}));
  r.store = r.reopened();
  r.append({record("c")});
  CHECK(r.seqs() == std::vector<uint64_t>{1, 2, 3});
  CHECK(r.verdict().intact());
}

TEST_CASE("the audit file is not readable for others") {
  audit_fixture r;
  r.append({record("a")});
  for (const auto* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    REQUIRE(stat((r.path.string() + suffix).c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
  }
  r.store.reset();
  fs::permissions(r.path, fs::perms{0644});
  r.store = r.reopened();
  CHECK((fs::status(r.path).permissions() & fs::perms{0777}) == fs::perms{0600});
}

TEST_CASE("the schema refuses to change, delete or replace records and stores") {
  audit_fixture r;
  r.append({record("a", 1)});
  CHECK_THAT(r.meddle("UPDATE segments SET newest_us = 1"), Contains("append-only"));
  CHECK_THAT(r.meddle("DELETE FROM segments"), Contains("append-only"));
  CHECK_THAT(r.meddle("INSERT OR REPLACE INTO segments SELECT * FROM segments"), Contains("append-only"));
  CHECK_THAT(r.meddle("INSERT INTO segments SELECT * FROM segments WHERE true ON CONFLICT DO UPDATE SET newest_us = 1"),
             Contains("append-only"));
  CHECK_THAT(r.meddle("UPDATE stores SET root = '/other'"), Contains("append-only"));
  CHECK_THAT(r.meddle("DELETE FROM stores"), Contains("append-only"));
  CHECK_THAT(r.meddle("INSERT OR REPLACE INTO stores VALUES (1, '/other')"), Contains("append-only"));
  CHECK_THAT(r.meddle("INSERT OR REPLACE INTO stores(root) VALUES ('/store')"), Contains("append-only"));
  CHECK(r.verdict().intact());
}

TEST_CASE("guards that were dropped are back after a restart") {
  audit_fixture r;
  r.tamper("");
  r.store = r.reopened();
  r.append({record("a", 1)});
  CHECK_THAT(r.meddle("UPDATE segments SET newest_us = 1"), Contains("append-only"));
}

TEST_CASE("a list has the records that match every filter, in the order of the chain") {
  audit_fixture r;
  auto other = record("bob", 2);
  other.db = "b.db";
  r.append({record("alice", 1), other, record("alice"), record("bob", 4)});
  audit_query q;
  q.agent = "bob";
  CHECK(r.seqs(q) == std::vector<uint64_t>{2, 4});
  q.db = "a.db";
  CHECK(r.seqs(q) == std::vector<uint64_t>{4});
  q = {};
  q.status = "constraint";
  CHECK(r.seqs(q) == std::vector<uint64_t>{3});
  q = {};
  q.since_us = 1'700'000'000'000'002;
  CHECK(r.seqs(q) == std::vector<uint64_t>{2, 4});
  q = {};
  q.after_seq = 2;
  CHECK(r.seqs(q) == std::vector<uint64_t>{3, 4});
  q.after_seq = std::numeric_limits<uint64_t>::max();
  CHECK(r.seqs(q).empty());
  q = {};
  q.agent = "' OR 1 --";
  CHECK(r.seqs(q).empty());
}

TEST_CASE("a list is cut from the beginning or, with newest, from the end") {
  audit_fixture r;
  r.append_many(5);
  audit_query q;
  q.limit = 2;
  CHECK(r.seqs(q) == std::vector<uint64_t>{1, 2});
  q.newest = true;
  CHECK(r.seqs(q) == std::vector<uint64_t>{4, 5});
  q.limit = 0;
  CHECK(r.seqs(q).empty());
  q.limit = std::numeric_limits<uint64_t>::max();
  CHECK(r.seqs(q).size() == 5);
}

TEST_CASE("an append that fails appends nothing and leaves the chain where it was") {
  audit_fixture r;
  r.append_many(2);
  sqlite3* foreign = nullptr;
  REQUIRE(sqlite3_open(r.path.c_str(), &foreign) == SQLITE_OK);
  REQUIRE(sqlite3_exec(foreign, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  std::vector<audit_record> records{record("x", 3)};
  auto done = r.store->append(records);
  REQUIRE_FALSE(done);
  CHECK(code_of(done.error()) == errc::busy);
  CHECK(records[0].seq == 0);
  sqlite3_close(foreign);
  // Fails in the middle, with the second segment.
  REQUIRE(r.meddle("CREATE TRIGGER once BEFORE INSERT ON segments WHEN NEW.first_seq > 1000 BEGIN "
                   "SELECT RAISE(ABORT, 'no'); END")
          == "");
  std::vector<audit_record> half(1'500, record("good", 3));
  REQUIRE_FALSE(r.store->append(half));
  CHECK(half[0].seq == 0);
  CHECK(r.verdict().records == 2);
  r.append(records);
  CHECK(r.verdict().intact());
  CHECK(r.verdict().records == 3);
}

TEST_CASE("a file that is not an audit is refused as corrupt") {
  sluice::test::temp_dir dir;
  std::ofstream{dir / "text.db"} << std::string(8'192, 'x');
  CHECK(code_of_opening(dir / "text.db") == errc::corrupt);
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open((dir / "foreign.db").c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, "CREATE TABLE audit(x)", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
  CHECK(code_of_opening(dir / "foreign.db") == errc::corrupt);
  CHECK(code_of(verify_audit_file(dir / "foreign.db").error()) == errc::corrupt);
  std::ofstream{dir / "empty.db"};
  CHECK(code_of_opening(dir / "empty.db") == errc{});
}

TEST_CASE("an audit without its table is refused as corrupt, one of a later format as such") {
  audit_fixture r;
  r.store.reset();
  REQUIRE(r.meddle("PRAGMA user_version = 3") == "");
  CHECK(code_of_opening(r.path) == errc::protocol_mismatch);
  REQUIRE(r.meddle("PRAGMA user_version = 2; DROP TABLE segments") == "");
  CHECK(code_of_opening(r.path) == errc::corrupt);
}

} // namespace sluice::test::audit_store_test
