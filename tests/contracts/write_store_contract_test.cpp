// Contract tests of write_store (actors/writer/write_store.hpp), run on the fake of the actors' tests and on the SQLite
// store.

#include "runtime/sqlite/writer/write_store.hpp"
#include "tests/runtime/sqlite/files/file_fixture.hpp"
#include "tests/support/fake_write_store.hpp"
#include "tests/support/file_size_limit.hpp"

#include <optional>

namespace sluice::test::write_store_contract_test {

namespace {

class fake_writes {
public:
  std::unique_ptr<write_store> open() { return std::make_unique<fake_write_store>(disk_, time_); }

  // Stores `content` under `key` in the table `t`.
  statement put(const std::string& key, const std::string& content) const { return {"put t " + key + " " + content}; }
  // Fails, and rolls back its own request only.
  statement failing() const { return {"fail"}; }
  // Fails, and rolls back the transaction.
  statement losing() const { return {"lose"}; }
  // Runs until its deadline.
  statement endless() const { return {"late"}; }
  statement schema_change() const { return {"schema"}; }

  // The committed content of `key`.
  std::optional<std::string> content(const std::string& key) {
    const auto& rows = disk_.durable.tables["t"];
    auto found = rows.find(key);
    return found == rows.end() ? std::nullopt : std::optional{found->second};
  }

  void commit_externally() { disk_.external_commit = true; }
  void commit_externally_and_read() { commit_externally(); }

  caf::expected<void> commit_on_full_disk(write_store& aut, uint64_t seq, std::span<const ledger_entry> entries) {
    disk_.commit_fates.push_back(failed_commit::fails);
    return aut.commit(seq, 1'000, entries);
  }

  clock& time() { return time_; }

private:
  fake_disk disk_;
  fake_clock time_;
};

class sqlite_writes {
public:
  sqlite_writes() { other_program{file_}.run("CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v)"); }

  std::unique_ptr<write_store> open() { return sqlite::make_write_store(file_, {}, time_, {}, files_); }

