#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/fake_clock.hpp"

namespace sluice::test::ledger_keys_test {

using namespace std::chrono_literals;

namespace {

// A store whose keys age by a clock of the test.
struct key_fixture : store_fixture {
  fake_clock time;

  key_fixture() {
    reopen();
    write("CREATE TABLE t(a)");
  }

  void reopen() {
    store.reset();
    store = sqlite::make_write_store(file, config, time);
  }

  static write_request keyed(const std::string& key) { return request_of({{"INSERT INTO t VALUES (1)", {}}}, key); }

  void write_keyed(const std::string& key) { write(keyed(key)); }

  bool knows(const std::string& key) {
    must(store->begin());
    auto found = must(store->recall(keyed(key)));
    store->rollback();
    return found.has_value();
  }

  uint64_t prune_all() {
    uint64_t count = 0;
    while (auto some = must(store->prune_keys()))
      count += some;
    return count;
  }

  int64_t keys() {
    auto found = read_one("SELECT count(*) FROM _sluice_keys");
    return *found.integer();
  }
};

} // namespace

TEST_CASE("keys are pruned when they are older than the retention, and no sooner") {
  key_fixture fixture;
  fixture.write_keyed("a");
  fixture.time.advance(23h);
  fixture.write_keyed("b");
  CHECK(fixture.prune_all() == 0);
  fixture.time.advance(2h);
  CHECK(fixture.prune_all() == 1);
  CHECK(!fixture.knows("a"));
  CHECK(fixture.knows("b"));
  auto begun = must(fixture.store->begin());
  CHECK(!begun.external_commit);
}

TEST_CASE("a jump of the wall clock expires no key, forwards or back") {
  key_fixture fixture;
  fixture.write_keyed("a");
  fixture.time.jump(48h);
  fixture.write_keyed("b");
  CHECK(fixture.prune_all() == 0);
  fixture.time.jump(-96h);
  fixture.write_keyed("c");
  CHECK(fixture.prune_all() == 0);
  fixture.reopen();
  fixture.time.jump(480h);
  CHECK(fixture.knows("a"));
  fixture.write_keyed("d");
  CHECK(fixture.prune_all() == 0);
  fixture.time.advance(25h);
  CHECK(fixture.prune_all() == 4);
}

TEST_CASE("keys age while no broker runs, as long as the machine does") {
  key_fixture fixture;
  fixture.write_keyed("a");
  fixture.store.reset();
  fixture.time.advance(25h);
  fixture.reopen();
  fixture.write_keyed("b");
  CHECK(!fixture.knows("a"));
  fixture.store.reset();
  fixture.time.advance(25h);
  fixture.time.reboot();
  fixture.reopen();
  CHECK(fixture.knows("b"));
  fixture.write_keyed("c");
  CHECK(fixture.knows("b"));
}

TEST_CASE("each commit prunes more old keys than it adds") {
  key_fixture fixture;
  for (int i = 0; i < 100; ++i)
    fixture.write_keyed("old" + std::to_string(i));
  fixture.time.advance(25h);
  auto before = fixture.keys();
  fixture.write_keyed("new");
  CHECK(fixture.keys() < before);
  for (int i = 0; i < 15; ++i)
    fixture.write_keyed("new" + std::to_string(i));
  CHECK(fixture.keys() == 16);
  CHECK(!fixture.knows("old99"));
  CHECK(fixture.knows("new"));
}

TEST_CASE("keys of an earlier version, dated by the wall clock, are kept a day from now on") {
  key_fixture fixture;
  fixture.write_keyed("a");
  fixture.write_keyed("b");
  fixture.store.reset();
  {
    auto db = fixture.external_process();
    must(db.exec("DELETE FROM _sluice_meta WHERE name <> 'format'; UPDATE _sluice_keys SET created_us = 5"));
  }
  fixture.reopen();
  fixture.write_keyed("c");
  CHECK(fixture.prune_all() == 0);
  CHECK(fixture.knows("a"));
  fixture.time.advance(25h);
  CHECK(fixture.prune_all() == 3);
}

TEST_CASE("pruning ignores changes that another process has just made, which the next write checks") {
  key_fixture fixture;
  fixture.write_keyed("a");
  fixture.time.advance(25h);
  must(fixture.external_process().exec("CREATE TRIGGER g AFTER DELETE ON _sluice_keys BEGIN DELETE FROM t; END"));
  CHECK(must(fixture.store->prune_keys()) == 0);
  CHECK(fixture.keys() == 1);
  CHECK(failure_of(fixture.store->begin()).code == errc::ledger_damaged);
}

} // namespace sluice::test::ledger_keys_test
