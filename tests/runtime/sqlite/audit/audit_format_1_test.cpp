#include "runtime/sqlite/audit/audit_end.hpp"
#include "tests/runtime/sqlite/audit/audit_fixture.hpp"

#include <stdexcept>

namespace sluice::test::audit_format_1_test {

using namespace sluice::sqlite;
using namespace sluice::sqlite::test;
using Catch::Contains;

namespace {

template <class Field> constexpr bool is_number = std::is_same_v<std::remove_cvref_t<Field>, int64_t>;

// Creates an audit file as the version before segments did.
std::string schema_of_format_1() {
  std::string columns;
  const audit_row row;
  for_each_field(row, [&](std::string_view column, const auto& field) {
    columns += std::string{column} + (is_number<decltype(field)> ? " INTEGER" : " TEXT");
    columns += column == "seq" ? " PRIMARY KEY, " : " NOT NULL, ";
  });
  return "CREATE TABLE audit(" + columns
         + "prev_hash BLOB NOT NULL, hash BLOB NOT NULL) STRICT;"
           "CREATE TABLE stores(id INTEGER PRIMARY KEY, root TEXT NOT NULL UNIQUE) STRICT;"
           "CREATE TABLE databases(name TEXT PRIMARY KEY, reconciled_seq INTEGER NOT NULL DEFAULT 0,"
           " reconciled_hash BLOB NOT NULL DEFAULT x'', audit_seq INTEGER NOT NULL DEFAULT 0,"
           " issued_seq INTEGER NOT NULL DEFAULT 0, issued_at INTEGER NOT NULL DEFAULT 0,"
           " epoch TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;"
           "INSERT INTO stores VALUES (1, '/store'); INSERT INTO databases(name) VALUES ('a.db');"
           "PRAGMA application_id = 0x736c6175; PRAGMA user_version = 1; PRAGMA journal_mode = WAL;";
}

void bind_row(prepared_statement& to, const audit_row& row, std::string_view prev_hash, std::string_view hash) {
  auto index = 1;
  for_each_field(row, [&](const char*, const auto& field) {
    if constexpr (is_number<decltype(field)>)
      to.bind(index++, field);
    else
      to.bind_text(index++, field);
  });
  to.bind_blob(index++, prev_hash);
  to.bind_blob(index, hash);
}

struct format_1_fixture : audit_fixture {
  explicit format_1_fixture(uint64_t records) {
    store.reset();
    for (const auto* suffix : {"", "-wal", "-shm"})
      std::filesystem::remove(path.string() + suffix);
    connection_options options;
    options.mode = open_mode::read_write_create;
    auto db = connection::open(path, options);
    REQUIRE(db);
    REQUIRE(db->exec(schema_of_format_1().c_str()));
    std::string values;
    const audit_row none;
    for_each_field(none, [&](const char*, const auto&) { values += "?, "; });
    auto insert = prepared_statement::prepare(*db, "INSERT INTO audit VALUES (" + values + "?, ?)");
    REQUIRE(insert);
    chain_hash hash;
    for (uint64_t i = 1; i <= records; ++i) {
      auto made = record("old", i);
      made.seq = i;
      auto row = to_row(made, 1, "");
      auto digest = link_hash(hash, row, "/store", last_hash);
      bind_row(*insert, row, last_hash, bytes_of(digest));
      REQUIRE(insert->run());
      last_hash = bytes_of(digest);
    }
  }

  std::string last_hash;
};

} // namespace

TEST_CASE("an audit of format 1 goes on in segments\\, and its records keep their hashes") {
  format_1_fixture r{5};
  auto before = verify_audit_file(r.path);
  REQUIRE(before);
  CHECK(before->intact());
  CHECK(before->records == 5);
  CHECK(before->head == to_hex(r.last_hash));
  r.store = r.reopened();
  CHECK(r.verdict().head == before->head);
  r.append({record("new", 6), record("new", 7)});
  r.append({record("new", 8)});
  auto after = r.verdict();
  CHECK(after.intact());
  CHECK(after.records == 8);
  CHECK(r.seqs() == std::vector<uint64_t>{1, 2, 3, 4, 5, 6, 7, 8});
  r.store = r.reopened();
  r.append({record("new", 9)});
  CHECK(r.verdict().intact());
  CHECK(r.verdict().records == 9);
}

TEST_CASE("a list goes from one format to the other in both directions") {
  format_1_fixture r{3};
  r.store = r.reopened();
  r.append({record("new", 4), record("new", 5)});
  audit_query q;
  q.after_seq = 1;
  CHECK(r.seqs(q) == std::vector<uint64_t>{2, 3, 4, 5});
  q.limit = 3;
  CHECK(r.seqs(q) == std::vector<uint64_t>{2, 3, 4});
  q.newest = true;
  CHECK(r.seqs(q) == std::vector<uint64_t>{3, 4, 5});
  q.limit = 1;
  CHECK(r.seqs(q) == std::vector<uint64_t>{5});
  q = {};
  q.agent = "old";
  q.since_us = 1'700'000'000'000'002;
  CHECK(r.seqs(q) == std::vector<uint64_t>{2, 3});
  q.newest = true;
  CHECK(r.seqs(q) == std::vector<uint64_t>{2, 3});
}

TEST_CASE("what is changed in the rows of format 1 is found\\, before and behind the change of format") {
  format_1_fixture r{4};
  r.store = r.reopened();
  r.append({record("new", 5)});
  CHECK_THAT(r.meddle("UPDATE audit SET agent = 'b'"), Contains("append-only"));
  CHECK_THAT(r.meddle("DELETE FROM audit"), Contains("append-only"));
  REQUIRE(r.meddle("DROP TRIGGER audit_update; DROP TRIGGER audit_delete") == "");
  SECTION("a row") {
    REQUIRE(r.meddle("UPDATE audit SET agent = 'x' WHERE seq = 2") == "");
    CHECK(r.verdict().first_broken == 2);
    CHECK(r.verdict().broken == 1);
  }
  SECTION("the last row") {
    REQUIRE(r.meddle("DELETE FROM audit WHERE seq = 4") == "");
    CHECK_THAT(r.verdict().reason, Contains("record 4 is missing"));
  }
  SECTION("all rows") {
    REQUIRE(r.meddle("DROP TABLE audit") == "");
    CHECK(r.verdict().first_broken == 1);
  }
}

TEST_CASE("the last record of an audit of format 1 is known as its end") {
  format_1_fixture r{2};
  auto source = [](const std::string&, uint64_t) -> caf::expected<ledger_page> {
    return make_error(errc::unknown_database, "no such file");
  };
  auto opened = open_audit_store(r.path, "/store", source);
  REQUIRE(opened);
  auto& store = **opened;
  CHECK(store.check_end());
  CHECK(store.end().seq == 2);
  CHECK(store.end().hash == to_hex(r.last_hash));
  REQUIRE(r.meddle("DROP TRIGGER audit_update; UPDATE audit SET hash = x'00' WHERE seq = 2") == "");
  CHECK(code_of(store.check_end().error()) == errc::corrupt);
}

TEST_CASE("commits that are in rows of format 1 are not missing") {
  format_1_fixture r{2};
  r.store = r.reopened();
  r.ledgers["a.db"] = {commit(1, {"r1"}), commit(2, {"r2"}), commit(3, {"r3"})};
  auto missing = r.missing();
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].request_id == "r3");
}

} // namespace sluice::test::audit_format_1_test
