#include "runtime/sqlite/ledger/ledger.hpp"

#include "runtime/sqlite/ledger/cbor_writer.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"

#include <limits>

namespace sluice::test::ledger_test {

using sqlite::ledger_reader;

namespace {

write_request keyed(std::vector<statement> statements, std::string key = "key-1") {
  return request_of(std::move(statements), std::move(key));
}

std::optional<write_result> recall(store_fixture& fixture, const write_request& request) {
  must(fixture.store->begin());
  auto found = must(fixture.store->recall(request));
  fixture.store->rollback();
  return found;
}

audit_verdict verdict(store_fixture& fixture) { return must(must(ledger_reader::open(fixture.file)).verify()); }

struct five_commits : store_fixture {
  five_commits() {
    write("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    for (int i = 0; i < 4; ++i)
      write("INSERT INTO t(a) VALUES (?)", {i});
  }
};

} // namespace

TEST_CASE("a key that was never used recalls nothing") {
  store_fixture fixture;
  CHECK(!recall(fixture, keyed({{"SELECT 1", {}}})));
}

TEST_CASE("a key with the same payload recalls the first outcome, for any agent") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
  auto first = keyed({{"INSERT INTO t(a) VALUES (?1)", {"x"}}});
  auto outcome = fixture.write(first);
  auto again = first;
  again.agent = "bob";
  again.request_id = "request-2";
  auto found = recall(fixture, again);
  REQUIRE(found);
  CHECK(found->replayed);
  CHECK(found->commit_seq == outcome.commit_seq);
  CHECK(found->request_id == "request-1");
  CHECK(found->results.at(0).changes == 1);
  CHECK(found->results.at(0).last_insert_rowid == 1);
}

TEST_CASE("a replay repeats every returned value exactly") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(a, b, c, d, e, f, g)");
  auto request =
    keyed({{"INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
            {nullptr, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), 0.1,
             -std::numeric_limits<double>::infinity(), blob{std::string{"\0\xff", 2}}, "gr\xC3\xBC\xC3\x9F"}},
           {"SELECT CAST(x'ff' AS TEXT), -25, 255, 256, 70000, -5000000000", {}},
           {"DELETE FROM t WHERE 0 RETURNING a", {}}});
  auto outcome = fixture.write(request);
  auto found = recall(fixture, request);
  REQUIRE(found);
  REQUIRE(found->results.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    const auto& then = outcome.results[i].rows;
    const auto& now = found->results[i].rows;
    CHECK(now.columns() == then.columns());
    REQUIRE(now.size() == then.size());
    for (size_t j = 0; j < then.columns().size() && then.size() > 0; ++j)
      CHECK(now.at(0, j) == then.at(0, j));
  }
}

TEST_CASE("a key with another payload is a mismatch, down to the type of a value") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(a, b)");
  const auto* sql = "INSERT INTO t VALUES (:a, :b)";
  auto with = [&](value a, value b) {
    return keyed({{sql, std::vector<named_value>{{"a", std::move(a)}, {"b", std::move(b)}}}});
  };
  fixture.write(with(1, "x"));
  CHECK(recall(fixture, with(1, "x")));
  auto swapped = keyed({{sql, std::vector<named_value>{{"b", "x"}, {"a", 1}}}});
  CHECK(recall(fixture, swapped));
  auto returned = swapped;
  returned.statements[0].terms = std::make_shared<const statement_terms>(statement_terms{{{"c", 1, "id"}}, {}});
  auto declared = swapped;
  declared.statements[0].terms = std::make_shared<const statement_terms>(statement_terms{{}, {"id"}});
  CHECK(recall(fixture, declared));
  for (const auto& other :
       {returned, with(1.0, "x"), with("1", "x"), with(1, blob{"x"}), with(2, "x"), with(1, nullptr),
        keyed({{"INSERT INTO t VALUES (?, ?)", {1, "x"}}}), keyed({swapped.statements[0], {"SELECT 1", {}}})}) {
    must(fixture.store->begin());
    CHECK(failure_of(fixture.store->recall(other)).code == errc::payload_mismatch);
    CHECK(fixture.store->in_transaction());
    fixture.store->rollback();
  }
}

