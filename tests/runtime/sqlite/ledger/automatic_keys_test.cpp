#include "messages/automatic_key.hpp"
#include "runtime/sqlite/ledger/cbor_writer.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "runtime/sqlite/ledger/recent_keys.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/fake_clock.hpp"

#include <map>
#include <random>

namespace sluice::test::automatic_keys_test {

using namespace std::chrono_literals;

namespace {

struct automatic_fixture : store_fixture {
  fake_clock time;
  uint64_t generated = 0;

  automatic_fixture() {
    reopen();
    write("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
  }

  void reopen() {
    store.reset();
    store = sqlite::make_write_store(file, config, time);
  }

  automatic_key next_key(uint64_t session = 7) {
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.since_boot()).count();
    return {boot_tag_of(time.boot_id()), static_cast<uint64_t>(ms), session, ++generated};
  }

  static write_request insert(const std::string& key, int64_t content = 1) {
    return request_of({{"INSERT INTO t(a) VALUES (?)", {content}}}, key);
  }

  std::string write_new(int64_t content = 1) {
    auto key = to_string(next_key());
    write(insert(key, content));
    return key;
  }

  caf::expected<std::optional<write_result>> recall(const std::string& key, int64_t content = 1) {
    must(store->begin());
    auto found = store->recall(insert(key, content));
    store->rollback();
    return found;
  }

  bool knows(const std::string& key) { return must(recall(key)).has_value(); }

  int64_t number(const char* sql) { return *read_one(sql).integer(); }
  int64_t rows_of_keys() { return number("SELECT count(*) FROM _sluice_keys"); }

  audit_verdict verdict() { return must(must(sqlite::ledger_reader::open(file)).verify()); }

