#include "tests/runtime/sqlite/audit/audit_fixture.hpp"

namespace sluice::test::audit_reconciler_test {

using namespace sluice::sqlite;
using namespace sluice::sqlite::test;

TEST_CASE("the commits that the ledger has and the audit lacks are found, and nothing else") {
  audit_fixture r;
  r.append({record("alice", 1, "a"), record("alice", 2, "b")});
  auto third = commit(3, {"d", "e"});
  third.requests[0].idempotency_key = "k";
  third.requests[0].correlation_id = "c";
  third.requests[0].tables = {"t"};
  third.requests[0].peer = {1000, 77};
  r.ledgers["a.db"] = {commit(1, {"a"}), commit(2, {"b", "c"}), third};
  auto found = r.missing();
  REQUIRE(found.size() == 3);
  CHECK(found[0].request_id == "c");
  CHECK(found[0].commit_seq == 2);
  const auto& result = found[1];
  CHECK(result.request_id == "d");
  CHECK(result.ts_us == third.ts_us);
  CHECK(result.agent == "alice");
  CHECK(result.db == "a.db");
  CHECK(result.type == request_type::write);
  CHECK(result.key == "k");
  CHECK(result.status == "committed");
  CHECK(result.correlation_id == "c");
  CHECK(result.peer.pid == 77);
  CHECK(*result.tables == std::vector<std::string>{"t"});
  CHECK(result.recovered);
}

TEST_CASE("a migration that the audit lacks is recovered as one, and one that it has is not missing") {
  audit_fixture r;
  auto known = record("alice", 1, "a");
  known.type = request_type::migrate;
  r.append({known});
  auto second = commit(2, {"b"});
  second.requests[0].tables = {"t", "_sluice_migrations"};
  r.ledgers["a.db"] = {commit(1, {"a"}), second};
  auto found = r.missing();
  REQUIRE(found.size() == 1);
  CHECK((found[0].request_id == "b" && found[0].type == request_type::migrate));
}

TEST_CASE("a file that is no database and never was one of the store has no ledger to verify") {
  audit_fixture r;
  r.append({record("alice")});
  r.ledger_error = make_error(errc::corrupt, "file is not a database");
  SECTION("a request has named it") {
    CHECK_FALSE(r.store->compare("notes.txt"));
    CHECK(r.verdict().problems.empty());
  }
  SECTION("it held commits before") {
    r.append({record("alice", 1, "a")});
    CHECK_FALSE(r.store->compare("a.db"));
    CHECK(r.verdict().problems.size() == 1);
  }
}

TEST_CASE("reconciling twice never creates a record twice, whether or not the first result was applied") {
  audit_fixture r;
  r.ledgers["a.db"] = {commit(1, {"a"}), commit(2, {"b"}), commit(3, {"c"})};
  CHECK(r.missing().size() == 3);
  // The process dies before it appends.
  r.store = r.reopened();
  auto found = r.missing();
  CHECK(found.size() == 3);
  r.append(found);
  CHECK(r.missing().empty());
  r.store = r.reopened();
  CHECK(r.missing().empty());
  r.ledgers["a.db"].push_back(commit(4, {"d"}));
  CHECK(r.missing().size() == 1);
  CHECK(r.list().size() == 3);
}

TEST_CASE("commits that were found to agree are not compared again") {
  audit_fixture r;
  r.ledgers["a.db"] = {commit(1, {"a"}), commit(2, {"b"}), commit(3, {"c"})};
  r.append(r.missing());
  CHECK(r.missing().empty());
  r.lowest_asked = 100;
  r.store = r.reopened();
  CHECK(r.missing().empty());
  // The last agreed commit is compared, to check that it is still the same ledger.
  CHECK(r.lowest_asked == 2);
}

TEST_CASE("a ledger other than the known one is compared from its beginning") {
  audit_fixture r;
  r.ledgers["a.db"] = {commit(1, {"a"}), commit(2, {"b"}), commit(3, {"c"})};
  r.append(r.missing());
  CHECK(r.missing().empty());
  SECTION("restored from an earlier copy, it holds nothing new") {
    r.ledgers["a.db"].pop_back();
    CHECK(r.missing().empty());
  }
  SECTION("restored and written on, it holds what came since") {
    r.ledgers["a.db"][2] = commit(3, {"x"}, "another");
    auto found = r.missing();
    REQUIRE(found.size() == 1);
    CHECK(found[0].request_id == "x");
  }
  SECTION("made anew, it holds only new commits") {
    r.ledgers["a.db"] = {commit(1, {"x"}, "another")};
    CHECK(r.missing().size() == 1);
  }
}

TEST_CASE("each request of a commit counts, even if two have the same id") {
  audit_fixture r;
  r.append({record("alice", 1, "same")});
  r.ledgers["a.db"] = {commit(1, {"same", "same"})};
  CHECK(r.missing().size() == 1);
}

TEST_CASE("a replayed or failed request does not stand for the commit") {
  audit_fixture r;
  auto replayed = record("alice", 1, "a");
  replayed.status = "replayed";
  auto elsewhere = record("alice", 1, "a");
  elsewhere.db = "b.db";
  r.append({replayed, elsewhere});
  r.ledgers["a.db"] = {commit(1, {"a"})};
  CHECK(r.missing().size() == 1);
}

TEST_CASE("a damaged commit record is reported once, without its content") {
  audit_fixture r;
  auto damaged = commit(2, {"forged"});
  damaged.intact = false;
  r.ledgers["a.db"] = {commit(1, {"a"}), damaged, commit(3, {"c"})};
  auto found = r.missing();
  REQUIRE(found.size() == 3);
  CHECK(found[1].status == "corrupt");
  CHECK(found[1].request_id.empty());
  CHECK(found[1].commit_seq == 2);
  r.append(found);
  CHECK(r.missing().empty());
}

TEST_CASE("a late record of a recovered commit is not stored twice") {
  audit_fixture r;
  r.ledgers["a.db"] = {commit(1, {"a"})};
  r.append(r.missing());
  std::vector<audit_record> late{record("alice", 1, "a"), record("alice", 2, "b")};
  REQUIRE(r.store->append(late));
  CHECK(late[0].seq == 1);
  CHECK(late[1].seq == 2);
  CHECK(r.list().size() == 2);
  CHECK(r.verdict().broken == 0);
  r.ledgers["a.db"].push_back(commit(2, {"b"}));
  CHECK(r.verdict().intact());
}

TEST_CASE("a missing database has no missing records, an unreadable one has the reason") {
  audit_fixture r;
  CHECK(r.missing("gone.db").empty());
  r.ledger_error = make_error(errc::corrupt, "damaged");
  auto store = r.store->compare("a.db");
  REQUIRE_FALSE(store);
  CHECK(code_of(store.error()) == errc::corrupt);
}

TEST_CASE("the audit knows every database that it was asked about") {
  audit_fixture r;
  CHECK(audited_databases(r.path)->empty());
  r.missing("b.db");
  r.missing("a.db");
  r.missing("a.db");
  CHECK(*audited_databases(r.path) == std::vector<std::string>{"a.db", "b.db"});
  CHECK(audited_databases(r.dir / "missing.db")->empty());
}

TEST_CASE("the audit keeps the highest number that was ever issued, even if the ledger is replaced or deleted") {
  audit_fixture r;
  r.ledgers["a.db"] = {commit(1, {"a"}), commit(2, {"b"}), commit(3, {"c"})};
  r.append(r.missing());
  r.missing();
  r.append({record("alice", 4, "d")});
  auto with = [&](std::vector<ledger_commit> commits) {
    r.ledgers["a.db"] = std::move(commits);
    return r.compare();
  };
  for (const auto& found : {with({}), with({commit(1, {"a"})}), with({commit(1, {"x"}, "another")})}) {
    CHECK(found.standing.issued == 4);
    CHECK(found.standing.agreed_seq == 3);
    CHECK(found.standing.agreed_hash == "hash 3");
  }
  r.ledgers.erase("a.db");
  CHECK(r.compare().standing.issued == 4);
  r.store = r.reopened();
  CHECK(r.compare().standing.issued == 4);
}

TEST_CASE("a commit that holds other requests than the audit has for its number is a conflict, and stays one") {
  audit_fixture r;
  r.append({record("alice", 1, "a"), record("alice", 2, "b")});
  r.ledgers["a.db"] = {commit(1, {"a"}), commit(2, {"x"})};
  for (int i = 0; i < 2; ++i) {
    auto found = r.compare();
    CHECK(found.standing.conflict.find("commit 2") != std::string::npos);
    CHECK(found.missing.empty());
  }
}

TEST_CASE("an epoch that begins after all issued numbers is accepted, and recorded once") {
  audit_fixture r;
  r.epochs["a.db"] = {1, "first", 1, 0};
  r.ledgers["a.db"] = {commit(1, {"a"}), commit(2, {"b"})};
  r.append(r.missing());
  r.missing();
  CHECK(r.compare().standing.epoch == "first");
  r.epochs["a.db"] = {1, "second", 3, 0};
  r.ledgers["a.db"] = {commit(3, {"c"})};
  auto found = r.missing();
  REQUIRE(found.size() == 2);
  auto epoch = std::find_if(found.begin(), found.end(), [](auto& x) { return x.type == request_type::ledger_epoch; });
  REQUIRE(epoch != found.end());
  CHECK((epoch->key == "second" && epoch->commit_seq == 3));
  r.append(found);
  CHECK(r.missing().empty());
  auto standing = r.compare().standing;
  CHECK((standing.epoch == "second" && standing.issued == 3 && standing.conflict.empty()));
  // Another ledger that issues the same numbers again is not accepted.
  r.epochs["a.db"] = {1, "third", 2, 0};
  r.ledgers["a.db"] = {commit(2, {"x"}, "h"), commit(3, {"y"}, "i")};
  CHECK(r.compare().standing.epoch == "second");
  CHECK(!r.verdict().intact());
}

TEST_CASE("an audit file of an earlier version gets epochs and keeps its records") {
  audit_fixture r;
  r.ledgers["a.db"] = {commit(1, {"a"})};
  r.append(r.missing());
  r.missing();
  r.store.reset();
  REQUIRE(r.meddle("ALTER TABLE databases DROP COLUMN epoch; ALTER TABLE databases DROP COLUMN issued_at;"
                   "ALTER TABLE databases DROP COLUMN issued_seq")
          == "");
  CHECK(verify_audit_file(r.path));
  r.store = r.reopened();
  auto standing = r.compare().standing;
  CHECK((standing.issued == 1 && standing.agreed_seq == 1));
}

TEST_CASE("audit and ledger agree on the commits that the audit has, while later ones are on the way") {
  audit_fixture r;
  r.ledgers["a.db"] = {commit(1, {"a"}), commit(2, {"b"})};
  r.append(r.missing());
  CHECK(r.missing().empty());
  for (uint64_t seq = 3; seq <= 7; ++seq)
    r.ledgers["a.db"].push_back(commit(seq, {std::string(1, static_cast<char>('a' + seq - 1))}));
  auto agree = [&](uint64_t until) {
    auto reached = r.store->agree("a.db", until);
    REQUIRE(reached);
    return *reached;
  };
  r.append({record("alice", 3, "c")});
  r.append({record("alice", 4, "d")});
  // A record of a later commit than requested, one of another database, and none for commit 6 yet.
  r.append({record("alice", 5, "e")});
  CHECK(agree(4) == 4);
  CHECK(agree(4) == 4);
  CHECK(agree(3) == 4);
  CHECK(agree(6) == 4);
  r.append({record("alice", 6, "f")});
  CHECK(agree(6) == 6);
  r.append({record("alice", 7, "g")});
  CHECK(r.missing().empty());
  CHECK(agree(7) == 7);
  r.store = r.reopened();
  CHECK(r.missing().empty());
  CHECK(r.list().size() == 7);
}

TEST_CASE("a ledger whose oldest commits were removed is compared from its anchor") {
  audit_fixture r;
  r.ledgers["a.db"] = {commit(1, {"a"}), commit(2, {"b"}), commit(3, {"c"}), commit(4, {"d"})};
  r.append(r.missing());
  CHECK(r.missing().empty());
  r.ledgers["a.db"].push_back(commit(5, {"e"}));
  auto& commits = r.ledgers["a.db"];
  auto removed = GENERATE(3U, 4U);
  SECTION("which an anchor tells") {
    r.anchors["a.db"] = {static_cast<int64_t>(removed), "hash " + std::to_string(removed), removed, 0, {}, {}};
    commits.erase(commits.begin(), commits.begin() + removed);
    auto found = r.compare();
    CHECK(found.standing.conflict.empty());
    REQUIRE(found.missing.size() == 1);
    CHECK(found.missing[0].commit_seq == 5);
  }
  SECTION("or not, if they are missing for another reason") {
    commits.erase(commits.begin(), commits.begin() + 4);
    r.store = r.reopened();
    CHECK(r.compare().missing.size() == 1);
    r.append(r.missing());
    CHECK(*r.store->agree("a.db", 5) == 0);
  }
}

TEST_CASE("commits that were removed from a ledger and are not in the audit are recorded as a gap, once") {
  audit_fixture r;
  r.ledgers["a.db"] = {commit(1, {"a"}), commit(2, {"b"}), commit(3, {"c"}), commit(4, {"d"}), commit(5, {"e"})};
  auto agreed = GENERATE(0U, 2U);
  if (agreed > 0) {
    auto& commits = r.ledgers["a.db"];
    auto later = std::vector(commits.begin() + 2, commits.end());
    commits.resize(2);
    r.append(r.missing());
    CHECK(r.missing().empty());
    commits.insert(commits.end(), later.begin(), later.end());
  }
  // An audit from before the removal was restored.
  r.anchors["a.db"] = {4, "hash 4", 4, 0, {}, {}};
  r.ledgers["a.db"] = {commit(5, {"e"})};
  auto missing = r.missing();
  REQUIRE(missing.size() == 2);
  CHECK(missing[0].type == request_type::audit_gap);
  CHECK(missing[0].count == 4 - agreed);
  CHECK(missing[0].commit_seq == 4);
  CHECK(missing[1].commit_seq == 5);
  r.append(missing);
  r.store = r.reopened();
  CHECK(r.missing().empty());
}

} // namespace sluice::test::audit_reconciler_test