TEST_CASE("an outcome is not stored when its transaction is rolled back") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(a)");
  auto request = keyed({{"INSERT INTO t VALUES (1)", {}}});
  must(fixture.store->begin());
  must(fixture.store->execute(request, no_deadline));
  must(fixture.store->remember(request, {}));
  fixture.store->rollback();
  CHECK(!recall(fixture, request));
}

TEST_CASE("a file gets its ledger by a commit, and not by a failed attempt") {
  store_fixture fixture;
  must(fixture.store->begin());
  fixture.store->rollback();
  CHECK(fixture.read_one("SELECT count(*) FROM sqlite_schema") == value{0});
  CHECK(must(sqlite::last_commit_seq(fixture.file)) == 0);
  CHECK(must(must(ledger_reader::open(fixture.file)).after(0, 10)).empty());
  fixture.write("CREATE TABLE t(a)");
  CHECK(fixture.last_done.schema_changed);
  CHECK(must(sqlite::last_commit_seq(fixture.file)) == 1);
}

TEST_CASE("commits are numbered without gaps, across reopening and external writers") {
  five_commits fixture;
  CHECK(must(fixture.store->begin()).next_seq == 6);
  fixture.store->rollback();
  fixture.store = sqlite::make_write_store(fixture.file, fixture.config);
  CHECK(must(fixture.store->begin()).next_seq == 6);
  fixture.store->rollback();
  auto other = sqlite::make_write_store(fixture.file, fixture.config);
  auto begun = must(other->begin());
  must(other->commit(begun.next_seq, 1, {}));
  begun = must(fixture.store->begin());
  CHECK(begun.external_commit);
  CHECK(begun.next_seq == 7);
  fixture.store->rollback();
  CHECK(verdict(fixture).intact());
}