  // Converts the ledger to the form of the previous version, with another key, since keys have rows already.
  void write_as_format_1(const std::string& from, const std::string& to_key) {
    auto commits = must(must(sqlite::ledger_reader::open(file)).after(0, 1'000'000));
    auto db = external_process();
    sqlite::chain_hash hash;
    std::string head(32, '\0');
    for (const auto& commit : commits) {
      std::string requests;
      sqlite::cbor_writer to{requests};
      to.array(commit.requests.size());
      for (const auto& request : commit.requests) {
        to.array(7);
        const auto& key = request.idempotency_key == from ? to_key : request.idempotency_key;
        for (const auto* text : {&request.request_id, &request.agent, &key, &request.correlation_id})
          to.text(*text);
        to.array(request.tables.size());
        for (const auto& table : request.tables)
          to.text(table);
        to.integer(request.peer.uid);
        to.integer(request.peer.pid);
      }
      auto record_hash = sqlite::commit_hash(hash, head, commit.seq, commit.ts_us, requests);
      auto update = must(sqlite::prepared_statement::prepare(
        db, "UPDATE _sluice_commits SET prev_hash = ?1, hash = ?2, requests = ?3 WHERE commit_seq = ?4"));
      update.bind_blob(1, head);
      update.bind_blob(2, sqlite::bytes_of(record_hash));
      update.bind_blob(3, requests);
      update.bind(4, static_cast<int64_t>(commit.seq));
      must(update.run());
      head = sqlite::bytes_of(record_hash);
    }
    must(db.exec(("UPDATE _sluice_meta SET value = 1 WHERE name = 'format'; "
                  "DELETE FROM _sluice_meta WHERE name = 'boots'; UPDATE _sluice_keys SET key = '"
                  + to_key + "' WHERE key = '" + from + "'")
                   .c_str()));
  }
};

} // namespace

TEST_CASE("an automatic key is part of the commit record and has no row") {
  automatic_fixture fixture;
  auto key = fixture.write_new();
  CHECK(fixture.rows_of_keys() == 0);
  auto commits = must(must(sqlite::ledger_reader::open(fixture.file)).after(1, 10));
  REQUIRE(commits.size() == 1);
  REQUIRE(commits[0].requests.size() == 1);
  CHECK(commits[0].requests[0].idempotency_key == key);
  CHECK(commits[0].requests[0].agent == "alice");
  CHECK(commits[0].requests[0].has_outcome);
  must(must(sqlite::ledger_reader::open(fixture.file)).check());
  CHECK(fixture.verdict().intact());
}

TEST_CASE("a request with an automatic key is replayed, from memory and from the records") {
  automatic_fixture fixture;
  auto key = fixture.write_new();
  auto later = GENERATE(0, 1, 20, static_cast<int>(sqlite::recent_keys::max_commits) + 5);
  for (auto i = 0; i < later; ++i) {
    fixture.time.advance(1ms);
    fixture.write_new();
  }
  for (auto reopened : {false, true}) {
    if (reopened)
      fixture.reopen();
    auto found = must(fixture.recall(key));
    REQUIRE(found);
    CHECK(found->replayed);
    CHECK(found->commit_seq == 2);
    CHECK(found->request_id == "request-1");
    REQUIRE(found->results.size() == 1);
    CHECK(found->results[0].changes == 1);
    CHECK(found->results[0].last_insert_rowid == 1);
    CHECK(failure_of(fixture.recall(key, 2)).code == errc::payload_mismatch);
    CHECK(!fixture.knows(to_string(fixture.next_key())));
  }
}

TEST_CASE("a request with an automatic key is replayed within its transaction, and not after a rollback") {
  automatic_fixture fixture;
  auto request = fixture.insert(to_string(fixture.next_key()));
  request.request_id = "the first";
  must(fixture.store->begin());
  auto done = must(fixture.store->execute(request, no_deadline));
  write_result result{.request_id = "the first", .results = done.results};
  must(fixture.store->remember(request, result));
  request.request_id = "the second";
  auto found = must(fixture.store->recall(request));
  REQUIRE(found);
  CHECK(found->replayed);
  CHECK(found->request_id == "the first");
  fixture.store->rollback();
  CHECK(!fixture.knows(request.idempotency_key));
}

TEST_CASE("long results are kept in a row, and so are replayed without the commit record") {
  automatic_fixture fixture;
  auto request =
    request_of({{"INSERT INTO t(a) VALUES (?) RETURNING a", {std::string(5'000, 'x')}}}, to_string(fixture.next_key()));
  fixture.write(request);
  CHECK(fixture.rows_of_keys() == 1);
  CHECK(fixture.number("SELECT max(length(requests)) < 500 FROM _sluice_commits") == 1);
  for (auto reopened : {false, true}) {
    if (reopened)
      fixture.reopen();
    must(fixture.store->begin());
    auto found = must(fixture.store->recall(request));
    fixture.store->rollback();
    REQUIRE(found);
    CHECK(found->results.at(0).rows.at(0, 0) == value{std::string(5'000, 'x')});
  }
  must(must(sqlite::ledger_reader::open(fixture.file)).check());
}

TEST_CASE("a key of an earlier boot of the machine is found in the commits of that boot") {
  automatic_fixture fixture;
  auto old = fixture.write_new();
  fixture.time.advance(1h);
  auto later = fixture.write_new();
  fixture.time.reboot();
  fixture.reopen();
  fixture.write_new();
  for (const auto& key : {old, later})
    CHECK(fixture.knows(key));
  fixture.time.reboot();
  fixture.reopen();
  CHECK(fixture.knows(old));
  CHECK(fixture.verdict().intact());
}

TEST_CASE("an automatic key of an unknown boot of the machine has a row") {
  automatic_fixture fixture;
  auto key = fixture.next_key();
  key.boot ^= 1U;
  fixture.write(fixture.insert(to_string(key)));
  CHECK(fixture.rows_of_keys() == 1);
  CHECK(fixture.knows(to_string(key)));
}

TEST_CASE("an automatic key with a time in the future is refused") {
  automatic_fixture fixture;
  auto key = fixture.next_key();
  ++key.since_boot_ms;
  CHECK(failure_of(fixture.recall(to_string(key))).code == errc::invalid_request);
  fixture.time.advance(1ms);
  CHECK(!fixture.knows(to_string(key)));
}

TEST_CASE("a ledger of format 1 is continued in format 2, and keys in its rows are found") {
  automatic_fixture fixture;
  auto key = fixture.next_key();
  auto with_row = key;
  with_row.boot ^= 1U;
  fixture.write(fixture.insert(to_string(with_row)));
  fixture.write(fixture.insert("mine"));
  fixture.store.reset();
  fixture.write_as_format_1(to_string(with_row), to_string(key));
  CHECK(fixture.verdict().records == 3);
  fixture.reopen();
  CHECK(fixture.knows(to_string(key)));
  CHECK(fixture.knows("mine"));
  fixture.time.advance(1s);
  auto added = fixture.write_new();
  CHECK(fixture.rows_of_keys() == 2);
  CHECK(fixture.number("SELECT value FROM _sluice_meta WHERE name = 'format'") == 2);
  fixture.reopen();
  for (const auto& each : {to_string(key), std::string{"mine"}, added})
    CHECK(fixture.knows(each));
  auto found = fixture.verdict();
  CHECK(found.intact());
  CHECK(found.records == 4);
}

TEST_CASE("a ledger of a later format is left unchanged") {
  automatic_fixture fixture;
  fixture.store.reset();
  must(fixture.external_process().exec("UPDATE _sluice_meta SET value = 3 WHERE name = 'format'"));
  fixture.reopen();
  CHECK(failure_of(fixture.store->begin()).code == errc::protocol_mismatch);
}

// The view of an application: a request takes effect once, whatever happens between the attempts.
TEST_CASE("requests under automatic keys take effect once: any order of attempts, restarts and failures") {
  auto seed = GENERATE(range(0, 40));
  CAPTURE(seed);
  std::mt19937 random{static_cast<unsigned>(seed)};
  auto one_of = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  automatic_fixture fixture;
  // The number of the commit that applied it; 0 for none.
  std::map<int64_t, std::pair<std::string, uint64_t>> requests;
  auto attempt = [&](int64_t content, bool commits) {
    auto& [key, applied] = requests.at(content);
    auto begun = must(fixture.store->begin());
    auto request = fixture.insert(key, content);
    auto known = must(fixture.store->recall(request));
    REQUIRE(known.has_value() == (applied != 0));
    if (known) {
      REQUIRE(known->commit_seq == applied);
      return fixture.store->rollback();
    }
    auto done = must(fixture.store->execute(request, no_deadline));
    write_result result{.request_id = request.request_id, .results = std::move(done.results)};
    must(fixture.store->remember(request, result));
    REQUIRE(must(fixture.store->recall(request)));
    if (!commits)
      return fixture.store->rollback();
    ledger_entry entry{&request, &result, done.tables};
    must(fixture.store->commit(begun.next_seq, 1'000, std::span{&entry, 1}));
    applied = begun.next_seq;
  };
  for (int step = 0; step < 300; ++step) {
    switch (one_of(12)) {
    case 0: fixture.reopen(); break;
    case 1: must(fixture.external_process().exec("INSERT INTO t(a) VALUES (-1)")); break;
    case 2:
      if (one_of(4) == 0) {
        fixture.time.reboot();
        fixture.time.advance(std::chrono::milliseconds{one_of(3'000)});
        fixture.reopen();
      }
      break;
    case 3: fixture.time.advance(std::chrono::milliseconds{one_of(2'000)}); break;
    case 4: fixture.time.advance(1ms); break;
    case 5: fixture.write(request_of("INSERT INTO t(a) VALUES (-2)")); break;
    default: {
      auto is_new = requests.empty() || one_of(2) == 0;
      auto content = is_new ? static_cast<int64_t>(requests.size()) : one_of(static_cast<int>(requests.size()));
      if (is_new)
        requests[content] = {to_string(fixture.next_key(static_cast<uint64_t>(one_of(3)))), 0};
      attempt(content, one_of(4) != 0);
    }
    }
  }
  for (const auto& [content, request] : requests)
    CHECK(fixture.read("SELECT 1 FROM t WHERE a = ?", {content}).result.rows->size() == (request.second != 0 ? 1 : 0));
  CHECK(fixture.verdict().intact());
}

} // namespace sluice::test::automatic_keys_test
