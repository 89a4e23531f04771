// Contract tests of audit_store (actors/audit/audit_store.hpp), run on the fake of the actors' tests and on the SQLite
// store.

#include "runtime/sqlite/audit/audit_store.hpp"
#include "tests/runtime/sqlite/files/file_fixture.hpp"
#include "tests/support/fake_audit_store.hpp"

#include <limits>

namespace sluice::test::audit_store_contract_test {

namespace {

// One commit of the database `db`, which its ledger has.
struct known_commit {
  std::string db;
  uint64_t seq = 0;
  std::string request_id;
};

class fake_audit {
public:
  std::unique_ptr<audit_store> open() { return std::make_unique<fake_audit_store>(file_); }

  void add_to_ledger(const known_commit& commit) {
    audit_record missing;
    missing.db = commit.db;
    missing.request_id = commit.request_id;
    missing.commit_seq = commit.seq;
    missing.status = "committed";
    missing.recovered = true;
    file_.missing[commit.db].push_back(std::move(missing));
    file_.standings[commit.db].issued = commit.seq;
  }

  void refuse_appends(bool refuses) { file_.refuses = refuses; }

private:
  fake_audit_file file_;
};

class sqlite_audit {
public:
  std::unique_ptr<audit_store> open() {
    auto ledgers = [this](const std::string& db, uint64_t after) -> caf::expected<sqlite::ledger_page> {
      if (!ledgers_.contains(db))
        return make_error(errc::unknown_database, "no such file");
      sqlite::ledger_page result;
      for (const auto& each : ledgers_[db])
        if (each.seq > after)
          result.commits.push_back(each);
      return result;
    };
    return must(sqlite::open_audit_store(path_, "root", ledgers));
  }

  void add_to_ledger(const known_commit& commit) {
    sqlite::ledger_commit added;
    added.seq = commit.seq;
    added.prev_hash = "hash " + std::to_string(commit.seq - 1);
    added.hash = "hash " + std::to_string(commit.seq);
    sqlite::ledger_request request;
    request.request_id = commit.request_id;
    added.requests.push_back(std::move(request));
    ledgers_[commit.db].push_back(std::move(added));
  }

  // Fails with the second record, so that the first must be rolled back.
  void refuse_appends(bool refuses) {
    other_program{path_}.run(refuses ? "CREATE TRIGGER full BEFORE INSERT ON segments"
                                       " BEGIN SELECT RAISE(ABORT, 'full'); END"
                                     : "DROP TRIGGER full");
  }

private:
  temp_dir folder_;
  fs::path path_ = folder_ / "audit.db";
  std::map<std::string, std::vector<sqlite::ledger_commit>> ledgers_;
};

audit_record record(std::string agent, std::string db = "a.db", std::string status = "committed", int64_t ts_us = 1) {
  audit_record result;
  result.agent = std::move(agent);
  result.db = std::move(db);
  result.status = std::move(status);
  result.ts_us = ts_us;
  return result;
}

void append(audit_store& aut, std::vector<audit_record> records) { must(aut.append(records)); }

std::vector<uint64_t> listed(audit_store& aut, const audit_query& query = {}) {
  std::vector<uint64_t> result;
  for (const auto& each : must(aut.list(query)).records)
    result.push_back(each.seq);
  return result;
}

using places = std::vector<uint64_t>;

} // namespace

TEMPLATE_TEST_CASE("an audit store numbers its records from 1 and returns the numbers", "[contract]", fake_audit,
                   sqlite_audit) {
  TestType subject;
  auto aut = subject.open();
  CHECK(listed(*aut).empty());
  std::vector<audit_record> records{record("alice"), record("bob")};
  must(aut->append(records));
  CHECK(records[0].seq == 1);
  CHECK(records[1].seq == 2);
  aut = subject.open();
  records = {record("carol")};
  must(aut->append(records));
  CHECK(records[0].seq == 3);
  CHECK(listed(*aut) == places{1, 2, 3});
}

TEMPLATE_TEST_CASE("an audit store lists its records unchanged, with the root of the store", "[contract]", fake_audit,
                   sqlite_audit) {
  TestType subject;
  auto aut = subject.open();
  audit_record appended;
  appended.ts_us = 7;
  appended.request_id = "request";
  appended.agent = "alice";
  appended.db = "a.db";
  appended.type = request_type::buffered;
  appended.key = "key";
  appended.status = "committed";
  appended.latency_us = 8;
  appended.commit_seq = 9;
  appended.tables = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"s", "t"});
  appended.correlation_id = "correlation";
  appended.peer = {10, 11};
  appended.count = 12;
  appended.recovered = true;
  append(*aut, {appended});
  auto page = must(aut->list({}));
  CHECK(page.store_root == "root");
  REQUIRE(page.records.size() == 1);
  const auto& found = page.records[0];
  CHECK(found.ts_us == 7);
  CHECK(found.request_id == "request");
  CHECK(found.agent == "alice");
  CHECK(found.db == "a.db");
  CHECK(found.type == request_type::buffered);
  CHECK(found.key == "key");
  CHECK(found.status == "committed");
  CHECK(found.latency_us == 8);
  CHECK(found.commit_seq == 9);
  CHECK(sorted(found.tables) == std::vector<std::string>{"s", "t"});
  CHECK(found.correlation_id == "correlation");
  CHECK((found.peer.uid == 10 && found.peer.pid == 11));
  CHECK(found.count == 12);
  CHECK(found.recovered);
}