TEST_CASE("a commit record has the agent and tables of each request") {
  store_fixture fixture;
  auto request = keyed({{"CREATE TABLE t(a)", {}}, {"INSERT INTO t VALUES (1)", {}}});
  request.correlation_id = "task-9";
  request.peer = {1000, 4242};
  fixture.write(request);
  fixture.write("INSERT INTO t VALUES (2)");
  auto commits = must(must(ledger_reader::open(fixture.file)).after(0, 10));
  REQUIRE(commits.size() == 2);
  CHECK(commits[0].seq == 1);
  CHECK(commits[0].ts_us == 1'000);
  CHECK(commits[0].intact);
  CHECK(commits[1].prev_hash == commits[0].hash);
  REQUIRE(commits[0].requests.size() == 1);
  const auto& x = commits[0].requests[0];
  CHECK(x.request_id == "request-1");
  CHECK(x.agent == "alice");
  CHECK(x.idempotency_key == "key-1");
  CHECK(x.correlation_id == "task-9");
  CHECK(std::find(x.tables.begin(), x.tables.end(), "t") != x.tables.end());
  CHECK(x.peer.uid == 1000);
  CHECK(x.peer.pid == 4242);
  CHECK(must(must(ledger_reader::open(fixture.file)).after(1, 10)).size() == 1);
  CHECK(must(must(ledger_reader::open(fixture.file)).after(0, 1)).size() == 1);
}

TEST_CASE("an untouched chain verifies, and its head is that of the last record") {
  five_commits fixture;
  auto found = verdict(fixture);
  CHECK((found.intact() && found.records == 5));
  CHECK(found.head.size() == 64);
}

TEST_CASE("tampering with the chain is found and placed") {
  five_commits fixture;
  struct tampering {
    const char* sql;
    uint64_t first_broken;
  };
  auto [sql, first] = GENERATE(values<tampering>({
    {"UPDATE _sluice_commits SET ts_us = 7 WHERE commit_seq = 2", 2},
    {"UPDATE _sluice_commits SET requests = x'80' WHERE commit_seq = 3", 3},
    {"UPDATE _sluice_commits SET hash = zeroblob(32) WHERE commit_seq = 4", 4},
    {"DELETE FROM _sluice_commits WHERE commit_seq = 3", 4},
    {"DELETE FROM _sluice_commits WHERE commit_seq = 1", 2},
    {"UPDATE _sluice_commits SET prev_hash = zeroblob(32) WHERE commit_seq = 5", 5},
  }));
  must(fixture.external_process().exec(sql));
  auto found = verdict(fixture);
  CHECK(!found.intact());
  CHECK(found.first_broken == first);
  CHECK(!found.reason.empty());
}

TEST_CASE("a forged record that matches its own hash is found by its place in the chain") {
  five_commits fixture;
  auto commits = must(must(ledger_reader::open(fixture.file)).after(0, 10));
  auto forge = [&](uint64_t seq, const std::string& previous) {
    sqlite::chain_hash hash;
    auto forged_hash = sqlite::commit_hash(hash, previous, seq, 5, "\x80");
    auto db = fixture.external_process();
    auto stmt =
      must(sqlite::prepared_statement::prepare(db, "INSERT INTO _sluice_commits VALUES (?1, 5, ?2, ?3, x'80')"));
    stmt.bind(1, static_cast<int64_t>(seq));
    stmt.bind_blob(2, previous);
    stmt.bind_blob(3, sqlite::bytes_of(forged_hash));
    must(stmt.run());
  };
  SECTION("one that leaves a gap") {
    forge(7, commits[4].hash);
    CHECK(verdict(fixture).first_broken == 7);
  }
  SECTION("one that follows from another") {
    forge(6, commits[3].hash);
    CHECK(verdict(fixture).first_broken == 6);
  }
  SECTION("and nothing is wrong with one that belongs there") {
    forge(6, commits[4].hash);
    CHECK(verdict(fixture).intact());
  }
}

TEST_CASE("a record that cannot be read does not hide the others") {
  // A truncated record, and a whole one with a user id of 1e300.
  const auto* forged = GENERATE("x'9f'", "x'818761726161606080fb7e37e43c8800759c00'");
  five_commits fixture;
  must(fixture.external_process().exec(
    ("UPDATE _sluice_commits SET requests = " + std::string{forged} + " WHERE commit_seq = 2").c_str()));
  auto commits = must(must(ledger_reader::open(fixture.file)).after(0, 10));
  REQUIRE(commits.size() == 5);
  CHECK((!commits[1].intact && commits[1].requests.empty()));
  CHECK((commits[2].intact && commits[2].requests.size() == 1));
}

TEST_CASE("a ledger of another format is refused, and nothing applied") {
  five_commits fixture;
  must(fixture.external_process().exec("UPDATE _sluice_meta SET value = 3 WHERE name = 'format'"));
  fixture.store = sqlite::make_write_store(fixture.file, fixture.config);
  CHECK(failure_of(fixture.store->begin()).code == errc::protocol_mismatch);
  CHECK(!fixture.store->in_transaction());
  CHECK(failure_of(ledger_reader::open(fixture.file)).code == errc::protocol_mismatch);
}

TEST_CASE("tables with the ledger's names and other columns are refused") {
  const auto* sql = GENERATE("CREATE TABLE _sluice_keys(a)", "CREATE VIEW _sluice_commits AS SELECT 1",
                             "CREATE TABLE _sluice_meta(name TEXT PRIMARY KEY, value)");
  store_fixture fixture;
  must(fixture.external_process().exec(sql));
  CHECK(failure_of(fixture.store->begin()).code == errc::ledger_damaged);
  CHECK(failure_of(ledger_reader::open(fixture.file)).code == errc::ledger_damaged);
}

TEST_CASE("integers take the shortest form of CBOR") {
  auto encoded = [](int64_t x) {
    std::string out;
    sqlite::cbor_writer{out}.integer(x);
    return out;
  };
  CHECK(encoded(0) == std::string(1, '\0'));
  CHECK(encoded(23) == "\x17");
  CHECK(encoded(24) == "\x18\x18");
  CHECK(encoded(-1) == "\x20");
  CHECK(encoded(-500) == "\x39\x01\xf3");
  CHECK(encoded(1'000'000) == std::string{"\x1a\x00\x0f\x42\x40", 5});
  CHECK(encoded(std::numeric_limits<int64_t>::min()) == "\x3b\x7f\xff\xff\xff\xff\xff\xff\xff");
}

} // namespace sluice::test::ledger_test