  statement put(const std::string& key, const std::string& content) const {
    return {"INSERT INTO t VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = ?2", {key, content}};
  }
  statement failing() const { return {"INSERT INTO t(k) VALUES (NULL)"}; }
  statement losing() const { return {"INSERT OR ROLLBACK INTO t(k) VALUES (NULL)"}; }
  statement endless() const {
    return {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO t SELECT 'n' || i, i FROM n"};
  }
  statement schema_change() const { return {"CREATE TABLE u(x)"}; }

  std::optional<std::string> content(const std::string& key) {
    auto found = other_program{file_}.one(("SELECT v FROM t WHERE k = '" + key + "'").c_str());
    return found == "error" ? std::nullopt : std::optional{found};
  }

  void commit_externally() { other_program{file_}.run("CREATE TABLE external(x)"); }

  // Then a reader of the broker sees the commit before its writer does.
  void commit_externally_and_read() {
    commit_externally();
    read_request request;
    request.query = {"SELECT * FROM external"};
    must(sqlite::make_read_store(file_, {}, time_, {}, files_)->run(request, store_fixture::generous()));
  }

  caf::expected<void> commit_on_full_disk(write_store& aut, uint64_t seq, std::span<const ledger_entry> entries) {
    file_size_limit none{1'000};
    return aut.commit(seq, 1'000, entries);
  }

  clock& time() { return time_; }

private:
  temp_dir folder_;
  fs::path file_ = folder_ / "app.db";
  fake_clock time_;
  // Shared by the writers and readers of a database.
  std::shared_ptr<sqlite::file_guard> files_ = std::make_shared<sqlite::file_guard>(file_);
};

using key_result = caf::expected<std::optional<write_result>>;

write_result result_of(const write_request& request, uint64_t seq, executed_write done) {
  write_result result;
  result.request_id = request.request_id;
  result.commit_seq = seq;
  result.results = std::move(done.results);
  return result;
}

// Executes the request in a transaction of its own, and stores its key.
uint64_t write(write_store& aut, const write_request& request) {
  auto begun = must(aut.begin());
  auto done = must(aut.execute(request, no_deadline));
  auto tables = done.tables;
  auto result = result_of(request, begun.next_seq, std::move(done));
  if (!request.idempotency_key.empty() || request.migration)
    must(aut.remember(request, result));
  ledger_entry entry{&request, &result, tables};
  must(aut.commit(begun.next_seq, 1'000, std::span{&entry, 1}));
  return begun.next_seq;
}

uint64_t write(write_store& aut, statement sql) { return write(aut, request_of({std::move(sql)})); }

write_request migration_of(uint64_t number, std::string hash, statement sql) {
  auto result = request_of({std::move(sql)});
  result.migration =
    std::make_shared<const migration>(migration{number, std::to_string(number) + "_a.sql", std::move(hash), {1}});
  return result;
}

key_result recall(write_store& aut, const write_request& request) {
  must(aut.begin());
  auto found = aut.recall(request);
  aut.rollback();
  return found;
}

} // namespace

TEMPLATE_TEST_CASE("commit numbers have no gap when the store is opened again", "[contract]", fake_writes,
                   sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  CHECK_FALSE(aut->is_open());
  auto first = must(aut->begin()).next_seq;
  CHECK(aut->is_open());
  CHECK(aut->in_transaction());
  aut->rollback();
  CHECK_FALSE(aut->in_transaction());
  CHECK(write(*aut, subject.put("a", "1")) == first);
  CHECK_FALSE(aut->in_transaction());
  CHECK(write(*aut, subject.put("a", "2")) == first + 1);
  aut.reset();
  aut = subject.open();
  auto begun = must(aut->begin());
  CHECK(begun.next_seq == first + 2);
  CHECK(begun.last_seq == first + 1);
  aut->rollback();
}

TEMPLATE_TEST_CASE("committed rows are there, and rolled-back rows are not", "[contract]", fake_writes, sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  write(*aut, subject.put("a", "1"));
  must(aut->begin());
  must(aut->execute(request_of({subject.put("a", "2"), subject.put("b", "2")}), no_deadline));
  aut->rollback();
  aut->rollback();
  CHECK(subject.content("a") == "1");
  CHECK_FALSE(subject.content("b"));
}

TEMPLATE_TEST_CASE("each statement has a result, and the tables that were changed are reported", "[contract]",
                   fake_writes, sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  // The first transaction also creates the ledger's tables.
  write(*aut, subject.put("a", "0"));
  must(aut->begin());
  auto done = must(aut->execute(request_of({subject.put("a", "1"), subject.put("b", "2")}), no_deadline));
  REQUIRE(done.results.size() == 2);
  CHECK(done.results[1].changes == 1);
  CHECK(sorted(done.tables) == std::vector<std::string>{"t"});
  CHECK_FALSE(done.schema_changed);
  CHECK(must(aut->execute(request_of({subject.schema_change()}), no_deadline)).schema_changed);
  aut->rollback();
}

TEMPLATE_TEST_CASE("a failed request is rolled back, and the others of its transaction are committed", "[contract]",
                   fake_writes, sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  auto begun = must(aut->begin());
  auto good = request_of({subject.put("a", "1")});
  auto result = result_of(good, begun.next_seq, must(aut->execute(good, no_deadline)));
  auto error = failure_of(aut->execute(request_of({subject.put("b", "2"), subject.failing()}), no_deadline));
  CHECK(error.code == errc::constraint);
  CHECK(error.outcome == outcome::not_committed);
  REQUIRE(aut->in_transaction());
  ledger_entry entry{&good, &result, nullptr};
  must(aut->commit(begun.next_seq, 1'000, std::span{&entry, 1}));
  CHECK(subject.content("a") == "1");
  CHECK_FALSE(subject.content("b"));
}

TEMPLATE_TEST_CASE(
  "after an error that rolls back the transaction, the next one reuses its number and sees nothing of it", "[contract]",
  fake_writes, sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  auto begun = must(aut->begin());
  must(aut->execute(request_of({subject.put("a", "1")}), no_deadline));
  SECTION("by a ROLLBACK conflict clause") { CHECK_FALSE(aut->execute(request_of({subject.losing()}), no_deadline)); }
  SECTION("at the deadline") {
    auto late = aut->execute(request_of({subject.endless()}), subject.time().now());
    CHECK(failure_of(late).code == errc::deadline_exceeded);
  }
  CHECK_FALSE(aut->in_transaction());
  aut->rollback();
  CHECK_FALSE(subject.content("a"));
  CHECK(write(*aut, subject.put("a", "2")) == begun.next_seq);
  CHECK(subject.content("a") == "2");
}

TEMPLATE_TEST_CASE("a committed key replays the same payload and refuses another", "[contract]", fake_writes,
                   sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  auto request = request_of({subject.put("a", "1"), subject.put("b", "2")}, "key");
  CHECK_FALSE(must(recall(*aut, request)));
  auto seq = write(*aut, request);
  write(*aut, subject.put("a", "3"));
  aut.reset();
  aut = subject.open();
  // Agent and request id are not part of the payload.
  auto again = request;
  again.agent = "bob";
  again.request_id = "request-2";
  auto found = must(recall(*aut, again));
  REQUIRE(found);
  CHECK(found->replayed);
  CHECK(found->commit_seq == seq);
  CHECK(found->request_id == request.request_id);
  REQUIRE(found->results.size() == 2);
  CHECK(found->results[1].changes == 1);
  CHECK(failure_of(recall(*aut, request_of({subject.put("a", "1")}, "key"))).code == errc::payload_mismatch);
  CHECK_FALSE(must(recall(*aut, request_of({subject.put("a", "1")}, "other key"))));
}

TEMPLATE_TEST_CASE("bound parameters are part of the payload of a key", "[contract]", fake_writes, sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  auto with = [&](parameters params) {
    auto result = request_of({subject.put("a", "1")}, "key");
    if (!result.statements[0].params.positional.empty())
      params.positional.insert(params.positional.begin(), "a");
    result.statements[0].params = std::move(params);
    return result;
  };
  auto first = with({"1"});
  write(*aut, first);
  CHECK(must(recall(*aut, first)));
  CHECK(failure_of(recall(*aut, with({"2"}))).code == errc::payload_mismatch);
  CHECK(failure_of(recall(*aut, with({1}))).code == errc::payload_mismatch);
}

TEMPLATE_TEST_CASE("a key is found in the transaction that stores it, and is rolled back with it", "[contract]",
                   fake_writes, sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  auto request = request_of({subject.put("a", "1")}, "key");
  auto begun = must(aut->begin());
  must(aut->remember(request, result_of(request, begun.next_seq, must(aut->execute(request, no_deadline)))));
  auto found = must(aut->recall(request));
  REQUIRE(found);
  CHECK(found->commit_seq == begun.next_seq);
  aut->rollback();
  CHECK_FALSE(must(recall(*aut, request)));
}

TEMPLATE_TEST_CASE("committed() reports whether a commit took effect", "[contract]", fake_writes, sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  write(*aut, subject.put("a", "1"));
  auto begun = must(aut->begin());
  auto request = request_of({subject.put("a", "2")});
  auto result = result_of(request, begun.next_seq, must(aut->execute(request, no_deadline)));
  ledger_entry entry{&request, &result, nullptr};
  SECTION("when it did") {
    must(aut->commit(begun.next_seq, 1'000, std::span{&entry, 1}));
    CHECK(must(aut->committed(begun.next_seq)));
    CHECK_FALSE(must(aut->committed(begun.next_seq + 1)));
    CHECK(subject.content("a") == "2");
  }
  SECTION("when it did not") {
    CHECK_FALSE(subject.commit_on_full_disk(*aut, begun.next_seq, std::span{&entry, 1}));
    CHECK_FALSE(aut->in_transaction());
    CHECK_FALSE(must(aut->committed(begun.next_seq)));
    CHECK(subject.content("a") == "1");
    CHECK(write(*aut, subject.put("a", "3")) == begun.next_seq);
  }
}

TEMPLATE_TEST_CASE("an external commit is reported once", "[contract]", fake_writes, sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  auto is_reported = [&] {
    auto begun = must(aut->begin());
    aut->rollback();
    return begun.external_commit;
  };
  is_reported();
  write(*aut, subject.put("a", "1"));
  CHECK_FALSE(is_reported());
  CHECK_FALSE(aut->take_external_commit());
  SECTION("by the next transaction") {
    subject.commit_externally();
    CHECK(is_reported());
  }
  SECTION("when it is asked for, if a reader has seen it") {
    subject.commit_externally_and_read();
    CHECK(aut->take_external_commit());
  }
  CHECK_FALSE(aut->take_external_commit());
  CHECK_FALSE(is_reported());
}

TEMPLATE_TEST_CASE("a checkpoint without concurrent readers empties the WAL", "[contract]", fake_writes,
                   sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  write(*aut, subject.put("a", "1"));
  must(aut->checkpoint(checkpoint_mode::passive));
  CHECK(aut->wal_bytes() == 0);
  must(aut->checkpoint(checkpoint_mode::truncate));
  CHECK(aut->wal_bytes() == 0);
  CHECK(aut->log_bytes() == 0);
  CHECK(subject.content("a") == "1");
}

TEMPLATE_TEST_CASE("the next transaction opens a store that was closed as idle", "[contract]", fake_writes,
                   sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  CHECK(aut->close_idle());
  auto seq = write(*aut, subject.put("a", "1"));
  CHECK(aut->close_idle());
  CHECK_FALSE(aut->is_open());
  CHECK(write(*aut, subject.put("a", "2")) == seq + 1);
  CHECK(aut->is_open());
}

TEMPLATE_TEST_CASE("explain() gives the plan of a write as text and executes nothing", "[contract]", fake_writes,
                   sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  write(*aut, subject.put("a", "1"));
  const std::vector<statement> statements{subject.put("a", "2")};
  CHECK(aut->explain(statements));
  CHECK(subject.content("a") == "1");
}

TEMPLATE_TEST_CASE("a migration is recalled by its number, and no other may take it or come before it", "[contract]",
                   fake_writes, sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  auto first = migration_of(2, "h2", subject.put("a", "1"));
  CHECK_FALSE(must(recall(*aut, first)));
  auto seq = write(*aut, first);
  auto found = must(recall(*aut, first));
  REQUIRE(found);
  CHECK((found->replayed && found->commit_seq == seq && found->results.empty()));
  CHECK(failure_of(recall(*aut, migration_of(2, "other", subject.put("a", "2")))).code == errc::conflict);
  CHECK(failure_of(recall(*aut, migration_of(1, "h1", subject.put("a", "2")))).code == errc::conflict);
  CHECK_FALSE(must(recall(*aut, migration_of(7, "h7", subject.put("a", "2")))));
  aut.reset();
  aut = subject.open();
  CHECK(must(recall(*aut, first)));
}

TEMPLATE_TEST_CASE("the row of a migration is rolled back with its transaction", "[contract]", fake_writes,
                   sqlite_writes) {
  TestType subject;
  auto aut = subject.open();
  auto request = migration_of(1, "h1", subject.put("a", "1"));
  for (auto round = 0; round < 2; ++round) {
    auto begun = must(aut->begin());
    CHECK_FALSE(must(aut->recall(request)));
    auto result = result_of(request, begun.next_seq, must(aut->execute(request, no_deadline)));
    must(aut->remember(request, result));
    // In the open transaction it is there.
    CHECK(must(aut->recall(request)));
    aut->rollback();
  }
  write(*aut, request);
  CHECK(must(recall(*aut, request)));
}

} // namespace sluice::test::write_store_contract_test