TEMPLATE_TEST_CASE("an audit store lists the records that match every filter", "[contract]", fake_audit, sqlite_audit) {
  TestType subject;
  auto aut = subject.open();
  append(*aut, {record("alice"), record("bob", "b.db", "committed", 20), record("alice", "a.db", "busy", 30),
                record("bob", "a.db", "committed", 40)});
  auto with = [&](auto change) {
    audit_query query;
    change(query);
    return listed(*aut, query);
  };
  CHECK(with([](auto& q) { q.agent = "bob"; }) == places{2, 4});
  CHECK(with([](auto& q) { q.db = "b.db"; }) == places{2});
  CHECK(with([](auto& q) { q.status = "busy"; }) == places{3});
  CHECK(with([](auto& q) { q.since_us = 30; }) == places{3, 4});
  CHECK(with([](auto& q) { q.after_seq = 3; }) == places{4});
  CHECK(with([](auto& q) { q.after_seq = std::numeric_limits<uint64_t>::max(); }).empty());
  CHECK(with([](auto& q) { q.limit = 2; }) == places{1, 2});
  CHECK(with([](auto& q) { q.limit = 0; }).empty());
  CHECK(with([](auto& q) {
          q.limit = 2;
          q.newest = true;
        })
        == places{3, 4});
}

TEMPLATE_TEST_CASE("an unchanged audit is intact, and its head changes with every record", "[contract]", fake_audit,
                   sqlite_audit) {
  TestType subject;
  auto aut = subject.open();
  auto empty = must(aut->verify());
  CHECK(empty.intact());
  CHECK(empty.records == 0);
  append(*aut, {record("alice"), record("bob")});
  auto two = must(aut->verify());
  CHECK(two.intact());
  CHECK(two.records == 2);
  CHECK(two.first_broken == 0);
  CHECK_FALSE(two.head.empty());
  append(*aut, {record("carol")});
  CHECK(must(aut->verify()).head != two.head);
  CHECK(must(aut->verify()).head == must(subject.open()->verify()).head);
}

TEMPLATE_TEST_CASE("an append to the audit that fails appends nothing, and leaves no gap", "[contract]", fake_audit,
                   sqlite_audit) {
  TestType subject;
  auto aut = subject.open();
  append(*aut, {record("zero")});
  std::vector<audit_record> records{record("first"), record("second")};
  subject.refuse_appends(true);
  CHECK_FALSE(aut->append(records));
  CHECK(records[0].seq == 0);
  subject.refuse_appends(false);
  CHECK(listed(*aut) == places{1});
  must(aut->append(records));
  CHECK(listed(*aut) == places{1, 2, 3});
  CHECK(must(aut->verify()).intact());
}

TEMPLATE_TEST_CASE("comparing returns the writes that only the ledger has, in the order of their commits", "[contract]",
                   fake_audit, sqlite_audit) {
  TestType subject;
  subject.add_to_ledger({"a.db", 1, "first"});
  subject.add_to_ledger({"a.db", 2, "second"});
  subject.add_to_ledger({"b.db", 1, "other"});
  auto aut = subject.open();
  auto found = must(aut->compare("a.db"));
  REQUIRE(found.missing.size() == 2);
  CHECK(found.missing[0].request_id == "first");
  CHECK(found.missing[1].request_id == "second");
  for (const auto& each : found.missing) {
    CHECK(each.db == "a.db");
    CHECK(each.recovered);
    CHECK(each.status == "committed");
  }
  CHECK(found.missing[1].commit_seq == 2);
  CHECK(found.standing.issued == 2);
  CHECK(found.standing.conflict.empty());
  append(*aut, std::move(found.missing));
  CHECK(must(aut->compare("a.db")).missing.empty());
  CHECK(must(aut->compare("b.db")).missing.size() == 1);
}

TEMPLATE_TEST_CASE("for a database without a ledger the audit lacks no record", "[contract]", fake_audit,
                   sqlite_audit) {
  TestType subject;
  auto aut = subject.open();
  auto found = must(aut->compare("none.db"));
  CHECK(found.missing.empty());
  CHECK(found.standing.issued == 0);
  CHECK(found.standing.conflict.empty());
}

} // namespace sluice::test::audit_store_contract_test
